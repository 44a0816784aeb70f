// A FUSE file system by hand: `node fuse-daemon.mjs answer|stall DIRECTORY` mounts an empty one and says 'mounted'. 'stall'
// never answers anybody; 'answer' knows just enough of <linux/fuse.h> to have a root directory. Ends with its standard input.

import { spawnSync } from 'node:child_process';
import { openSync, read, writeSync } from 'node:fs';

const INIT = 26;
const GETATTR = 3;
const STATFS = 17;
const WITHOUT_ANSWER = [2, 36, 42];
const ENOSYS = 38;
const S_IFDIR_755 = 0o40755;

const [, , how, directory] = process.argv;
const device = openSync('/dev/fuse', 'r+');
const options = 'fd=3,rootmode=40000,user_id=0,group_id=0,allow_other';
const { status, stderr } = spawnSync('mount', ['-i', '-t', 'fuse', '-o', options, 'by-hand', directory], {
  stdio: ['ignore', 'ignore', 'pipe', device],
  encoding: 'utf8',
});
if (status !== 0) {
  process.stderr.write(stderr);
  process.exit(1);
}
process.stdout.write('mounted\n');
process.stdin.on('end', () => process.exit()).resume();
if (how === 'answer') serve(Buffer.alloc(1 << 17));

function serve(request) {
  read(device, request, 0, request.length, null, (error) => {
    if (error) process.exit();
    const opcode = request.readUInt32LE(4);
    if (!WITHOUT_ANSWER.includes(opcode)) writeSync(device, answer(opcode, request.readBigUInt64LE(8)));
    serve(request);
  });
}

/** struct fuse_out_header and what follows it. */
function answer(opcode, unique) {
  const body = bodyOf(opcode);
  const header = Buffer.alloc(16);
  header.writeUInt32LE(16 + (body?.length ?? 0), 0);
  header.writeInt32LE(body ? 0 : -ENOSYS, 4);
  header.writeBigUInt64LE(unique, 8);
  return Buffer.concat([header, body ?? Buffer.alloc(0)]);
}

function bodyOf(opcode) {
  if (opcode === STATFS) return Buffer.alloc(80);
  if (opcode === INIT) {
    const init = Buffer.alloc(64);
    init.writeUInt32LE(7, 0);
    init.writeUInt32LE(31, 4);
    init.writeUInt32LE(4096, 20);
    return init;
  }
  if (opcode !== GETATTR) return undefined;
  const attributes = Buffer.alloc(104);
  attributes.writeBigUInt64LE(1n, 16);
  attributes.writeUInt32LE(S_IFDIR_755, 76);
  attributes.writeUInt32LE(2, 80);
  return attributes;
}

// A FUSE file system by hand: `node fuse-daemon.mjs answer|slow|keep|stall DIRECTORY` mounts one and says 'mounted'. 'stall' never answers
// anybody; 'answer' knows just enough of <linux/fuse.h> to have an empty root directory, and 'slow' says so later; 'keep' has a file of every name there, which
// can be opened, and never answers who closes it. Ends with its standard input.

import { spawnSync } from 'node:child_process';
import { openSync, read, writeSync } from 'node:fs';

const LOOKUP = 1;
const GETATTR = 3;
const OPEN = 14;
const RELEASE = 18;
const FLUSH = 25;
const INIT = 26;
const STATFS = 17;
const WITHOUT_ANSWER = [2, 36, 42];
const ENOSYS = 38;
const S_IFDIR_755 = 0o40755;
const S_IFREG_644 = 0o100644;
const ROOT = 1n;
const SLOW_MS = 150;

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
if (how !== 'stall') serve(Buffer.alloc(1 << 17));

function serve(request) {
  read(device, request, 0, request.length, null, (error) => {
    if (error) process.exit();
    const opcode = request.readUInt32LE(4);
    const isKept = how === 'keep' && opcode === FLUSH;
    if (!WITHOUT_ANSWER.includes(opcode) && !isKept) {
      const said = answer(opcode, request.readBigUInt64LE(8), request.readBigUInt64LE(16));
      if (how === 'slow') setTimeout(() => writeSync(device, said), SLOW_MS);
      else writeSync(device, said);
    }
    serve(request);
  });
}

/** struct fuse_out_header and what follows it. */
function answer(opcode, unique, node) {
  const body = bodyOf(opcode, node) ?? (how === 'keep' ? bodyOfFile(opcode) : undefined);
  const header = Buffer.alloc(16);
  header.writeUInt32LE(16 + (body?.length ?? 0), 0);
  header.writeInt32LE(body ? 0 : -ENOSYS, 4);
  header.writeBigUInt64LE(unique, 8);
  return Buffer.concat([header, body ?? Buffer.alloc(0)]);
}

function bodyOf(opcode, node) {
  if (opcode === STATFS) return Buffer.alloc(80);
  if (opcode === INIT) {
    const init = Buffer.alloc(64);
    init.writeUInt32LE(7, 0);
    init.writeUInt32LE(31, 4);
    init.writeUInt32LE(4096, 20);
    return init;
  }
  if (opcode !== GETATTR) return undefined;
  return Buffer.concat([Buffer.alloc(16), attributesOf(node)]);
}

function bodyOfFile(opcode) {
  if (opcode === OPEN) return Buffer.alloc(16);
  if (opcode === RELEASE) return Buffer.alloc(0);
  if (opcode !== LOOKUP) return undefined;
  const entry = Buffer.alloc(40);
  entry.writeBigUInt64LE(ROOT + 1n, 0);
  return Buffer.concat([entry, attributesOf(ROOT + 1n)]);
}

/** struct fuse_attr. */
function attributesOf(node) {
  const attributes = Buffer.alloc(88);
  attributes.writeBigUInt64LE(node, 0);
  attributes.writeUInt32LE(node === ROOT ? S_IFDIR_755 : S_IFREG_644, 60);
  attributes.writeUInt32LE(node === ROOT ? 2 : 1, 64);
  return attributes;
}

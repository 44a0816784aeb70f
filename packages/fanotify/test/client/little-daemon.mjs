// A daemon to test with: listens, and admits whoever connects to real brokers. node little-daemon.mjs SOCKET '{"grants":[…],"limits":{…}}'. It
// says 'ready', and 'restarted' after each line of its standard input, which makes it begin anew. The end of that is its own.

import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { linuxKernel } from '../../dist/kernel/index.js';

const [, , socket, settings = '{}'] = process.argv;
const { grants = [], limits = {} } = JSON.parse(settings);
const LIMITS = {
  marks: 1_000,
  queueBytes: 16 << 20,
  descriptors: 200,
  pending: 500,
  requestsPerSecond: 100_000,
  ...limits,
};
const REPORTS_HANDLES = 0x200 | 0x400 | 0x800;
/** Where bind has its flags: docs/PROTOCOL.md. */
const FLAGS_AT = 24;
const kernel = linuxKernel();
const program = (name) => fileURLToPath(new URL(`../../dist/broker/${name}.js`, import.meta.url));

function startBroker(kind) {
  const [control, theirs] = kernel.socketPair();
  const stdio = ['ignore', 'inherit', 'inherit', theirs];
  const children = [spawn(process.execPath, [program('broker-main'), kind], { stdio })];
  kernel.close(theirs);
  const order = (what, descriptors) => kernel.sendMessage(control, Buffer.from(JSON.stringify(what)), descriptors);
  const inbox = Buffer.alloc(256 * 1024);
  const addVisitor = () => {
    const [ours, visitors] = kernel.socketPair();
    children.push(spawn(process.execPath, [program('visitor-main')], { stdio: [...stdio.slice(0, 3), visitors] }));
    kernel.close(visitors);
    order({ do: 'visitor' }, [ours]);
    kernel.close(ours);
  };
  addVisitor();
  let isReady;
  const ready = new Promise((resolve) => {
    isReady = resolve;
  });
  const watching = kernel.onReadable(control, () => {
    try {
      const { bytes } = kernel.receiveMessage(control, inbox, true);
      const news = bytes === 0 ? { is: 'gone' } : JSON.parse(inbox.toString('utf8', 0, bytes));
      if (news.is === 'ready') isReady();
      else if (news.is === 'gone') watching.close();
      else if (news.is === 'visitorStuck') addVisitor();
      else if (news.is === 'failed' || (news.is === 'log' && news.level !== 'info')) console.error(kind, news);
    } catch (error) {
      if (error.code !== 'EAGAIN') watching.close();
    }
  });
  return {
    ready,
    order,
    end() {
      watching.close();
      kernel.close(control);
      for (const child of children) child.kill('SIGKILL');
    },
  };
}

let brokers;
let listening;
let fd;
let ids = 0;

async function begin() {
  brokers = { descriptors: startBroker('descriptors'), names: startBroker('names') };
  await Promise.all([brokers.descriptors.ready, brokers.names.ready]);
  fd = kernel.listenUnix(socket, 0o666);
  listening = kernel.onReadable(fd, () => {
    for (;;) {
      let connection;
      try {
        connection = kernel.acceptUnix(fd);
      } catch {
        return;
      }
      admit(connection);
    }
  });
}

/** Waits for the first request, which says whose it is, and leaves it where it is. */
function admit(connection) {
  const first = Buffer.alloc(64);
  const watching = kernel.onReadable(connection, () => {
    watching.close();
    try {
      kernel.receiveBytes(connection, first, true);
      const isNames = (first.readUInt32LE(FLAGS_AT) & REPORTS_HANDLES) !== 0;
      const rights = { peer: kernel.peerOf(connection), grants, limits: LIMITS };
      brokers[isNames ? 'names' : 'descriptors'].order({ do: 'admit', id: ++ids, rights }, [connection]);
    } finally {
      kernel.close(connection);
    }
  });
}

function end() {
  listening.close();
  kernel.close(fd);
  rmSync(socket, { force: true });
  for (const broker of Object.values(brokers)) broker.end();
}

await begin();
console.log('ready');
for await (const line of createInterface({ input: process.stdin })) {
  end();
  // Whoever has lost it tries in vain before it is there again.
  await new Promise((resolve) => setTimeout(resolve, Number(line) || 0));
  await begin();
  console.log('restarted');
}
end();
process.exit(0);

// The other end of a connection, which says what it is told to: node scripted-daemon.mjs SOCKET 'SCRIPT'. SCRIPT is a list, by connection, of
// lists, by request, of messages in base64, each with ff ee dd cc in place of the request's number; null ends
// the connection. What was asked is said on the standard output, a line of hexadecimal a request.

import { linuxKernel } from '../../dist/kernel/index.js';

const [, , socket, script] = process.argv;
const kernel = linuxKernel();
const POLLIN = 1;
/** In place of a request's number. */
const NUMBER = Buffer.from('ffeeddcc', 'hex');
const inbox = Buffer.alloc(4096);
const fd = kernel.listenUnix(socket, 0o666);
console.log('ready');

for (const requests of JSON.parse(script)) {
  wait(fd);
  const connection = kernel.acceptUnix(fd);
  for (const messages of requests) {
    wait(connection);
    const { bytes, descriptors } = kernel.receiveMessage(connection, inbox, true);
    for (const descriptor of descriptors) kernel.close(descriptor);
    if (bytes === 0) break;
    console.log(`${inbox.toString('hex', 0, bytes)} ${descriptors.length}`);
    if (messages === null) break;
    for (const message of messages) {
      const said = Buffer.from(message, 'base64');
      const at = said.indexOf(NUMBER);
      if (at >= 0) inbox.copy(said, at, 4, 8);
      kernel.sendMessage(connection, said);
    }
  }
  kernel.close(connection);
}

function wait(descriptor) {
  kernel.poll([{ fd: descriptor, events: POLLIN, revents: 0 }], 20_000);
}

// Something that answers as clamd does, and finds nothing: `node fake-clamd.mjs SOCKET`. Prints the commands that it is given, a line each. A line
// on standard input: `hold` (answer no scans), `scan` (answer them again), `drop` (close all connections). Descriptors that come are dropped.

import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

const sockets = new Set();
let scans = true;

createServer((socket) => {
  sockets.add(socket);
  socket.on('error', () => undefined);
  socket.on('close', () => sockets.delete(socket));
  let command = 0;
  socket.on('data', (chunk) => {
    for (const word of chunk.toString().split('\0').filter(Boolean)) {
      const name = word.slice(1);
      console.log(name);
      if (name === 'IDSESSION') continue;
      command++;
      if (name === 'PING') socket.write(`${command}: PONG\0`);
      if (name === 'FILDES' && scans) socket.write(`${command}: fd[9]: OK\0`);
      if (name === 'END') socket.end('1: Fake 1\0');
    }
  });
}).listen(process.argv[2], () => console.log('listening'));

createInterface(process.stdin).on('line', (line) => {
  if (line === 'drop') for (const socket of sockets) socket.destroy();
  else scans = line === 'scan';
});

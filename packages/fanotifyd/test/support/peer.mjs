// A client of another user: node peer.mjs SOCKET, then lines of JSON on its standard input, `{ "count": 2, "frames": [hex, …] }`: so many
// connections that say so, and with "leaves": true go when they are refused. For each it prints a line when it hears something, or is ended.

import { createInterface } from 'node:readline';
import { KernelError, linuxKernel } from 'fanotify/kernel';

const kernel = linuxKernel();
const METADATA_BYTES = 24;
const buffer = Buffer.alloc(65_536);
let connections = 0;

function tell(connection, said) {
  process.stdout.write(`${JSON.stringify({ connection, ...said })}\n`);
}

/** The message's only event is without bits, and has an answer's record. */
function answerIn(message) {
  const record = METADATA_BYTES;
  return {
    number: message.readUInt32LE(record + 4),
    errno: message.readUInt32LE(record + 8),
    text: message.toString('utf8', record + 12, record + message.readUInt16LE(record + 2)),
  };
}

function connect(frames, leaves) {
  const connection = connections++;
  let fd;
  try {
    fd = kernel.connectUnix(process.argv[2], 'seqpacket');
    for (const frame of frames) kernel.sendMessage(fd, Buffer.from(frame, 'hex'));
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    tell(connection, { failed: error.code });
    return;
  }
  const readiness = kernel.onReadable(fd, () => {
    let ended;
    try {
      const { bytes } = kernel.receiveMessage(fd, buffer, true);
      if (bytes > 0) {
        const answer = answerIn(buffer.subarray(0, bytes));
        tell(connection, { answer });
        if (!leaves || answer.errno === 0) return;
        readiness.close();
        kernel.close(fd);
        return;
      }
      ended = 'end';
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code === 'EAGAIN') return;
      ended = error.code;
    }
    readiness.close();
    kernel.close(fd);
    tell(connection, { ended });
  });
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const { count, frames, leaves } = JSON.parse(line);
    for (let at = 0; at < count; at++) connect(frames, leaves);
  })
  .on('close', () => process.exit(0));
tell(-1, { pid: process.pid });

// A connection to the daemon: requests and answers, events between them, and what goes wrong.

import { writeFileSync } from 'node:fs';
import { expect, it, onTestFinished, vi } from 'vitest';
import { FAN_REPORT_DFID_NAME } from '../../src/abi/index.ts';
import { DaemonConnection, socketPath } from '../../src/client/connection.ts';
import { connect } from '../../src/client/index.ts';
import { CallError } from '../../src/core/errors.ts';
import { PROTOCOL_VERSION, REQUEST, RequestReader } from '../../src/core/process/wire.ts';
import { ERRNO, linuxKernel } from '../../src/kernel/index.ts';
import { answer, event, otherAnswer, scratchSocket, scripted } from './scripted.ts';

const kernel = linuxKernel();
const settings = { mask: 0n, priority: 5, flags: FAN_REPORT_DFID_NAME, eventFlags: 0 };

/** The pids of so many events, by which they are told apart. */
function pidsOf(connection: DaemonConnection, count: number): number[] {
  const pids: number[] = [];
  while (pids.length < count) {
    const message = connection.receive();
    if (!message) break;
    for (let at = 0; at < message.bytes.length; at += message.bytes.readUInt32LE(at)) {
      pids.push(message.bytes.readInt32LE(at + 20));
    }
  }
  return pids;
}

it('binds with the version of the protocol, and is answered', async () => {
  const daemon = await scripted([[[answer()], [answer(0, 'what there is to say')]]]);
  const connection = new DaemonConnection(kernel, daemon.socket);
  connection.bind(settings);
  expect(connection.request(connection.requests.plain(REQUEST.statistics)).toString()).toBe('what there is to say');
  connection.close();
  await daemon.end;
  const [bind = '', descriptors] = daemon.asked[0]?.split(' ') ?? [];
  const request = new RequestReader(Buffer.from(bind, 'hex'));
  expect([request.type, request.version, descriptors]).toEqual([REQUEST.bind, PROTOCOL_VERSION, '0']);
  expect(request.settings).toEqual(settings);
});

it('events that come before an answer are received behind it, in their order', async () => {
  const together = Buffer.concat([event(3), answer(), event(4)]);
  const daemon = await scripted([[[answer()], [event(1), otherAnswer(), event(2), together, event(5)]]]);
  const connection = new DaemonConnection(kernel, daemon.socket);
  connection.bind(settings);
  let told = 0;
  connection.onBacklog = () => void told++;
  connection.request(connection.requests.plain(REQUEST.sync));
  expect([told, connection.hasBacklog]).toEqual([1, true]);
  await daemon.end;
  expect(pidsOf(connection, 5)).toEqual([1, 2, 3, 4, 5]);
  connection.close();
});

it('what is refused throws the errno, and what the daemon says', async () => {
  const daemon = await scripted([[[answer()], [answer(ERRNO.ENOSPC, 'no more marks')]]]);
  const connection = new DaemonConnection(kernel, daemon.socket);
  connection.bind(settings);
  const ask = () => connection.request(connection.requests.plain(REQUEST.sync));
  expect(ask).toThrow(new CallError('ENOSPC', 'no more marks'));
  connection.close();
});

it('what is no event is said to come from no daemon', async () => {
  const daemon = await scripted([[[Buffer.from('HTTP/1.1 400 Bad Request')]]]);
  const connection = new DaemonConnection(kernel, daemon.socket);
  expect(() => connection.bind(settings)).toThrow('sends no events: is it the daemon?');
  connection.close();
});

it.each([
  ['no socket', ''],
  ['no socket, but a file', 'x'],
])('%s: says where it was looked for', async (_, content) => {
  const socket = scratchSocket();
  if (content !== '') writeFileSync(socket, content);
  const error = await connect({ socket })
    .group()
    .catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'DAEMON_UNAVAILABLE', socket });
  expect(String(error)).toContain('start fanotifyd');
});

it('another version is said to be one', async () => {
  const daemon = await scripted([[[answer(ERRNO.EPROTONOSUPPORT, 'this daemon speaks version 9')]]]);
  const error = await connect({ socket: daemon.socket })
    .group()
    .catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'DAEMON_VERSION' });
  expect(String(error)).toContain('version 9');
});

it('that it is to be tried again is said to be no end of it', async () => {
  const daemon = await scripted([[[answer(ERRNO.EAGAIN, 'user 5 connects too often: try again later')]]]);
  await expect(connect({ socket: daemon.socket }).group()).rejects.toMatchObject({
    code: 'DAEMON_UNAVAILABLE',
    message: expect.stringContaining('user 5 connects too often: try again later'),
  });
});

it('the end of the daemon is told to whoever waits for an answer, and to whoever reads', async () => {
  const daemon = await scripted([[[answer()], null], [[answer()]]]);
  const asking = new DaemonConnection(kernel, daemon.socket);
  asking.bind(settings);
  const ask = () => asking.request(asking.requests.plain(REQUEST.sync));
  expect(ask).toThrow(expect.objectContaining({ code: 'DAEMON_ENDED' }));
  expect(ask).toThrow(expect.objectContaining({ code: 'DAEMON_ENDED' }));
  const reading = new DaemonConnection(kernel, daemon.socket);
  reading.bind(settings);
  await daemon.end;
  expect(() => reading.receive()).toThrow(expect.objectContaining({ code: 'DAEMON_ENDED' }));
  asking.close();
  reading.close();
});

it('the socket is where it was said, else where the environment says, else in /run', () => {
  onTestFinished(() => void vi.unstubAllEnvs());
  vi.stubEnv('FANOTIFY_SOCKET', '/tmp/elsewhere');
  expect([socketPath('/tmp/said'), socketPath(undefined)]).toEqual(['/tmp/said', '/tmp/elsewhere']);
  vi.stubEnv('FANOTIFY_SOCKET', undefined);
  expect(socketPath(undefined)).toBe('/run/fanotifyd/socket');
});

it.each([
  [{ socket: '' }, 'socket: "" is no path'],
  [{ sockets: '/tmp/x' }, 'did you mean "socket"?'],
])('connect(%j) is refused with a sentence', (options, sentence) => {
  expect(() => connect(options as never)).toThrow(sentence);
});

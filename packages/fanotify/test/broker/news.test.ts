// What a broker says to the main process, and how often clients may ask: nobody is waited for, and nothing that counts is lost.

import { expect, test } from 'vitest';
import { Allowance } from '../../src/broker/allowance.ts';
import type { News } from '../../src/broker/control.ts';
import { NewsDesk } from '../../src/broker/news.ts';
import { ERRNO, type Kernel, KernelError } from '../../src/kernel/index.ts';

/** A socket with room for so much. */
function socket(room: number) {
  const said: News[] = [];
  const state = { room, errno: ERRNO.EAGAIN as number };
  const kernel = {
    sendMessage(_fd: number, bytes: Uint8Array) {
      if (state.room === 0) throw new KernelError('sendmsg', state.errno);
      state.room--;
      said.push(JSON.parse(Buffer.from(bytes).toString()) as News);
    },
  } as unknown as Kernel;
  return { said, state, desk: new NewsDesk(kernel, 3, 0) };
}

const log = (text: string): News => ({ is: 'log', level: 'info', id: null, text });
const texts = (said: readonly News[]) => said.map((news) => (news.is === 'log' ? news.text : news.is));

test('what there is no room for is said later, in its order', () => {
  const { said, state, desk } = socket(1);
  for (const text of ['a', 'b', 'c']) desk.add(log(text));
  expect(desk.flush()).toBe(true);
  expect(desk.isBlocked).toBe(true);
  state.room = 10;
  desk.flush();
  expect(texts(said)).toEqual(['a']);
  desk.isBlocked = false;
  desk.flush();
  expect(texts(said)).toEqual(['a', 'b', 'c']);
});

test('lines for the log are left out when nobody reads, and counted; what is no line is not', () => {
  const { said, state, desk } = socket(0);
  for (let count = 0; count < 300; count++) desk.add(log(`${count}`));
  desk.add({ is: 'ended', id: 1, why: '' });
  desk.flush();
  expect(desk.isFull).toBe(false);
  for (let number = 0; number < 64; number++) desk.add({ is: 'pong', number });
  // Whoever asks without reading is not to be heard.
  expect(desk.isFull).toBe(true);
  state.room = 1_000;
  desk.isBlocked = false;
  desk.flush();
  desk.flush();
  const all = texts(said);
  expect(all.slice(0, 256)).toEqual(Array.from({ length: 256 }, (_, count) => `${count}`));
  expect(all.filter((text) => text === 'pong')).toHaveLength(64);
  expect(all).toContain('ended');
  expect(all.at(-1)).toBe('44 lines were left out: the main process did not read them in time');
  expect(desk.isFull).toBe(false);
});

test('a main process that is gone is noticed', () => {
  const { state, desk } = socket(0);
  state.errno = ERRNO.EPIPE;
  desk.add(log('a'));
  expect(desk.flush()).toBe(false);
});

test('complaints about clients are few, and say how many there were', () => {
  const { said, desk } = socket(1_000);
  for (let id = 0; id < 100; id++) desk.complain(id, 'nonsense', 0);
  desk.flush();
  expect(said).toHaveLength(20);
  desk.complain(100, 'nonsense', 1_000);
  desk.flush();
  expect(texts(said).at(-1)).toBe('nonsense (and 80 such lines that were left out)');
});

test('an allowance is so much a second, and no more after a pause than at a stretch', () => {
  const allowance = new Allowance(10, 0);
  const taken = (nowMs: number) => {
    let count = 0;
    while (allowance.take(nowMs)) count++;
    return count;
  };
  expect(taken(0)).toBe(10);
  expect(allowance.nextMs(0)).toBe(100);
  expect(taken(99)).toBe(0);
  expect(taken(allowance.nextMs(99))).toBe(1);
  expect(taken(1_000_000)).toBe(10);
  // A clock that stands still, or goes back, gives nothing.
  expect(taken(999_000)).toBe(0);
});

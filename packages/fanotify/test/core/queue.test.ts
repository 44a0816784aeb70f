// What waits for a group: merged as the kernel merges, bounded, and no loss goes untold.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OVERFLOW } from '../../src/core/bits.ts';
import { Carried } from '../../src/core/carried.ts';
import { EventQueue, type Waiting } from '../../src/core/queue.ts';

const HERE = {};
const [OPEN, CLOSE] = [1, 2];

/** Descriptors that count how often they were closed. */
class Descriptors {
  readonly closed = new Map<number, number>();
  #last = 0;

  open(): Carried {
    const fd = ++this.#last;
    this.closed.set(fd, 0);
    return new Carried(fd, () => this.closed.set(fd, (this.closed.get(fd) ?? 0) + 1));
  }

  get times(): number[] {
    return [...this.closed.values()];
  }
}

function take(queue: EventQueue, most = 1_000): Waiting[] {
  const events = queue.peek(most).map((event) => ({ ...event }));
  queue.taken(queue.peek(most));
  return events;
}

const told = (events: readonly Waiting[]) =>
  events.map(({ bits, ask, ino }) => (ask === undefined ? `${bits} ${ino}` : `ask ${ask}`));

/** Pushes something that happened, as the feed does: it lets go of its own hold afterwards. */
function push(
  queue: EventQueue,
  ino: bigint,
  { bits = OPEN, pid = 1, filesystem = HERE, from = new Descriptors() } = {},
) {
  const carried = from.open();
  queue.push(bits, pid, carried, filesystem, ino);
  carried.release();
}

describe('what happens to a file that waits already', () => {
  test('is merged into it, if the same process did it', () => {
    const queue = new EventQueue({ maxQueued: 10 });
    push(queue, 1n);
    push(queue, 2n);
    push(queue, 1n, { bits: CLOSE });
    push(queue, 1n, { pid: 2 });
    push(queue, 1n, { filesystem: {}, bits: CLOSE });
    expect(told(take(queue))).toEqual(['3 1', '1 2', '1 1', '2 1']);
    expect(queue.merged).toBe(1);
  });

  test('is merged with nothing that was told, or asked', () => {
    const [queue, from] = [new EventQueue({ maxQueued: 10 }), new Descriptors()];
    push(queue, 1n);
    take(queue);
    const carried = from.open();
    queue.ask({ bits: OPEN, pid: 1, carried, range: null }, 7);
    carried.release();
    push(queue, 1n, { bits: CLOSE });
    expect(told(take(queue))).toEqual(['ask 7', '2 1']);
  });

  test('keeps one descriptor', () => {
    const [queue, from] = [new EventQueue({ maxQueued: 10 }), new Descriptors()];
    for (let times = 0; times < 3; times++) push(queue, 1n, { from });
    expect(from.times).toEqual([0, 1, 1]);
    take(queue);
    expect(from.times).toEqual([1, 1, 1]);
  });
});

describe('a full queue', () => {
  test('tells each run of losses once, after what was before it', () => {
    const queue = new EventQueue({ maxQueued: 2 });
    for (let ino = 1n; ino <= 5n; ino++) push(queue, ino);
    expect([queue.lost, queue.overflows]).toEqual([3, 1]);
    queue.taken(queue.peek(1));
    push(queue, 6n);
    push(queue, 7n);
    expect(told(take(queue))).toEqual(['1 2', `${OVERFLOW} 0`, '1 6', `${OVERFLOW} 0`]);
    expect([queue.lost, queue.overflows]).toEqual([4, 2]);
  });

  test('merges nothing across a loss', () => {
    const queue = new EventQueue({ maxQueued: 2 });
    for (const ino of [1n, 2n, 3n]) push(queue, ino);
    take(queue, 1);
    push(queue, 2n, { bits: CLOSE });
    expect(told(take(queue))).toEqual(['1 2', `${OVERFLOW} 0`, '2 2']);
  });

  test('still takes what somebody waits for', () => {
    const [queue, from] = [new EventQueue({ maxQueued: 1 }), new Descriptors()];
    for (let ino = 1n; ino <= 3n; ino++) push(queue, ino);
    for (let ask = 0; ask < 100; ask++) {
      const carried = from.open();
      queue.ask({ bits: OPEN, pid: 1, carried, range: null }, ask);
      carried.release();
    }
    expect(told(take(queue)).filter((event) => event.startsWith('ask'))).toHaveLength(100);
    expect(from.times.every((times) => times === 1)).toBe(true);
  });

  test('tells that events were lost elsewhere, of which nobody knows how many', () => {
    const queue = new EventQueue({ maxQueued: 10 });
    queue.overflow();
    queue.overflow();
    expect([queue.lost, queue.overflows, told(take(queue))]).toEqual([0, 1, [`${OVERFLOW} 0`]]);
  });

  test('that is made shorter drops the newest, and tells that', () => {
    const [queue, from] = [new EventQueue({ maxQueued: 10 }), new Descriptors()];
    for (let ino = 1n; ino <= 4n; ino++) push(queue, ino, { from });
    const carried = from.open();
    queue.ask({ bits: OPEN, pid: 1, carried, range: null }, 7);
    carried.release();
    queue.shorten(1);
    expect(from.times).toEqual([0, 1, 1, 1, 0]);
    expect([queue.lost, queue.notifications, queue.length]).toEqual([3, 1, 3]);
    expect(told(take(queue))).toEqual(['1 1', 'ask 7', `${OVERFLOW} 0`]);
  });
});

describe('what nobody waits for any more', () => {
  const asking = (queue: EventQueue, from: Descriptors, ask: number) => {
    const carried = from.open();
    queue.ask({ bits: OPEN, pid: 1, carried, range: null }, ask);
    carried.release();
  };

  test('is not told', () => {
    const [queue, from] = [new EventQueue({ maxQueued: 10 }), new Descriptors()];
    for (const ask of [1, 2, 3]) asking(queue, from, ask);
    queue.withdraw(2);
    queue.withdraw(2);
    queue.withdraw(9);
    expect(from.times).toEqual([0, 1, 0]);
    expect(queue.length).toBe(2);
    expect(told(take(queue))).toEqual(['ask 1', 'ask 3']);
    expect(from.times).toEqual([1, 1, 1]);
  });

  test('does not pile up behind what is not read', () => {
    const [queue, from] = [new EventQueue({ maxQueued: 10 }), new Descriptors()];
    push(queue, 1n);
    for (let ask = 0; ask < 10_000; ask++) {
      asking(queue, from, ask);
      queue.withdraw(ask);
    }
    expect(queue.length).toBe(1);
    expect(queue.held).toBeLessThan(1_000);
    expect(told(take(queue))).toEqual(['1 1']);
  });
});

test('what is peeked at stays until it is taken', () => {
  const queue = new EventQueue({ maxQueued: 10 });
  for (let ino = 1n; ino <= 3n; ino++) push(queue, ino);
  expect(queue.peek(2)).toEqual(queue.peek(2));
  const two = queue.peek(2);
  push(queue, 4n);
  queue.taken(two);
  expect(told(take(queue))).toEqual(['1 3', '1 4']);
  expect(queue.length).toBe(0);
});

test('whatever happens, events are told, merged or lost and told of, asks are told unless withdrawn, and descriptors closed once', () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('push' as const), ino: fc.nat(4), pid: fc.nat(1) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('ask' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('withdraw' as const), which: fc.nat(30) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('take' as const), most: fc.integer({ min: 1, max: 6 }) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('shorten' as const), most: fc.nat(4) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('overflow' as const) }) },
  );
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 80 }),
      fc.integer({ min: 1, max: 5 }),
      fc.boolean(),
      (steps, most, clears) => {
        const [queue, from] = [new EventQueue({ maxQueued: most }), new Descriptors()];
        // What was pushed has a bit of its own, so that it can be followed through merges.
        let pushed = 0;
        let asked = 0;
        let overflows = 0;
        let lostWhenTold = 0;
        const asks = { told: new Set<number>(), withdrawn: new Set<number>() };
        let untold = 0;
        const receive = (events: readonly Waiting[]) => {
          for (const { bits, ask } of events) {
            if (ask !== undefined) {
              expect(asks.withdrawn.has(ask)).toBe(false);
              expect(asks.told.has(ask)).toBe(false);
              asks.told.add(ask);
            } else if (bits === OVERFLOW) {
              overflows++;
              lostWhenTold = queue.lost;
            } else untold--;
          }
        };
        for (const one of steps) {
          if (one.kind === 'push') {
            const { merged, lost } = queue;
            push(queue, BigInt(one.ino), { pid: one.pid, from });
            pushed++;
            untold += 1 - (queue.merged - merged) - (queue.lost - lost);
          } else if (one.kind === 'ask') {
            const carried = from.open();
            queue.ask({ bits: OPEN, pid: 1, carried, range: null }, asked++);
            carried.release();
          } else if (one.kind === 'withdraw') {
            const ask = one.which % Math.max(1, asked);
            queue.withdraw(ask);
            if (!asks.told.has(ask) && ask < asked) asks.withdrawn.add(ask);
          } else if (one.kind === 'take') receive(take(queue, one.most));
          else if (one.kind === 'shorten') {
            const { lost } = queue;
            queue.shorten(one.most);
            untold -= queue.lost - lost;
          } else queue.overflow();
          expect(queue.notifications).toBeLessThanOrEqual(most);
          expect(queue.notifications).toBe(untold);
          expect(queue.length).toBe(queue.peek(1_000).length);
          expect(queue.length).toBe(
            queue.notifications + (asked - asks.told.size - asks.withdrawn.size) + (queue.overflows - overflows),
          );
        }
        if (clears) queue.clear();
        else {
          const { lost } = queue;
          receive(take(queue));
          expect(untold).toBe(0);
          expect(overflows).toBe(queue.overflows);
          // Whatever was lost is told of afterwards.
          if (lost > 0) expect(lostWhenTold).toBe(lost);
          expect(asks.told.size + asks.withdrawn.size).toBe(asked);
        }
        expect(queue.length).toBe(0);
        expect(pushed).toBeGreaterThanOrEqual(queue.merged + queue.lost);
        expect(from.times.every((times) => times === 1)).toBe(true);
      },
    ),
    { numRuns: 2_000 },
  );
});

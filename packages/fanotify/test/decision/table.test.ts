// The pending table, without a kernel: whatever is held leaves once, in turn of its deciders, by their answers or their policies.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ALLOW, DENY, type Ruling } from '../../src/decision/permission.ts';
import { type Decider, PendingTable } from '../../src/decision/table.ts';

class Later implements Decider<string> {
  readonly asked: { access: string; id: number; dueMs: number }[] = [];
  readonly onError = DENY;
  readonly deadlineMs: number;
  readonly onTimeout: Ruling;
  constructor(deadlineMs: number, onTimeout: Ruling = ALLOW) {
    this.deadlineMs = deadlineMs;
    this.onTimeout = onTimeout;
  }
  decide(access: string, id: number, dueMs: number): undefined {
    this.asked.push({ access, id, dueMs });
  }
}

function tableThatNotes(): { table: PendingTable<string>; left: [string, boolean][] } {
  const left: [string, boolean][] = [];
  return { left, table: new PendingTable((access, { allowed }) => left.push([access, allowed])) };
}

describe('an access', () => {
  test('is asked of each decider in turn, and allowed when all have allowed', () => {
    const { table, left } = tableThatNotes();
    const [first, second] = [new Later(100), new Later(50)];
    table.hold('a', [first, second], 0);
    expect(second.asked).toEqual([]);
    expect(table.settle(first.asked[0]?.id ?? 0, first, ALLOW, 30)).toBe(true);
    expect(second.asked).toMatchObject([{ access: 'a', dueMs: 80 }]);
    expect(left).toEqual([]);
    table.settle(second.asked[0]?.id ?? 0, second, ALLOW, 40);
    expect(left).toEqual([['a', true]]);
  });

  test('is denied by the first that denies, and no other is asked', () => {
    const { table, left } = tableThatNotes();
    const [first, second] = [new Later(100), new Later(50)];
    table.hold('a', [first, second], 0);
    table.settle(first.asked[0]?.id ?? 0, first, DENY, 1);
    expect([left, second.asked, table.size]).toEqual([[['a', false]], [], 0]);
  });

  test('gets the policy of whoever does not decide in time, and the next is asked', () => {
    const { table, left } = tableThatNotes();
    const [first, second] = [new Later(100, ALLOW), new Later(50, DENY)];
    table.hold('a', [first, second], 0);
    expect(table.expire(99)).toBe(0);
    expect(table.expire(100)).toBe(1);
    expect(table.settle(first.asked[0]?.id ?? 0, first, DENY, 101)).toBe(false);
    table.expire(150);
    expect(left).toEqual([['a', false]]);
  });

  test('gets the policy for errors of whoever throws', () => {
    const { table, left } = tableThatNotes();
    const thrower: Decider<string> = {
      deadlineMs: 1,
      onTimeout: ALLOW,
      onError: DENY,
      decide: () => {
        throw new Error('no');
      },
    };
    table.hold('a', [thrower], 0);
    expect(left).toEqual([['a', false]]);
  });
});

test('whatever happens, each access leaves exactly once, and never after its deadlines', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('hold'), deciders: fc.array(fc.nat(2), { minLength: 0, maxLength: 3 }) }),
    fc.record({ kind: fc.constant('settle'), decider: fc.nat(2), which: fc.nat(20), allow: fc.boolean() }),
    fc.record({ kind: fc.constant('time'), ms: fc.nat(60) }),
    fc.record({ kind: fc.constant('abandon'), decider: fc.option(fc.nat(2)) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { table, left } = tableThatNotes();
      const deciders = [new Later(10, ALLOW), new Later(50, DENY), new Later(30, ALLOW)];
      const at = (index: number) => deciders[index] as Later;
      let now = 0;
      let held = 0;
      for (const one of steps) {
        if ('deciders' in one) table.hold(`${held++}`, one.deciders.map(at), now);
        else if ('which' in one) {
          const asked = at(one.decider).asked;
          const ask = asked[one.which % Math.max(1, asked.length)];
          if (ask) table.settle(ask.id, at(one.decider), one.allow ? ALLOW : DENY, now);
        } else if ('ms' in one) {
          now += one.ms;
          table.expire(now);
          expect(table.nextDueMs).toBeGreaterThan(now);
        } else table.abandon(now, one.decider === null ? undefined : at(one.decider));
        expect(left.length + table.size).toBe(held);
      }
      table.abandon(now);
      expect(table.size).toBe(0);
      expect(new Set(left.map(([access]) => access)).size).toBe(held);
      expect(left.length).toBe(held);
    }),
    { numRuns: 2_000 },
  );
});

// Reads what a group hears: waits for events, never for time to pass.

import type { Group, GroupEvent, GroupMode } from '../../src/index.ts';

const DEADLINE_MS = 10_000;

/**
 * Events up to the first that `isLast` holds for, that one included.
 *
 * @throws when it does not come within ten seconds, telling what came instead.
 */
export async function eventsUntil<Mode extends GroupMode>(
  group: Group<Mode>,
  isLast: (event: GroupEvent<Mode>) => boolean,
): Promise<GroupEvent<Mode>[]> {
  const events: GroupEvent<Mode>[] = [];
  const iterator = group[Symbol.asyncIterator]();
  const late = new AbortController();
  const deadline = new Promise<never>((_, reject) => {
    const timer = setTimeout(() => reject(new Error(`the event did not come: ${JSON.stringify(events)}`)), DEADLINE_MS);
    late.signal.addEventListener('abort', () => clearTimeout(timer));
  });
  try {
    for (;;) {
      const { value, done } = await Promise.race([iterator.next(), deadline]);
      if (done) throw new Error(`the group ended: ${JSON.stringify(events)}`);
      events.push(value);
      if (isLast(value)) return events;
    }
  } finally {
    late.abort();
  }
}

/** The next `count` events. */
export function nextEvents<Mode extends GroupMode>(group: Group<Mode>, count: number): Promise<GroupEvent<Mode>[]> {
  let left = count;
  return eventsUntil(group, () => --left === 0);
}

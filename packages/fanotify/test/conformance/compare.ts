// Holds what was seen against what a case expects: only what it names is compared, and the kernel's freedoms are left to it.

import type { ExpectedEvent, ExpectedRecord, Outcome } from './case.ts';

/** The first difference, in words; undefined when there is none. */
export type Difference = string | undefined;

export function compareOutcomes(expected: readonly Outcome[], got: readonly Outcome[]): Difference {
  for (let i = 0; i < Math.max(expected.length, got.length); i++) {
    if (expected[i] !== got[i])
      return `operation ${i + 1}: expected ${expected[i] ?? 'none'}, got ${got[i] ?? 'nothing'}`;
  }
  return undefined;
}

/**
 * Compares lists of events in order.
 *
 * @param mergeable A merged mask may arrive split, in several events about the same thing.
 */
export function compareEvents(
  expected: readonly ExpectedEvent[],
  got: readonly ExpectedEvent[],
  mergeable = false,
): Difference {
  const [wanted, seen] = mergeable ? [merged(expected), merged(got)] : [expected, got];
  for (let i = 0; i < Math.max(wanted.length, seen.length); i++) {
    const want = wanted[i];
    const have = seen[i];
    if (want === undefined) return `event ${i + 1}: not expected: ${have && eventText(have)}`;
    if (have === undefined) return `event ${i + 1}: missing: ${eventText(want)}`;
    const difference = compareEvent(want, have);
    if (difference !== undefined) return `event ${i + 1}: ${difference}`;
  }
  return undefined;
}

export function compareEvent(expected: ExpectedEvent, got: ExpectedEvent): Difference {
  if (expected.mask !== undefined) {
    const missing = expected.mask.filter((bit) => !got.mask?.includes(bit));
    const extra = (got.mask ?? []).filter((bit) => !expected.mask?.includes(bit));
    if (missing.length > 0) return `mask lacks ${missing.join(' ')}`;
    if (extra.length > 0) return `mask has also ${extra.join(' ')}`;
  }
  for (const field of ['failed', 'answered', 'group', 'pid', 'fd', 'path'] as const) {
    const want = expected[field];
    if (want !== undefined && want !== got[field]) return `${field}: expected ${want}, got ${got[field] ?? 'none'}`;
  }
  if (expected.info === undefined) return undefined;
  const records = got.info ?? [];
  for (let i = 0; i < Math.max(expected.info.length, records.length); i++) {
    const want = expected.info[i];
    const have = records[i];
    if (want === undefined) return `record ${i + 1}: not expected: ${have && recordText(have)}`;
    if (have === undefined) return `record ${i + 1}: missing: ${recordText(want)}`;
    const difference = compareRecord(want, have);
    if (difference !== undefined) return `record ${i + 1}: ${difference}`;
  }
  return undefined;
}

const RECORD_FIELDS = ['type', 'object', 'name', 'offset', 'count', 'pidfd', 'error', 'errorCount', 'mount'] as const;

function compareRecord(expected: ExpectedRecord, got: ExpectedRecord): Difference {
  for (const field of RECORD_FIELDS) {
    const want = expected[field];
    if (want === undefined || want === '?') continue;
    if (want !== got[field]) return `${field}: expected ${want}, got ${got[field] ?? 'none'}`;
  }
  return undefined;
}

/**
 * Joins the events that the kernel may merge, each where its first one was. It never merges an event about a directory
 * (FAN_ONDIR) with one that is not, nor a FAN_RENAME with anything else (fanotify_should_merge in 6.18).
 */
function merged(events: readonly ExpectedEvent[]): ExpectedEvent[] {
  const byKey = new Map<string, ExpectedEvent>();
  for (const event of events) {
    const kind = (event.mask ?? []).filter((bit) => bit === 'FAN_ONDIR' || bit === 'FAN_RENAME');
    const key = JSON.stringify([kind, event.pid, event.fd, event.path, event.info?.map(recordText)]);
    const before = byKey.get(key);
    byKey.set(key, { ...event, mask: [...new Set([...(before?.mask ?? []), ...(event.mask ?? [])])] });
  }
  return [...byKey.values()];
}

export function eventText({ mask, group, pid, fd, path, info, failed, answered }: ExpectedEvent): string {
  if (failed !== undefined) return `read failed with ${failed}`;
  return [
    mask === undefined ? 'any mask' : mask.map((bit) => bit.replace(/^FAN_/, '')).join('|') || 'no bits',
    group === undefined ? [] : `group=${group}`,
    pid === undefined ? [] : `pid=${pid}`,
    fd === undefined ? [] : `fd=${fd}`,
    path === undefined ? [] : `path=${path}`,
    info?.map((record) => `[${recordText(record)}]`) ?? [],
    answered === undefined ? [] : `answered=${answered}`,
  ]
    .flat()
    .join(' ');
}

function recordText(record: ExpectedRecord): string {
  return RECORD_FIELDS.flatMap((field) => {
    const value = record[field];
    if (value === undefined) return [];
    return field === 'type' ? String(value) : `${field}=${field === 'name' ? JSON.stringify(value) : value}`;
  }).join(' ');
}

// The status as people and as collectors of metrics read it.

import type { GroupStatus } from 'fanotify/broker';
import { expect, test } from 'vitest';
import { metricsText } from '../src/metrics.ts';
import type { DaemonStatus } from '../src/status.ts';
import { statusText } from '../src/status-text.ts';

const limits = { marks: 1, queueBytes: 1, descriptors: 1, pending: 1, requestsPerSecond: 1 };
const group: GroupStatus = {
  id: 4,
  kind: 'descriptors',
  uid: 1000,
  pid: 77,
  priority: 200,
  marks: 3,
  queued: 2,
  queuedBytes: 48,
  delivered: 10,
  lost: 5,
  overflows: 1,
  pending: 2,
  oldestMs: 1_234.4,
  allowed: 8,
  denied: 1,
  timedOut: 1,
  refused: 0,
  limits,
};
const totals = {
  read: 100,
  kernelOverflows: 1,
  kernelMarks: 2,
  answered: 4,
  timedOut: 1,
  heldSeconds: { bounds: [0.001, 0.1], counts: [1, 2, 1], sum: 2.2 },
  unplaced: 3,
  visits: 9,
  visitsStuck: 1,
};
const status: DaemonStatus = {
  version: '1.2.3',
  pid: 5,
  upSeconds: 90_000,
  configuration: { file: '/etc/fanotifyd.yaml', readAt: '2026-01-01T00:00:00.000Z' },
  connections: {
    accepted: 12,
    waiting: 1,
    refused: { rate: 2, waiting: 0, malformed: 1, silent: 0, limit: 0, restarting: 0 },
  },
  brokers: [
    { kind: 'descriptors', pid: 6, isWell: true, restarts: 0, clients: 2, totals },
    { kind: 'names', pid: undefined, isWell: false, restarts: 3, clients: 0, totals: undefined },
  ],
  groups: [group, { ...group, id: 5, priority: 0, pending: 0, lost: 1 }],
  users: [{ uid: 1000, groups: 2 }],
};

test('people read a table: groups in order of priority, what waits and since when, and how long accesses were held', () => {
  expect(statusText(status, (uid) => (uid === 1000 ? 'anna' : String(uid))).split('\n')).toEqual([
    'fanotifyd 1.2.3, process 5, for 1 d 1 h',
    'Configuration: /etc/fanotifyd.yaml (read 2026-01-01T00:00:00.000Z)',
    'Connections: 12 taken, 1 without a request; refused: 2 connected too often, 1 malformed',
    '',
    'BROKER       PROCESS  STATE     RESTARTS  GROUPS  READ  OVERFLOWS  KERNEL MARKS  ANSWERED  TIMED OUT  VISITS  STUCK',
    'descriptors        6  well             0       2   100          1             2         4          1       9      1',
    'names              -  starting         3       0     -          -             -         -          -       -      -',
    '',
    'GROUP  KIND         USER  PROCESS  PRIORITY  MARKS  QUEUED  BYTES  DELIVERED  LOST  PENDING   OLDEST  ALLOWED  DENIED  TIMED OUT  REFUSED',
    '4      descriptors  anna       77       200      3       2     48         10     5        2  1234 ms        8       1          1        0',
    '5      descriptors  anna       77         0      3       2     48         10     1        0        -        8       1          1        0',
    '',
    'USER  GROUPS',
    'anna       2',
    '',
    'Accesses were held for 550 ms on average:',
    'HELD          ACCESSES   SHARE',
    'up to 1.0 ms         1  25.0 %',
    'up to 100 ms         2  50.0 %',
    'over 100 ms          1  25.0 %',
  ]);
});

test('metrics are OpenMetrics, whose labels do not grow with clients', async () => {
  const lines = (await metricsText(status)).split('\n');
  expect(lines).toEqual(
    expect.arrayContaining([
      '# TYPE fanotifyd_events_read counter',
      'fanotifyd_events_read_total{broker="descriptors"} 100',
      'fanotifyd_lost_events{broker="descriptors"} 6',
      'fanotifyd_pending_accesses{broker="descriptors"} 2',
      'fanotifyd_oldest_pending_seconds{broker="descriptors"} 1.2344000000000002',
      'fanotifyd_broker_up{broker="names"} 0',
      'fanotifyd_broker_restarts_total{broker="names"} 3',
      'fanotifyd_connections_refused_total{cause="rate"} 2',
      '# TYPE fanotifyd_held_seconds histogram',
      'fanotifyd_held_seconds_bucket{broker="descriptors",le="0.001"} 1',
      'fanotifyd_held_seconds_bucket{broker="descriptors",le="0.1"} 3',
      'fanotifyd_held_seconds_bucket{broker="descriptors",le="+Inf"} 4',
      'fanotifyd_held_seconds_sum{broker="descriptors"} 2.2',
      'fanotifyd_held_seconds_count{broker="descriptors"} 4',
    ]),
  );
  expect(lines.slice(-2)).toEqual(['# EOF', '']);
  const many = { ...status, groups: Array.from({ length: 500 }, (_, id) => ({ ...group, id, uid: id, pid: id })) };
  expect((await metricsText(many)).split('\n')).toHaveLength(lines.length);
  // Each sample belongs to a family that was named before it.
  let family = '';
  for (const line of lines.slice(0, -2)) {
    if (line.startsWith('# TYPE ')) family = line.split(' ')[2] ?? '';
    else if (!line.startsWith('#')) expect(line.startsWith(family), line).toBe(true);
    expect(line).toMatch(/^(# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? [\d.e+-]+)$/);
  }
});

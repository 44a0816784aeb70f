// The status for people: a table.

import type { DaemonStatus } from './status.ts';

const MS = 1_000;
const REFUSALS = {
  rate: 'connected too often',
  waiting: 'too many that said nothing',
  malformed: 'malformed',
  silent: 'said nothing',
  limit: 'over their limits',
  restarting: 'while a broker was started anew',
} as const;

/** Several lines. */
export function statusText(status: DaemonStatus, nameOf: (uid: number) => string): string {
  const { version, pid, upSeconds, configuration, connections, brokers, groups, users } = status;
  const refused = Object.entries(connections.refused)
    .filter(([, count]) => count > 0)
    .map(([cause, count]) => `${count} ${REFUSALS[cause as keyof typeof REFUSALS]}`);
  const lines = [
    `fanotifyd ${version}, process ${pid}, for ${duration(upSeconds)}`,
    `Configuration: ${configuration.file ?? 'none, so that nobody is granted anything'} (read ${configuration.readAt})`,
    `Connections: ${connections.accepted} taken, ${connections.waiting} without a request${
      refused.length > 0 ? `; refused: ${refused.join(', ')}` : ''
    }`,
    '',
    ...table([
      [
        'BROKER',
        'PROCESS',
        'STATE',
        'RESTARTS',
        'GROUPS',
        'READ',
        'OVERFLOWS',
        'KERNEL MARKS',
        'ANSWERED',
        'TIMED OUT',
        'VISITS',
        'STUCK',
      ],
      ...brokers.map(({ kind, pid, isWell, restarts, clients, totals }) => [
        kind,
        String(pid ?? '-'),
        isWell && totals ? 'well' : pid === undefined ? 'starting' : 'silent',
        String(restarts),
        String(clients),
        ...[totals?.read, totals?.kernelOverflows, totals?.kernelMarks, totals?.answered, totals?.timedOut].map(count),
        ...[totals?.visits, totals?.visitsStuck].map(count),
      ]),
    ]),
  ];
  if (groups.length > 0) {
    lines.push(
      '',
      ...table([
        [
          'GROUP',
          'KIND',
          'USER',
          'PROCESS',
          'PRIORITY',
          'MARKS',
          'QUEUED',
          'BYTES',
          'DELIVERED',
          'LOST',
          'PENDING',
          'OLDEST',
          'ALLOWED',
          'DENIED',
          'TIMED OUT',
          'REFUSED',
        ],
        ...groups.map((group) => [
          String(group.id),
          group.kind,
          nameOf(group.uid),
          String(group.pid),
          ...[group.priority, group.marks, group.queued, group.queuedBytes, group.delivered, group.lost].map(String),
          String(group.pending),
          group.pending > 0 ? `${Math.round(group.oldestMs)} ms` : '-',
          ...[group.allowed, group.denied, group.timedOut, group.refused].map(String),
        ]),
      ]),
    );
  }
  if (users.length > 0) {
    lines.push('', ...table([['USER', 'GROUPS'], ...users.map(({ uid, groups }) => [nameOf(uid), String(groups)])]));
  }
  const held = brokers.find(({ totals }) => totals?.heldSeconds.counts.some((count) => count > 0))?.totals?.heldSeconds;
  if (held) {
    const all = held.counts.reduce((sum, count) => sum + count, 0);
    const rows = held.counts.flatMap((count, at) => {
      if (count === 0) return [];
      const bound = held.bounds[at];
      const range = bound === undefined ? `over ${shortTime(held.bounds.at(-1) ?? 0)}` : `up to ${shortTime(bound)}`;
      return [[range, String(count), `${((100 * count) / all).toFixed(1)} %`]];
    });
    lines.push(
      '',
      `Accesses were held for ${shortTime(held.sum / all)} on average:`,
      ...table([['HELD', 'ACCESSES', 'SHARE'], ...rows]),
    );
  }
  return lines.join('\n');
}

function count(value: number | undefined): string {
  return value === undefined ? '-' : String(value);
}

/** The first column is text; what are numbers stand to the right. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  const isNumber = widths.map((_, column) =>
    rows.slice(1).every((row) => /^(-|[\d.]+( ms| %)?)$/.test(row[column] ?? '')),
  );
  return rows.map((row) =>
    row
      .map((cell, column) =>
        isNumber[column] && column > 0 ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
}

function shortTime(seconds: number): string {
  const ms = seconds * MS;
  if (ms >= MS) return `${(ms / MS).toFixed(1)} s`;
  return ms >= 1 ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : `${Math.round(ms * MS)} µs`;
}

function duration(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  if (minutes === 0) return `${Math.floor(seconds)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours === 0) return `${minutes} min`;
  const days = Math.floor(hours / 24);
  return days === 0 ? `${hours} h ${minutes % 60} min` : `${days} d ${hours % 24} h`;
}

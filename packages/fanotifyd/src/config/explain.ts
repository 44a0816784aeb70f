// What a configuration means, in sentences: `fanotifyd check`.

import type { Config } from './config.ts';
import type { ConfiguredGrant } from './grants.ts';
import type { UserLimits } from './limits.ts';
import type { Accounts } from './values.ts';

const LIMIT_WORDS: { readonly [name in keyof UserLimits]: string } = {
  groups: 'groups of one user',
  marks: 'marks of a group',
  queueBytes: 'bytes that wait for a group',
  descriptors: 'descriptors under way to a group',
  pending: 'accesses that wait for a group',
  requestsPerSecond: 'requests of a group in a second',
  longestMs: 'milliseconds for which a group lets an access wait',
};

/** Lines for people. */
export function explainConfig(config: Config, accounts: Accounts): string[] {
  const { socket, admin, metrics, log, stuckAfterMs, limits, grants } = config;
  const place = ({ path, mode, gid }: Config['socket']) =>
    `${path}, mode 0${mode.toString(8)}${gid === undefined ? '' : `, group ${accounts.nameOf('group', gid)}`}`;
  return [
    `Clients connect at ${place(socket)} (or where the socket unit says).`,
    `Status at ${admin}, for the daemon's user alone.`,
    metrics === undefined
      ? 'Metrics are told at the status alone.'
      : `Metrics also at ${'path' in metrics ? place(metrics) : `http://${metrics.address.includes(':') ? `[${metrics.address}]` : metrics.address}:${metrics.port}/metrics`}.`,
    `The log has lines from '${log.level}' on, as ${log.format}.`,
    `A broker that is silent for ${stuckAfterMs} ms is started anew.`,
    'Everybody: hears of what that user can reach, at or below what it marks; not who did it, unless it was that user; holds nothing.',
    `  At most ${limitWords(limits)}.`,
    ...grants.flatMap((grant, index) => explainGrant(grant, index, accounts)),
    ...(grants.length === 0 ? ['Nobody is granted more.'] : []),
  ];
}

function explainGrant(
  { line, uids, gids, grant, limits }: ConfiguredGrant,
  index: number,
  accounts: Accounts,
): string[] {
  const named = (what: 'user' | 'group', ids: readonly number[]) =>
    ids.map((id) => {
      const name = accounts.nameOf(what, id);
      return name === String(id) ? `${what} ${id}` : `${what} ${name} (${id})`;
    });
  const who = [...named('user', uids), ...named('group', gids)].join(', ');
  const powers = [
    grant.all &&
      'hears of all files, also of those that it could not reach, and gets them open as the kernel gives them',
    grant.decide && 'holds accesses, and decides on them',
    grant.system && 'marks whole file systems, and the whole system',
    grant.pids && "hears the process ids of other users' processes",
  ].filter((power) => power !== false);
  const where = grant.under === null ? 'Everywhere' : `At and below ${grant.under.join(', ')}`;
  return [
    `Grant ${index + 1} (line ${line}) of ${who}:`,
    ...(powers.length > 0 ? [`  ${where}: ${powers.join('; ')}.`] : []),
    ...(Object.keys(limits).length > 0 ? [`  At most ${limitWords(limits)}.`] : []),
  ];
}

function limitWords(limits: Partial<UserLimits>): string {
  return Object.entries(limits)
    .map(([name, value]) => `${value.toLocaleString('en-US')} ${LIMIT_WORDS[name as keyof UserLimits]}`)
    .join(', ');
}

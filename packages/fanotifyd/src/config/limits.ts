// How much of one user is kept at most.

import type { ClientLimits } from 'fanotify/broker';
import type { ConfigText, Spot } from './config-text.ts';
import { integer } from './values.ts';

/** What counts for each group of a user, and how many of those there may be. */
export interface UserLimits extends ClientLimits {
  readonly longestMs: number;
  /** Groups of one user at a time, each of which is a connection. More are refused: EMFILE. */
  readonly groups: number;
}

interface Limit {
  readonly least: number;
  readonly most: number;
  readonly usual: number;
}

const LIMITS: { readonly [name in keyof UserLimits]: Limit } = {
  groups: { least: 0, most: 10_000, usual: 32 },
  marks: { least: 1, most: 1_000_000, usual: 8_192 },
  queueBytes: { least: 65_536, most: 1024 ** 3, usual: 2 * 1024 ** 2 },
  descriptors: { least: 1, most: 16_384, usual: 256 },
  pending: { least: 1, most: 4_096, usual: 256 },
  requestsPerSecond: { least: 1, most: 1_000_000, usual: 2_000 },
  longestMs: { least: 1, most: 3_600_000, usual: 60_000 },
};

const LIMIT_NAMES = Object.keys(LIMITS) as readonly (keyof UserLimits)[];

/** What an unconfigured user has. */
export const USUAL_LIMITS: UserLimits = limitsBy((name) => LIMITS[name].usual);

export function limitsBy(value: (name: keyof UserLimits) => number): UserLimits {
  return Object.fromEntries(LIMIT_NAMES.map((name) => [name, value(name)])) as { [name in keyof UserLimits]: number };
}

/** Those that are said. */
export function limitsOf(text: ConfigText, node: Spot): Partial<UserLimits> {
  const fields = text.fields(node, "'limits'", LIMIT_NAMES);
  if (!fields) return {};
  const said = LIMIT_NAMES.flatMap((name) => {
    const { least, most } = LIMITS[name];
    const value = fields[name] && integer(text, fields[name], name, least, most);
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(said);
}

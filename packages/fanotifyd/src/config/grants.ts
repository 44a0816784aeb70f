// What users are granted beyond what everybody may.

import { lstatSync, realpathSync } from 'node:fs';
import type { Grant } from 'fanotify/broker';
import type { Node } from 'yaml';
import type { ConfigText, Spot } from './config-text.ts';
import { limitsOf, type UserLimits } from './limits.ts';
import { type Accounts, absolute, flag } from './values.ts';

const POWERS = ['all', 'decide', 'system', 'pids'] as const;
const FIELDS = ['users', 'groups', 'under', ...POWERS, 'limits'] as const;
/** The grants of a client go into one message, beside its connection. */
const MOST_PATH_BYTES = 32 * 1024;

/** A grant of the file. Who is one of `uids` or in one of `gids` has it. */
export interface ConfiguredGrant {
  readonly line: number;
  readonly uids: readonly number[];
  readonly gids: readonly number[];
  readonly grant: Grant;
  readonly limits: Partial<UserLimits>;
}

export function grantsOf(text: ConfigText, node: Node, accounts: Accounts): ConfiguredGrant[] {
  if (!text.isList(node)) {
    text.shape(node, "'grants' is a list: a line that begins with '-' for each");
    return [];
  }
  const grants = text.items(node).flatMap((item) => grantOf(text, item, accounts) ?? []);
  const bytes = grants.reduce((sum, { grant }) => sum + Buffer.byteLength((grant.under ?? []).join('')), 0);
  if (bytes > MOST_PATH_BYTES) {
    text.meaning(
      node,
      `the paths of all grants have ${bytes} bytes, and may have ${MOST_PATH_BYTES}: name what is above them`,
    );
  }
  return grants;
}

function grantOf(text: ConfigText, node: Spot, accounts: Accounts): ConfiguredGrant | undefined {
  const fields = text.fields(node, 'a grant', FIELDS);
  if (!fields) return undefined;
  const uids = accounts.idsOf(text, fields.users, 'user');
  const gids = accounts.idsOf(text, fields.groups, 'group');
  if (!fields.users && !fields.groups) text.shape(node, "a grant says whose it is: 'users', 'groups', or both");
  const under = fields.under ? text.items(fields.under).flatMap((item) => directory(text, item) ?? []) : null;
  const problemsBefore = text.problems.length;
  const powerOf = (name: (typeof POWERS)[number]) => (fields[name] && flag(text, fields[name], name)) ?? false;
  const grant: Grant = {
    under,
    all: powerOf('all'),
    decide: powerOf('decide'),
    system: powerOf('system'),
    pids: powerOf('pids'),
  };
  if (grant.system && fields.under) {
    text.meaning(fields.system, "'system' is of whole file systems: leave 'under' out, or 'system'");
  }
  const isRead = text.problems.length === problemsBefore;
  const grantsNothing = isRead && !grant.all && !grant.decide && !grant.system && !grant.pids;
  if (grantsNothing && !fields.limits) {
    text.meaning(node, "this grants nothing: say 'all', 'decide', 'system' or 'pids' to be true, or 'limits'");
  } else if (grantsNothing && fields.under) {
    text.warning(fields.under, "'limits' are those of a user wherever its marks are: 'under' says nothing here");
  }
  const limits = fields.limits ? limitsOf(text, fields.limits) : {};
  return { line: text.lineOf(node), uids, gids, grant, limits };
}

function directory(text: ConfigText, node: Spot): string | undefined {
  const path = absolute(text, node, 'what a grant is under');
  if (path === undefined) return undefined;
  try {
    const real = realpathSync(path);
    if (real !== path) {
      const why = 'leads through a symbolic link, and grants are of where directories are';
      return text.meaning(node, `${JSON.stringify(path)} ${why}: write ${JSON.stringify(real)}`);
    }
    if (!lstatSync(path).isDirectory()) text.warning(node, `${JSON.stringify(path)} is no directory`);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'is not there now' : `cannot be looked at (${code})`;
    text.warning(node, `${JSON.stringify(path)} ${why}`);
  }
  return path;
}

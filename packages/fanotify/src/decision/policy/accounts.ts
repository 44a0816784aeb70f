// Users and groups by name: passwd(5) and group(5).

import { readFileSync } from 'node:fs';

/** What users and groups are called here. */
export interface Accounts {
  readonly users: ReadonlyMap<string, number>;
  readonly groups: ReadonlyMap<string, number>;
}

/** Those of this machine's files; what other services know (LDAP) is not among them. */
export function readAccounts(): Accounts {
  return { users: namesIn('/etc/passwd'), groups: namesIn('/etc/group') };
}

function namesIn(file: string): Map<string, number> {
  const names = new Map<string, number>();
  let text = '';
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    // Without it there are numbers alone.
  }
  for (const line of text.split('\n')) {
    const [name, , number] = line.split(':');
    if (name && number && /^\d+$/.test(number) && !names.has(name)) names.set(name, Number(number));
  }
  return names;
}

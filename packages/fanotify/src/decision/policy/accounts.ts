// Users and groups by name: passwd(5) and group(5).

import { accountNamesIn } from '../../identity/account-names.ts';

/** What users and groups are called here. */
export interface Accounts {
  readonly users: ReadonlyMap<string, number>;
  readonly groups: ReadonlyMap<string, number>;
}

/** Those of this machine's files; what other services know (LDAP) is not among them. */
export function readAccounts(): Accounts {
  return { users: accountNamesIn('/etc/passwd'), groups: accountNamesIn('/etc/group') };
}

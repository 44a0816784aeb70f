// What users and groups are called here: passwd(5) and group(5). What other services know (LDAP) is not among them.

import { readFileSync } from 'node:fs';

/**
 * The ids of the names in a file of the form of passwd(5) or group(5); of several with one name the first. Without the file there are none.
 *
 * @param file By its path.
 * @example
 * import { accountNamesIn } from 'fanotify/broker';
 * console.log(accountNamesIn('/etc/passwd').get('root')); // 0
 */
export function accountNamesIn(file: string): Map<string, number> {
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

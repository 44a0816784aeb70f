// Single values of the configuration: numbers, paths, modes, and users and groups by name or number.

import { accountNamesIn } from 'fanotify/broker';
import type { Node } from 'yaml';
import type { ConfigText, Spot } from './config-text.ts';

/** unix(7): sun_path without the zero at its end. */
const MOST_SOCKET_PATH_BYTES = 107;
/** The one before (uid_t) -1, which means "none". */
const LAST_ID = 0xffff_fffe;

export function oneOf<T extends string>(
  text: ConfigText,
  node: Spot,
  what: string,
  known: readonly T[],
): T | undefined {
  const value = text.scalar(node);
  if (known.includes(value as T)) return value as T;
  return text.shape(node, `there is no such ${what}: it is ${known.slice(0, -1).join(', ')} or ${known.at(-1)}`);
}

export function integer(text: ConfigText, node: Spot, name: string, least: number, most: number): number | undefined {
  const value = text.scalar(node);
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
  const range = `from ${least.toLocaleString('en-US')} to ${most.toLocaleString('en-US')}`;
  return text.shape(node, `'${name}' is a whole number ${range}`);
}

export function flag(text: ConfigText, node: Spot, name: string): boolean | undefined {
  const value = text.scalar(node);
  return typeof value === 'boolean' ? value : text.shape(node, `'${name}' is true or false`);
}

/** An absolute path without '.', '..' or a '/' too much: places are compared by their text. */
export function absolute(text: ConfigText, node: Spot, what: string): string | undefined {
  const value = text.scalar(node);
  if (typeof value !== 'string' || !/^\/[^\0]*$/.test(value))
    return text.shape(node, `${what} is absolute: begin with '/'`);
  const plain = `/${value
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/')}`;
  if (plain.split('/').includes('..')) return text.meaning(node, `${what} goes up by '..': write where it leads`);
  return plain;
}

export function socketPath(text: ConfigText, node: Spot): string | undefined {
  const path = absolute(text, node, "a socket's path");
  if (path === undefined || Buffer.byteLength(path) <= MOST_SOCKET_PATH_BYTES) return path;
  return text.meaning(node, `a socket's path has at most ${MOST_SOCKET_PATH_BYTES} bytes`);
}

/** A mode is text: what YAML makes of 0660 without quotes is another number. */
export function mode(text: ConfigText, node: Spot): number | undefined {
  const value = text.scalar(node);
  if (typeof value === 'string' && /^0?[0-7]{3}$/.test(value)) return Number.parseInt(value, 8);
  return text.shape(node, "a mode is written as chmod(1) takes it, in quotes: '0660'");
}

/** What users or groups are called here. */
export class Accounts {
  readonly #files: Readonly<Record<'user' | 'group', string>>;
  readonly #names = new Map<string, Map<string, number>>();

  constructor(users = '/etc/passwd', groups = '/etc/group') {
    this.#files = { user: users, group: groups };
  }

  idOf(text: ConfigText, node: Spot, what: 'user' | 'group'): number | undefined {
    const value = text.scalar(node);
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= LAST_ID) return value;
    if (typeof value !== 'string' || value === '') return text.shape(node, `a ${what} is a name, or a number`);
    const id = this.idNamed(what, value);
    if (id !== undefined) return id;
    const file = this.#files[what];
    return text.meaning(node, `there is no ${what} '${value}' in ${file}: write its number, if it is known elsewhere`);
  }

  idsOf(text: ConfigText, node: Node | undefined, what: 'user' | 'group'): number[] {
    if (!node) return [];
    return text.items(node).flatMap((item) => this.idOf(text, item, what) ?? []);
  }

  /** The id of a name; undefined where there is no such name. */
  idNamed(what: 'user' | 'group', name: string): number | undefined {
    return this.#namesOf(what).get(name);
  }

  /** The name of an id, for people: its number where it has none. */
  nameOf(what: 'user' | 'group', id: number): string {
    for (const [name, other] of this.#namesOf(what)) if (other === id) return name;
    return String(id);
  }

  #namesOf(what: 'user' | 'group'): Map<string, number> {
    let names = this.#names.get(what);
    if (!names) {
      names = accountNamesIn(this.#files[what]);
      this.#names.set(what, names);
    }
    return names;
  }
}

// What the generator takes to be there: it makes steps that mostly succeed. Where it is wrong, a step fails, on both kernels alike.

import type { Random } from './random.ts';
import { WORLD } from './world.ts';

export type Kind = 'file' | 'dir' | 'symlink' | 'program';

const NAMES = ['a', 'b', 'c', 'n1', 'n2', 'n3', 'ünï', 'a-name-of-some-length-that-needs-padding.txt', 'x'];

const FOCI = ['$M/d1', '$M/d1', '$M/d2', '$M/free', '$M/d1/sub', '$T', '$M'];

export class ImaginedTree {
  readonly #random: Random;
  readonly #kinds = new Map<string, Kind>([
    ['$M', 'dir'],
    ['$T', 'dir'],
  ]);
  readonly #mounts: string[] = [];
  /** Where most of it happens: marks, and what they hear. */
  readonly #focus: string;

  constructor(random: Random) {
    this.#random = random;
    for (const { kind, path } of WORLD) this.#kinds.set(path, kind === 'link' ? 'file' : (kind as Kind));
    this.#focus = random.pick(FOCI);
  }

  /** Something that is there, by the path of the bind mount now and then. */
  existing(...kinds: Kind[]): string {
    const paths = [...this.#kinds].filter(([, kind]) => kinds.includes(kind)).map(([path]) => path);
    const focused = this.#random.chance(0.6) ? paths.filter((path) => this.#isFocused(path)) : [];
    const path = paths.length === 0 ? '$M/none' : this.#random.pick(focused.length > 0 ? focused : paths);
    return this.#alias(path);
  }

  file(): string {
    if (this.#random.chance(0.02)) return this.existing('dir');
    return this.existing('file', 'file', 'program', ...(this.#random.chance(0.1) ? (['symlink'] as const) : []));
  }

  directory(): string {
    return this.existing('dir');
  }

  anything(): string {
    return this.#random.chance(0.03) ? `${this.directory()}/none` : this.existing('file', 'dir', 'symlink', 'program');
  }

  /** Where nothing is, mostly. */
  fresh(): string {
    if (this.#random.chance(0.06)) return this.anything();
    return `${this.directory()}/${this.#random.pick(NAMES)}`;
  }

  /** Where `path` could be linked or moved to, mostly: on the same mount, by what `choose` says. */
  beside(path: string, choose: () => string): string {
    let other = choose();
    for (let i = 0; i < 5 && other.slice(0, 2) !== path.slice(0, 2); i++) other = choose();
    return other;
  }

  get hasMounts(): boolean {
    return this.#mounts.length > 0;
  }

  /** The focus, and what is right in it. */
  #isFocused(path: string): boolean {
    return path === this.#focus || (path.startsWith(`${this.#focus}/`) && !path.includes('/', this.#focus.length + 1));
  }

  /** Something that is not the root of a file system of the sequence's own. */
  mountpoint(...kinds: Kind[]): string {
    const path = this.existing(...kinds);
    return path.length > 2 ? path : '$M/d1';
  }

  mounted(): string {
    return this.#mounts.length === 0 ? this.mountpoint('dir') : this.#random.pick(this.#mounts);
  }

  made(path: string, kind: Kind): void {
    const real = unalias(path);
    if (!this.#kinds.has(real)) this.#kinds.set(real, kind);
  }

  removed(path: string): void {
    const real = unalias(path);
    if (real.length === 2) return;
    for (const known of [...this.#kinds.keys()]) {
      if (known === real || known.startsWith(`${real}/`)) this.#kinds.delete(known);
    }
  }

  moved(path: string, to: string): void {
    const [from, target] = [unalias(path), unalias(to)];
    if (from === target || target.startsWith(`${from}/`) || from.length === 2 || target.length === 2) return;
    const subtree = [...this.#kinds].filter(([known]) => known === from || known.startsWith(`${from}/`));
    this.removed(target);
    for (const [known, kind] of subtree) {
      this.#kinds.delete(known);
      this.#kinds.set(target + known.slice(from.length), kind);
    }
  }

  exchanged(path: string, to: string): void {
    if (unalias(path).length === 2 || unalias(to).length === 2) return;
    const aside = '$M/aside';
    this.moved(path, aside);
    this.moved(to, path);
    this.moved(aside, to);
  }

  mount(path: string): void {
    this.#mounts.push(path);
  }

  unmount(path: string): void {
    const index = this.#mounts.lastIndexOf(path);
    if (index !== -1) this.#mounts.splice(index, 1);
  }

  #alias(path: string): string {
    return path.startsWith('$M') && this.#random.chance(0.12) ? `$B${path.slice(2)}` : path;
  }
}

function unalias(path: string): string {
  return path.replace('$B', '$M');
}

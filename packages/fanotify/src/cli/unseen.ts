// Says what is not seen: directories and file systems below a path that nobody hears of.

import type { Subtrees } from '../scope/subtree.ts';
import { shortened, shown } from './text.ts';

const LONGEST = 200;

/** Notices about what is not seen: one at the start, and later ones that get rarer the more there is. */
export class Unseen {
  readonly #say: (text: string) => void;
  #directories = 0;
  #filesystems = 0;

  constructor(say: (text: string) => void) {
    this.#say = say;
  }

  tell({ unreadable, unheard }: Pick<Subtrees, 'unreadable' | 'unheard'>): void {
    // Anybody may make directories that nobody else can read: as many lines would be in the way.
    if (unreadable.size > 0 && unreadable.size >= 2 * this.#directories) {
      const paths = [...unreadable];
      const first = shortened(shown(paths[this.#directories] ?? ''), LONGEST);
      const others = paths.length - 1;
      const and = others === 0 ? '' : ` and ${others} other ${others === 1 ? 'directory' : 'directories'}`;
      this.#say(`fanotify: ${first}${and} cannot be read or reached by this user: what happens there is not seen`);
      this.#directories = unreadable.size;
    }
    if (unheard.size > this.#filesystems) {
      const paths = [...unheard].map((path) => shown(path)).join(', ');
      this.#say(`fanotify: not seen, since these file systems cannot be marked: ${paths}`);
      this.#filesystems = unheard.size;
    }
  }
}

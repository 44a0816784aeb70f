// struct fsnotify_iter_info: the marks that could hear of something hang on up to six objects, each list in the order of the groups. The
// walk goes through the lists abreast, group by group, so that each group sees all of its own marks at once.

import type { Markable } from '../files/objects.ts';
import { FAN_EVENT_ON_CHILD } from './bits.ts';
import { compareGroups, type Group } from './group.ts';
import type { Happening } from './happening.ts';
import { ignoreMaskOf, type Mark } from './mark.ts';

/** Which object a mark is on, in the order in which Linux looks at them (enum fsnotify_iter_type). `newDirectory` is that of FAN_RENAME. */
export const HEAD = { inode: 0, mount: 1, filesystem: 2, parent: 3, newDirectory: 4, namespace: 5 } as const;
const HEADS = 6;
const NONE: readonly Mark[] = [];

/** One of the lists: the marks of one object, and how far the walk has come. */
interface List {
  object: Markable;
  head: number;
  marks: readonly Mark[];
  at: number;
}

export class MarkWalk {
  /** Of the objects that have marks at all: mostly one. Lists are used again, since there is a walk for whatever is heard. */
  readonly #lists: List[] = [];
  #count = 0;
  /** By head: the marks of the group that {@link next} has returned. */
  readonly marks: (Mark | undefined)[] = new Array(HEADS).fill(undefined);

  /** From the first group on. */
  beginWith({ mask, inode, path, superblock, directory, moved, namespace }: Happening): void {
    this.#count = 0;
    this.marks.fill(undefined);
    if (inode !== undefined) this.#start(HEAD.inode, inode);
    if (path !== undefined) this.#start(HEAD.mount, path.mount);
    if (superblock !== undefined) this.#start(HEAD.filesystem, superblock);
    if ((mask & FAN_EVENT_ON_CHILD) !== 0 && directory !== undefined) this.#start(HEAD.parent, directory);
    if (moved !== undefined) this.#start(HEAD.newDirectory, moved.parent.inode);
    if (namespace !== undefined) this.#start(HEAD.namespace, namespace);
  }

  /** The next group, with its marks in {@link marks}; undefined at the end. */
  next(): Group | undefined {
    let group: Group | undefined;
    for (let i = 0; i < this.#count; i++) {
      const { marks, at } = this.#lists[i] as List;
      const mark = marks[at];
      if (mark !== undefined && (group === undefined || compareGroups(mark.group, group) < 0)) group = mark.group;
    }
    if (group === undefined) return undefined;
    for (let i = 0; i < this.#count; i++) {
      const list = this.#lists[i] as List;
      const { head } = list;
      const mark = list.marks[list.at];
      if (mark === undefined || mark.group !== group) {
        this.marks[head] = undefined;
        continue;
      }
      list.at++;
      // That the directory is told of its children is known of all its marks together; not every one wants it.
      this.marks[head] = head === HEAD.parent && !hearsChildren(mark) ? undefined : mark;
    }
    return group;
  }

  /** Where the walk is in each list: what it has come to of {@link next}'s group, or what comes after. */
  current(): Mark[] {
    const current: Mark[] = [];
    for (let i = 0; i < this.#count; i++) {
      const { head, marks, at } = this.#lists[i] as List;
      const mark = this.marks[head] ?? marks[at];
      if (mark !== undefined) current.push(mark);
    }
    return current;
  }

  /** After a wait that `group` was the reason of: marks may have come and gone meanwhile. */
  resume(group: Group): void {
    for (let i = 0; i < this.#count; i++) {
      const list = this.#lists[i] as List;
      list.marks = list.object.connector?.marks ?? NONE;
      list.at = 0;
      for (let mark = list.marks[0]; mark !== undefined && compareGroups(mark.group, group) <= 0; ) {
        mark = list.marks[++list.at];
      }
    }
  }

  #start(head: number, object: Markable): void {
    const { connector } = object;
    if (connector === undefined) return;
    const list = this.#lists[this.#count];
    if (list === undefined) this.#lists.push({ object, head, marks: connector.marks, at: 0 });
    else {
      list.object = object;
      list.head = head;
      list.marks = connector.marks;
      list.at = 0;
    }
    this.#count++;
  }
}

function hearsChildren(mark: Mark): boolean {
  return ((mark.mask | ignoreMaskOf(mark)) & FAN_EVENT_ON_CHILD) !== 0;
}

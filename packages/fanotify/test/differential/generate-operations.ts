// Random operations on the file system.

import type { Operation } from '../conformance/case.ts';
import type { ImaginedTree } from './imagined-tree.ts';
import type { Random } from './random.ts';
import { STRANGER } from './world.ts';

const WEIGHTS = {
  open: 14,
  close: 10,
  openclose: 12,
  read: 8,
  write: 8,
  lseek: 1,
  put: 5,
  mkdir: 4,
  rmdir: 3,
  mknod: 1.5,
  unlink: 6,
  symlink: 1.5,
  link: 3,
  rename: 6,
  exchange: 2,
  renameNew: 1,
  chmod: 3,
  fchmod: 0.7,
  chown: 1.2,
  utimes: 1.2,
  setxattr: 1.5,
  removexattr: 0.7,
  truncate: 1.5,
  truncatePath: 2,
  ftruncate: 1.5,
  fallocate: 1.5,
  mmapRead: 1.2,
  mmapWrite: 1.2,
  copyRange: 1,
  sendfile: 0.8,
  readdir: 3,
  stat: 1,
  fsync: 0.3,
  spawn: 2,
  exec: 0.12,
  mountTmpfs: 0.35,
  bindSelf: 0.35,
  bind: 0.5,
  umount: 6,
  umountLazily: 2,
  become: 1.5,
  tmpfile: 0.5,
  flood: 0.5,
  reclaim: 0.02,
};
type Kind = keyof typeof WEIGHTS;
const NEEDS_SLOT = new Set<Kind>([
  'close',
  'read',
  'write',
  'lseek',
  'fchmod',
  'ftruncate',
  'fallocate',
  'mmapRead',
  'mmapWrite',
  'copyRange',
  'sendfile',
  'fsync',
]);

const SLOTS = ['r', 'w', 'x', 'd'];

/** The descriptors that a process is taken to have, and what for. */
export type Slots = Map<string, 'read' | 'write' | 'both' | 'dir'>;

export class OperationMaker {
  readonly #random: Random;
  readonly #tree: ImaginedTree;
  #slots: Slots = new Map();
  /** Whether there may be a file that O_TMPFILE has made. */
  hasUnnamed = false;

  constructor(random: Random, tree: ImaginedTree) {
    this.#random = random;
    this.#tree = tree;
  }

  /** For the listener itself: it stays who and what it is. */
  own(slots: Slots): Operation {
    for (;;) {
      const operation = this.any(slots);
      if (operation.op !== 'exec' && operation.op !== 'become' && operation.op !== 'spawn') return operation;
    }
  }

  any(slots: Slots): Operation {
    this.#slots = slots;
    for (;;) {
      const kind = this.#random.weighted(WEIGHTS);
      // What needs a descriptor is of little use without one.
      if (NEEDS_SLOT.has(kind) && slots.size === 0 && this.#random.chance(0.95)) continue;
      if ((kind === 'umount' || kind === 'umountLazily') && !this.#tree.hasMounts && this.#random.chance(0.95))
        continue;
      return this.#make(kind);
    }
  }

  /** A descriptor that is open, for that if there is one. */
  #slot(...uses: readonly string[]): string {
    const fitting = [...this.#slots].filter(([, use]) => uses.length === 0 || uses.includes(use)).map(([name]) => name);
    if (fitting.length === 0 || this.#random.chance(0.03)) return this.#random.pick(SLOTS);
    return this.#random.pick(fitting);
  }

  #make(op: Kind): Operation {
    const random = this.#random;
    const tree = this.#tree;
    switch (op) {
      case 'open':
        return this.#open({ op }, true);
      case 'tmpfile':
        // A second one may get the number of the first, and so its name.
        if (this.hasUnnamed) return this.any(this.#slots);
        this.hasUnnamed = true;
        return {
          op: 'open',
          path: tree.directory(),
          flags: ['O_TMPFILE', 'O_RDWR'],
          mode: '0644',
          as: this.#opened('both'),
        };
      case 'openclose':
        return this.#open({ op }, false);
      case 'reclaim':
        // All that nobody uses leaves memory: which takes as long as sixty other steps.
        return { op: 'reclaim', path: '$M' };
      case 'flood':
        return { op: 'opencloseMany', path: tree.file(), count: 2 + random.below(20) };
      case 'close': {
        const fd = this.#slot();
        this.#slots.delete(fd);
        return { op, fd };
      }
      case 'read':
        return { op, fd: this.#slot('read', 'both'), bytes: random.pick([1, 10, 256, 4096, 8192]), ...this.#offset() };
      case 'write':
        return { op, fd: this.#slot('write', 'both'), bytes: random.pick([1, 1, 10, 5000, 0]), ...this.#offset() };
      case 'lseek':
        return { op, fd: this.#slot(), offset: random.pick([0, 1, 4096]) };
      case 'put': {
        const path = random.chance(0.5) ? tree.fresh() : tree.file();
        tree.made(path, 'file');
        return { op, path, ...(random.chance(0.2) && { text: '' }) };
      }
      case 'mkdir': {
        const path = tree.fresh();
        tree.made(path, 'dir');
        return { op, path, mode: random.pick(['0755', '0755', '0700']) };
      }
      case 'mknod': {
        const path = tree.fresh();
        tree.made(path, 'file');
        return { op, path };
      }
      case 'symlink': {
        const path = tree.fresh();
        tree.made(path, 'symlink');
        return { op, path, to: tree.anything() };
      }
      case 'rmdir': {
        const path = random.chance(0.95) ? tree.directory() : tree.file();
        // Likely not empty: it may well stay.
        return { op, path };
      }
      case 'unlink': {
        const path = random.chance(0.9) ? tree.existing('file', 'symlink', 'program') : tree.anything();
        tree.removed(path);
        return { op, path };
      }
      case 'link': {
        const path = tree.file();
        const to = tree.beside(path, () => tree.fresh());
        tree.made(to, 'file');
        return { op, path, to };
      }
      case 'rename':
      case 'renameNew': {
        const path = tree.anything();
        const to = tree.beside(path, () => (random.chance(0.7) ? tree.fresh() : tree.anything()));
        tree.moved(path, to);
        return { op, path, to };
      }
      case 'exchange': {
        const path = tree.anything();
        const to = tree.beside(path, () => tree.anything());
        tree.exchanged(path, to);
        return { op, path, to };
      }
      case 'chmod':
        return { op, path: tree.anything(), mode: random.pick(['0644', '0600', '0755', '0777', '0000']) };
      case 'fchmod':
        return { op, fd: this.#slot(), mode: random.pick(['0644', '0755']) };
      case 'chown':
        return { op, path: tree.anything(), uid: random.pick([0, STRANGER]), gid: 0 };
      case 'utimes':
      case 'setxattr':
      case 'removexattr':
      case 'stat':
        return { op, path: tree.anything() };
      case 'truncate':
      case 'truncatePath':
        return { op, path: tree.file(), size: random.pick([0, 1, 10, 5000]) };
      case 'ftruncate':
        return { op, fd: this.#slot('write', 'both'), size: random.pick([0, 1, 10, 5000]) };
      case 'fallocate':
        return {
          op,
          fd: this.#slot('write', 'both'),
          // FALLOC_FL_KEEP_SIZE, and with it FALLOC_FL_PUNCH_HOLE.
          mode: random.pick([0, 0, 1, 3]),
          offset: random.pick([0, 4096]),
          count: random.pick([1, 4096, 8192]),
        };
      case 'mmapRead':
      case 'mmapWrite':
        // Beyond the end of the file a touch is SIGBUS.
        return {
          op,
          fd: this.#slot('both', op === 'mmapRead' ? 'read' : 'both'),
          offset: random.pick([0, 0, 4096]),
          touch: false,
        };
      case 'copyRange':
      case 'sendfile':
        return {
          op,
          from: this.#slot('read', 'both'),
          to: this.#slot('write', 'both'),
          count: random.pick([1, 10, 5000]),
        };
      case 'readdir':
        return { op, path: random.chance(0.97) ? tree.directory() : tree.file() };
      case 'fsync':
        return { op, fd: this.#slot() };
      case 'spawn':
      case 'exec':
        return { op, path: random.chance(0.9) ? tree.existing('program') : tree.file() };
      case 'mountTmpfs':
      case 'bindSelf': {
        const path = tree.mountpoint('dir');
        tree.mount(path);
        return { op, path };
      }
      case 'bind': {
        const [path, to] = random.chance(0.7)
          ? [tree.directory(), tree.mountpoint('dir')]
          : [tree.existing('file'), tree.mountpoint('file')];
        tree.mount(to);
        return { op, path, to };
      }
      case 'umount':
      case 'umountLazily': {
        const path = tree.mounted();
        tree.unmount(path);
        return { op, path };
      }
      case 'become':
        return { op, uid: random.pick([0, STRANGER]) };
    }
  }

  /** A descriptor to be opened: seldom one that is. */
  #opened(use: 'read' | 'write' | 'both' | 'dir'): string {
    const free = SLOTS.filter((name) => !this.#slots.has(name));
    const name = free.length === 0 || this.#random.chance(0.1) ? this.#random.pick(SLOTS) : this.#random.pick(free);
    this.#slots.set(name, use);
    return name;
  }

  #open(operation: Operation, stays: boolean): Operation {
    const random = this.#random;
    const tree = this.#tree;
    if (random.chance(0.12)) {
      if (stays) operation = { ...operation, as: this.#opened('dir') };
      return { ...operation, path: tree.directory(), flags: ['O_RDONLY', ...random.some(['O_DIRECTORY'], 0.5)] };
    }
    const creates = random.chance(0.15);
    const path = creates ? tree.fresh() : tree.file();
    if (creates) tree.made(path, 'file');
    const access = random.pick(['O_RDONLY', 'O_RDWR', 'O_WRONLY', 'O_RDWR'] as const);
    if (stays)
      operation = {
        ...operation,
        as: this.#opened(({ O_RDONLY: 'read', O_WRONLY: 'write', O_RDWR: 'both' } as const)[access]),
      };
    const flags = [
      access,
      ...(creates ? ['O_CREAT', ...random.some(['O_EXCL'], 0.3)] : []),
      ...random.some(['O_TRUNC'], 0.1),
      ...random.some(['O_APPEND', 'O_NOFOLLOW', 'O_PATH', 'O_DIRECTORY'], 0.03),
    ];
    return { ...operation, path, flags, ...(creates && { mode: random.pick(['0644', '0600']) }) };
  }

  #offset(): { offset?: number } {
    return this.#random.chance(0.3) ? { offset: this.#random.pick([0, 1, 4096]) } : {};
  }
}

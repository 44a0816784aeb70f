// The way from a path to a place (fs/namei.c): names, '.', '..', symlinks, magic links and mounts, with the rights to search.

import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { fileOrPathOf } from '../tasks/descriptors.ts';
import {
  AT_FDCWD,
  RESOLVE_BENEATH,
  RESOLVE_CACHED,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from './flags.ts';
import { mountOn } from './mount.ts';
import type { Dentry, Mount, Path } from './objects.ts';
import { isPermitted, MAY_EXEC } from './permission.ts';

const PATH_MAX = 4096;
const NAME_MAX = 255;
const MAX_SYMLINKS = 40;
const SLASH = 47;
const EVERY_RESOLVE =
  RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_CACHED;

export interface WalkOptions {
  /** Follows a symlink at the end. */
  readonly follows: boolean;
  /** AT_EMPTY_PATH: an empty path is what the descriptor refers to. */
  readonly allowsEmpty?: boolean;
  /** ENOTDIR unless it is a directory. */
  readonly onlyDirectory?: boolean;
  /** RESOLVE_* of openat2(2). */
  readonly resolve?: number;
}

const FOLLOW: WalkOptions = { follows: true };

/** Where a path leads. ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG; EBADF for `dirfd`. */
export function walk(system: System, dirfd: number, path: string, options: WalkOptions = FOLLOW): Path {
  if (path === '' && options.allowsEmpty === true) {
    const start = startOf(system, dirfd);
    if (options.onlyDirectory === true && start.dentry.inode.type !== 'directory') refuse('ENOTDIR');
    return start;
  }
  const walker = new Walker(system, dirfd, path, options.resolve);
  walker.alongParents(path);
  walker.finish(options.follows);
  if (options.onlyDirectory === true && walker.dentry.inode.type !== 'directory') refuse('ENOTDIR');
  return walker.here();
}

/** The directory in which a path's last name is, or shall be. */
export function walkToParent(system: System, dirfd: number, path: string): Walker {
  const walker = new Walker(system, dirfd, path);
  walker.alongParents(path);
  return walker;
}

function startOf(system: System, dirfd: number): Path {
  if (dirfd === AT_FDCWD) return system.current.filesystem.workingDirectory;
  return fileOrPathOf(system, dirfd).path;
}

/** Somebody on the way: where it is, and which name comes last. */
export class Walker {
  mount: Mount;
  dentry: Dentry;
  /** The last name, once {@link alongParents} is through: not gone into yet. */
  last = '';
  /** What kind of name that is; 'root' when there is none. */
  kind: 'normal' | 'dot' | 'dotdot' | 'root' = 'root';
  /** Whether the path goes on with a slash: it has to be a directory. */
  hasTrailingSlash = false;
  readonly #system: System;
  readonly #resolve: number;
  readonly #root: Path;
  #symlinks = 0;

  constructor(system: System, dirfd: number, path: string, resolve = 0) {
    if (path === '') refuse('ENOENT');
    if (path.length >= PATH_MAX) refuse('ENAMETOOLONG');
    if ((resolve & ~EVERY_RESOLVE) !== 0) refuse('EINVAL');
    const isScoped = (resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) !== 0;
    const isAbsolute = path.charCodeAt(0) === SLASH;
    if (isAbsolute && (resolve & RESOLVE_BENEATH) !== 0) refuse('EXDEV');
    const { root } = system.current.filesystem;
    const start = isAbsolute && !isScoped ? root : startOf(system, dirfd);
    if (start.dentry.inode.type !== 'directory') refuse('ENOTDIR');
    this.#system = system;
    this.#resolve = resolve;
    this.#root = isScoped ? start : root;
    this.mount = start.mount;
    this.dentry = start.dentry;
  }

  here(): Path {
    return { mount: this.mount, dentry: this.dentry };
  }

  /** Goes along all names of `path` but the last, from here, or from the root if it begins with a slash. */
  alongParents(path: string): void {
    const { length } = path;
    let at = 0;
    if (path.charCodeAt(0) === SLASH) {
      this.#toRoot();
      while (path.charCodeAt(at) === SLASH) at++;
    }
    this.last = '';
    this.kind = 'root';
    this.hasTrailingSlash = false;
    while (at < length) {
      const slash = path.indexOf('/', at);
      const end = slash < 0 ? length : slash;
      const name = path.slice(at, end);
      at = end;
      while (at < length && path.charCodeAt(at) === SLASH) at++;
      const { inode } = this.dentry;
      const permits = inode.operations?.permits?.(this.#system) === true;
      if (!permits && !isPermitted(this.#system.current.credentials, inode, MAY_EXEC)) refuse('EACCES');
      this.last = name;
      this.kind = name === '.' ? 'dot' : name === '..' ? 'dotdot' : 'normal';
      this.hasTrailingSlash = at > end;
      if (at >= length) return;
      this.finish(true);
      if (this.dentry.inode.type !== 'directory') refuse('ENOTDIR');
    }
  }

  /** Goes into the last name. A symlink is followed if `follows`, or if a slash comes after it. */
  finish(follows: boolean): void {
    const mustBeDirectory = this.hasTrailingSlash;
    if (this.kind === 'dotdot') this.#up();
    else if (this.kind === 'normal') {
      const child = this.lookup();
      if (child === undefined) refuse('ENOENT');
      this.enter(child, follows || mustBeDirectory);
    }
    if (mustBeDirectory && this.dentry.inode.type !== 'directory') refuse('ENOTDIR');
  }

  /** What the last name is in this directory; not gone into. */
  lookup(): Dentry | undefined {
    if (this.last.length > NAME_MAX) refuse('ENAMETOOLONG');
    const { dentry } = this;
    const { inode } = dentry;
    if (inode.operations?.lookup !== undefined) return inode.operations.lookup(this.#system, dentry, this.last);
    return inode.entries?.get(this.last);
  }

  /** Goes into a child, to the top of what is mounted there, and where a symlink leads if `follows`. */
  enter(child: Dentry, follows: boolean): void {
    if (child.inode.type === 'symlink' && follows) {
      this.#follow(child);
      return;
    }
    this.dentry = child;
    this.#toTop();
  }

  /** Goes to the directory in which what a symlink leads to is named: for an open that may make it. */
  alongSymlink(link: Dentry): void {
    const target = this.#targetOf(link);
    if (typeof target === 'string') {
      this.alongParents(target);
      return;
    }
    this.#jump(target);
    this.last = '';
    this.kind = 'root';
    this.hasTrailingSlash = false;
  }

  #follow(link: Dentry): void {
    const target = this.#targetOf(link);
    if (typeof target !== 'string') {
      this.#jump(target);
      return;
    }
    this.alongParents(target);
    this.finish(true);
  }

  #targetOf(link: Dentry): string | Path {
    if (++this.#symlinks > MAX_SYMLINKS) refuse('ELOOP');
    if ((this.#resolve & RESOLVE_NO_SYMLINKS) !== 0) refuse('ELOOP');
    const { operations, target } = link.inode;
    const jump = operations?.follow?.(this.#system);
    if (jump !== undefined) return jump;
    const text = target ?? operations?.readlink?.(this.#system) ?? '';
    if (text === '') refuse('ENOENT');
    return text;
  }

  #jump(target: Path): void {
    if ((this.#resolve & RESOLVE_NO_MAGICLINKS) !== 0) refuse('ELOOP');
    if ((this.#resolve & RESOLVE_NO_XDEV) !== 0 && target.mount !== this.mount) refuse('EXDEV');
    if ((this.#resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) !== 0) refuse('EXDEV');
    this.mount = target.mount;
    this.dentry = target.dentry;
  }

  #toRoot(): void {
    if ((this.#resolve & RESOLVE_BENEATH) !== 0) refuse('EXDEV');
    if ((this.#resolve & RESOLVE_NO_XDEV) !== 0 && this.#root.mount !== this.mount) refuse('EXDEV');
    this.mount = this.#root.mount;
    this.dentry = this.#root.dentry;
  }

  #up(): void {
    const root = this.#root;
    for (;;) {
      if (this.dentry === root.dentry && this.mount === root.mount) {
        if ((this.#resolve & RESOLVE_BENEATH) !== 0) refuse('EXDEV');
        break;
      }
      if (this.dentry !== this.mount.root) {
        this.dentry = this.dentry.parent;
        break;
      }
      const { parent, mountpoint } = this.mount;
      if (parent === undefined || mountpoint === undefined) break;
      if ((this.#resolve & RESOLVE_NO_XDEV) !== 0) refuse('EXDEV');
      this.mount = parent;
      this.dentry = mountpoint;
    }
    this.#toTop();
  }

  #toTop(): void {
    while (this.dentry.mountpoints > 0) {
      const on = mountOn(this.mount, this.dentry);
      if (on === undefined) return;
      if ((this.#resolve & RESOLVE_NO_XDEV) !== 0) refuse('EXDEV');
      this.mount = on;
      this.dentry = on.root;
    }
  }
}

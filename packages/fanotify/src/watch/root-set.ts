// The paths that were asked for: what each leads to now, and how what is below is told.

import { AT_EMPTY_PATH, AT_FDCWD, O_CLOEXEC, O_PATH } from '../abi/index.ts';
import { joinPath, ResolvedPath } from '../identity/path.ts';
import { type FileStatus, type Kernel, KernelError } from '../kernel/index.ts';
import { typeOf } from './disk.ts';
import { knownOf } from './known.ts';
import { isAtOrBelow } from './path-order.ts';

/** What a path leads to, links followed. */
export interface RootTarget {
  /** Its path without links. */
  readonly link: Buffer;
  /** The same, or where it is told to be by whoever hears it: its file system may be mounted twice. */
  real: ResolvedPath;
  readonly isDirectory: boolean;
  readonly status: FileStatus;
}

/** A path that was asked for. */
export interface Root {
  /** Absolute, as it was named. */
  readonly given: ResolvedPath;
  /** Undefined while nothing is there. */
  target: RootTarget | undefined;
}

/** What has become of a root: `covered` ones are below others, and told with them. */
export interface RootChange {
  readonly root: Root;
  readonly before: RootTarget | undefined;
  readonly now: RootTarget | undefined;
}

/** The roots of a watch. */
export class RootSet {
  readonly all: readonly Root[];
  readonly #kernel: Kernel;
  readonly #isRecursive: boolean;

  constructor(kernel: Kernel, paths: readonly Buffer[], isRecursive: boolean) {
    this.#kernel = kernel;
    this.#isRecursive = isRecursive;
    const named = new Map(paths.map((path) => [path.toString('latin1'), path]));
    this.all = [...named.values()].map((path) => ({ given: new ResolvedPath(path, 'reading'), target: undefined }));
  }

  /** Those that are there and not below others. */
  get present(): readonly (Root & { readonly target: RootTarget })[] {
    return this.all.filter((root): root is Root & { target: RootTarget } => root.target !== undefined);
  }

  /** Looks where each root leads now. Gives those for which that is elsewhere, or something else. */
  look(): RootChange[] {
    const found = this.all.map(({ given }) => this.#lookAt(given.raw));
    const now = found.map((target, index) => (target && this.#isCovered(target, index, found) ? undefined : target));
    return this.all.flatMap((root, index) => {
      const before = root.target;
      const after = now[index];
      if (isSameTarget(before, after)) return [];
      return [{ root, before, now: after }];
    });
  }

  /** Whether something leads to the same place, or to one above. */
  #isCovered(target: RootTarget, index: number, found: readonly (RootTarget | undefined)[]): boolean {
    return found.some((other, at) => {
      if (!other || at === index) return false;
      if (other.link.equals(target.link)) return at < index;
      if (!other.isDirectory) return false;
      return this.#isRecursive && isAtOrBelow(target.link, other.link);
    });
  }

  #lookAt(path: Buffer): RootTarget | undefined {
    let fd = -1;
    try {
      fd = this.#kernel.openAt(AT_FDCWD, path, O_PATH | O_CLOEXEC);
      const status = this.#kernel.statAt(fd, '', AT_EMPTY_PATH);
      // Deleted meanwhile, or never to be found by that name.
      if (status.nlink === 0) return undefined;
      const link = this.#kernel.readlink(`/proc/self/fd/${fd}`);
      return { link, real: new ResolvedPath(link, 'reading'), isDirectory: typeOf(status) === 'directory', status };
    } catch (error) {
      if (error instanceof KernelError && ABSENT.includes(error.code)) return undefined;
      throw error;
    } finally {
      if (fd >= 0) this.#kernel.close(fd);
    }
  }

  /** Of a file that a link was asked for: the link. */
  readonly fileToldAs = (real: () => Buffer): ResolvedPath | undefined => {
    for (const { given, target } of this.all) {
      if (target && !target.isDirectory && !target.real.raw.equals(given.raw) && target.real.raw.equals(real()))
        return given;
    }
    return undefined;
  };

  /** A real path, below the name of its root. */
  readonly toldAs = (path: ResolvedPath): ResolvedPath => {
    for (const { given, target } of this.all) {
      if (!target || target.real.raw.equals(given.raw) || !isAtOrBelow(path.raw, target.real.raw)) continue;
      const rest = path.raw.subarray(target.real.raw.length === 1 ? 1 : target.real.raw.length + 1);
      return rest.length === 0 ? given : new ResolvedPath(joinPath(given.raw, rest), path.asOf);
    }
    return path;
  };
}

// A path of which a part may not be entered leads nowhere for this user: he waits until it does.
const ABSENT: readonly string[] = ['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES', 'ENAMETOOLONG'];

function isSameTarget(a: RootTarget | undefined, b: RootTarget | undefined): boolean {
  if (!a || !b) return a === b;
  const [before, now] = [knownOf(a.status), knownOf(b.status)];
  return (
    a.link.equals(b.link) &&
    before.ino === now.ino &&
    before.device === now.device &&
    before.type === now.type &&
    before.born === now.born
  );
}

// Marks one file system, through whichever of its mounts can be reached, or says why not.

import {
  AT_FDCWD,
  FAN_MARK_ADD,
  FAN_MARK_FILESYSTEM,
  FAN_ONDIR,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  RESOLVE_CACHED,
  RESOLVE_NO_SYMLINKS,
} from '../abi/index.ts';
import { LimitError, UnsupportedError } from '../group/errors.ts';
import { explainMark } from '../group/explain.ts';
import { type Group, type GroupInternals, internalsOf } from '../group/group.ts';
import { type FileEventName, maskOf } from '../group/names.ts';
import { fsidText, mountIdOf } from '../identity/handle-at.ts';
import type { Mount } from '../identity/mounts.ts';
import { KernelError } from '../kernel/index.ts';
import { type CompiledExclusions, fsidHex } from './exclusions.ts';
import type { OtherNamespace } from './other-namespaces.ts';
import type { HeardFilesystem, UnheardFilesystem, WhyNotHeard } from './system-coverage.ts';

const OPEN = O_PATH | O_CLOEXEC;
/** No file system is asked, so that none can make it wait. The way to a mount point is always cached. */
const CACHED = RESOLVE_CACHED | RESOLVE_NO_SYMLINKS;
/** The kernel may not find what is cached while something else is renamed. */
const ATTEMPTS = 3;

type Answer = Pick<UnheardFilesystem, 'why'> & Partial<Pick<UnheardFilesystem, 'errno' | 'message'>>;

/** What is known of a file system. */
export interface FilesystemState {
  readonly filesystem: HeardFilesystem | UnheardFilesystem;
  /** As handle keys begin with; undefined of what is not heard. */
  readonly fsid: string | undefined;
  /** The mounts that were looked at, and the one that it was marked through. */
  readonly mounts: readonly Mount[];
  readonly mountId: number | undefined;
  readonly namespace: OtherNamespace | undefined;
}

/** Where a file system is mounted, all in one mount namespace. */
export interface Places {
  readonly mounts: readonly Mount[];
  readonly mayHang: (mount: Mount) => boolean;
  /** Undefined: our own. */
  readonly namespace: OtherNamespace | undefined;
}

/** Places the marks of a group. */
export class Placing {
  readonly #group: Group<'handle'>;
  readonly #inside: GroupInternals;
  readonly #events: readonly FileEventName[];
  readonly #exclusions: CompiledExclusions;

  constructor(group: Group<'handle'>, events: readonly FileEventName[], exclusions: CompiledExclusions) {
    this.#group = group;
    this.#inside = internalsOf(group as Group);
    this.#events = events;
    this.#exclusions = exclusions;
  }

  /** @throws LimitError and UnsupportedError, which would be the same for every file system. */
  async place(places: Places): Promise<FilesystemState> {
    const { mounts, namespace } = places;
    const [first] = mounts;
    if (!first) throw new RangeError('a file system without a mount');
    const not = ({ why, errno = null, message = null }: Answer, mount: Mount): FilesystemState => {
      const filesystem = { ...about(mount, namespace), why, errno, message };
      return { filesystem, fsid: undefined, mounts, mountId: undefined, namespace };
    };
    const type = this.#whyTypeIsOut(first.type);
    if (type) return not({ why: type }, first);
    const asked = mounts.filter(({ mountPoint }) => namespace || !this.#exclusions.isMountExcluded(mountPoint));
    if (asked.length === 0) return not({ why: 'excludedMount' }, first);
    const reachable = asked.filter((mount) => !places.mayHang(mount) && !isShaky(mount, places));
    let answer: Answer = { why: reachable.length === 0 ? 'remote' : 'hidden' };
    for (const mount of reachable) {
      const placed = await this.#placeThrough(mount, places);
      if (!('why' in placed)) {
        const { fsid, key } = placed;
        const filesystem = { ...about(mount, namespace), fsid, sinceMs: Date.now() };
        return { filesystem, fsid: key, mounts, mountId: mount.mountId, namespace };
      }
      answer = placed;
      if (placed.why === 'excludedType' || placed.why === 'excludedFilesystem') break;
    }
    return not(answer, asked[0] ?? first);
  }

  #whyTypeIsOut(type: string): WhyNotHeard | undefined {
    if (this.#exclusions.isTypeExcluded(type)) return 'excludedType';
    return this.#exclusions.isPseudo(type) ? 'pseudo' : undefined;
  }

  async #placeThrough(mount: Mount, places: Places): Promise<{ fsid: string; key: string } | Answer> {
    const { kernel } = this.#inside;
    let fd = -1;
    try {
      fd = this.#open(mount, places);
      // Another is mounted over it.
      if (mountIdOf(kernel, fd) !== mount.mountId) return { why: 'hidden' };
      const { fsid, type } = kernel.statfs(fd);
      if (this.#exclusions.isMagicExcluded(type)) return { why: 'excludedType' };
      if (this.#exclusions.isFsidExcluded(fsid)) return { why: 'excludedFilesystem' };
      // By the descriptor, so that it is this one, whatever is mounted there by now.
      const link = `/proc/self/fd/${fd}`;
      const refusal = places.namespace
        ? this.#markThere(link, places)
        : await this.#markHere(link, mount.mountPoint.toString());
      return refusal ?? { fsid: fsidHex(fsid), key: fsidText(fsid) };
    } catch (error) {
      if (error instanceof KernelError) return { why: 'hidden' };
      throw error;
    } finally {
      if (fd >= 0) kernel.close(fd);
    }
  }

  #open(mount: Mount, { namespace }: Places): number {
    const { kernel } = this.#inside;
    if (!namespace) return kernel.openAt(AT_FDCWD, mount.mountPoint, OPEN);
    const root = kernel.openAt(AT_FDCWD, `/proc/${namespace.pid}/root`, OPEN | O_DIRECTORY);
    if (mount.mountPoint.length === 1) return root;
    try {
      for (let attempt = 1; ; attempt++) {
        try {
          // Whoever may mount there could lead us into a file system that never answers.
          return kernel.openAt2(root, mount.mountPoint.subarray(1), OPEN, CACHED);
        } catch (error) {
          if (!(error instanceof KernelError) || error.code !== 'EAGAIN' || attempt === ATTEMPTS) throw error;
        }
      }
    } finally {
      kernel.close(root);
    }
  }

  async #markHere(link: string, mountPoint: string): Promise<Answer | undefined> {
    try {
      await this.#group.mark(link, { scope: 'filesystem', events: this.#events });
      const root = this.#inside.paths.add(link, { keep: false });
      if (root) this.#inside.paths.keepRoot(root);
      return undefined;
    } catch (error) {
      return refusalOf(error, (message) => message.replaceAll(JSON.stringify(link), JSON.stringify(mountPoint)));
    }
  }

  /** Its paths are told through /proc/pid/root where nobody can lead us astray there; else they are not known. */
  #markThere(link: string, { namespace }: Places): Answer | undefined {
    const { kernel, paths } = this.#inside;
    const flags = FAN_MARK_ADD | FAN_MARK_FILESYSTEM;
    const mask = maskOf(this.#events) | FAN_ONDIR;
    try {
      kernel.fanotifyMark(this.#group.fd, flags, mask, AT_FDCWD, link);
    } catch (error) {
      return refusalOf(
        explainMark(kernel, error, flags, mask, 'a file system of another mount namespace'),
        (text) => text,
      );
    }
    if (namespace?.isTrusted !== true) return undefined;
    // Another process may have led there before.
    this.#inside.lose(new Set([fsidText(kernel.statfs(link).fsid)]));
    const place = paths.add(link, { keep: false, through: Buffer.from(`/proc/${namespace.pid}/root`) });
    if (place) paths.keepRoot(place);
    if (place && this.#events.includes('rename')) this.#inside.hearRenames(place);
    return undefined;
  }
}

export function isHeard(filesystem: HeardFilesystem | UnheardFilesystem): filesystem is HeardFilesystem {
  return 'sinceMs' in filesystem;
}

/** An overlay that somebody else made may lie on a file system that does not answer. */
function isShaky({ type }: Mount, { namespace }: Places): boolean {
  return type === 'overlay' && namespace?.isTrusted === false;
}

function refusalOf(error: unknown, shown: (message: string) => string): Answer {
  if (error instanceof LimitError || error instanceof UnsupportedError || !(error instanceof Error)) throw error;
  if (!(error.cause instanceof KernelError)) throw error;
  return { why: 'refused', errno: error.cause.code, message: shown(error.message) };
}

function about({ device, type, mountPoint }: Mount, namespace: Places['namespace']) {
  return {
    device,
    type,
    mountPoint: mountPoint.toString(),
    rawMountPoint: mountPoint,
    namespace: namespace?.id ?? null,
  };
}

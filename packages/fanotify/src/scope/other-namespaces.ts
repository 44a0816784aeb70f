// Mount namespaces other than this process's: found by the processes in them, and looked at again when something is mounted there.

import {
  AT_FDCWD,
  FAN_CLOEXEC,
  FAN_MARK_ADD,
  FAN_MARK_MNTNS,
  FAN_MNT_ATTACH,
  FAN_NONBLOCK,
  FAN_REPORT_MNT,
} from '../abi/index.ts';
import { type Mount, parseMountinfo } from '../identity/mounts.ts';
import { lookAt, processIds } from '../identity/running.ts';
import { type Kernel, KernelError, type Readiness } from '../kernel/index.ts';

/** How soon a namespace is found that nothing tells of. */
const LOOK_MS = 1000;
/** Looking takes a millisecond or more: not for each of many changes elsewhere. */
const REST_MS = LOOK_MS * 0.9;
const EVENTS_BYTES = 64 * 1024;

/** A mount namespace, and one of the processes in it. */
export interface OtherNamespace {
  /** Its inode number, as in `readlink /proc/pid/ns/mnt`. */
  readonly id: number;
  readonly pid: number;
  readonly mounts: readonly Mount[];
  /** Nobody but root of our own user namespace mounts there, as far as the processes in it tell. */
  readonly isTrusted: boolean;
}

interface Known extends OtherNamespace {
  /** Its mounts are told as they come. */
  readonly isMarked: boolean;
}

/** Keeps track of them until closed. Holds none of them up: a descriptor of one would keep all that is mounted there. */
export class OtherNamespaces {
  readonly #kernel: Kernel;
  /** A group that hears mounts; undefined before Linux 6.15. */
  readonly #group: number | undefined;
  readonly #readiness: Readiness | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #events = Buffer.alloc(EVENTS_BYTES);
  #known = new Map<string, Known>();
  #isStale = false;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  /** `changed` is called when there may be something new. */
  constructor(kernel: Kernel, changed: () => void) {
    this.#kernel = kernel;
    this.#timer = setInterval(changed, LOOK_MS).unref();
    this.#group = openMountGroup(kernel);
    if (this.#group === undefined) return;
    this.#readiness = kernel.onReadable(this.#group, () => {
      this.#drain();
      this.#isStale = true;
      changed();
    });
    this.#readiness.unref();
  }

  /** Whether mounts in them are told as they come: since Linux 6.15. */
  get areWatched(): boolean {
    return this.#group !== undefined;
  }

  /** Those that there are now. The same objects as long as nothing is mounted there or unmounted, as far as is known. */
  look(): readonly OtherNamespace[] {
    if (this.#closed) return [];
    const now = performance.now();
    if (!this.#isStale && now - this.#lookedMs < REST_MS) return [...this.#known.values()];
    this.#lookedMs = now;
    const isStale = this.#isStale;
    this.#isStale = false;
    const found = new Map<string, Known>();
    for (const [link, { pid, isTrusted }] of this.#find()) {
      const known = this.#known.get(link);
      // Marked before it is read: what is mounted later is told.
      const isMarked = known?.isMarked || this.#mark(pid);
      const isCurrent = known && isMarked && !isStale && known.pid === pid && known.isTrusted === isTrusted;
      const namespace = isCurrent ? known : this.#read(link, pid, isTrusted, isMarked);
      if (namespace) found.set(link, namespace);
    }
    this.#known = found;
    return [...found.values()];
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    this.#readiness?.close();
    if (this.#group !== undefined) this.#kernel.close(this.#group);
  }

  #find(): Map<string, { pid: number; isTrusted: boolean }> {
    const kernel = this.#kernel;
    const found = new Map<string, { pid: number; isTrusted: boolean }>();
    const linkOf = (pid: number | 'self', kind: string) =>
      kernel.readlink(`/proc/${pid}/ns/${kind}`).toString('latin1');
    try {
      const [own, user] = [linkOf('self', 'mnt'), linkOf('self', 'user')];
      for (const pid of processIds(kernel)) {
        lookAt(() => {
          const link = linkOf(pid, 'mnt');
          if (link === own) return;
          const before = found.get(link);
          if (before?.isTrusted === false) return;
          const isTrusted = linkOf(pid, 'user') === user;
          found.set(link, { pid: before?.pid ?? pid, isTrusted });
        });
      }
    } catch (error) {
      // Without /proc nothing is known of others.
      if (!(error instanceof KernelError)) throw error;
    }
    return found;
  }

  #read(link: string, pid: number, isTrusted: boolean, isMarked: boolean): Known | undefined {
    const mounts = lookAt(() => parseMountinfo(this.#kernel.readFile(`/proc/${pid}/mountinfo`)));
    // A process that is ending has none any more.
    if (typeof mounts !== 'object' || mounts.length === 0) return undefined;
    return { id: Number(/\d+/.exec(link)?.[0]), pid, mounts, isTrusted, isMarked };
  }

  #mark(pid: number): boolean {
    if (this.#group === undefined) return false;
    try {
      const flags = FAN_MARK_ADD | FAN_MARK_MNTNS;
      this.#kernel.fanotifyMark(this.#group, flags, FAN_MNT_ATTACH, AT_FDCWD, `/proc/${pid}/ns/mnt`);
      return true;
    } catch (error) {
      if (error instanceof KernelError) return false;
      throw error;
    }
  }

  /** What was mounted does not matter: the tables are read again. */
  #drain(): void {
    try {
      while (this.#group !== undefined && this.#kernel.read(this.#group, this.#events) > 0);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
  }
}

function openMountGroup(kernel: Kernel): number | undefined {
  try {
    return kernel.fanotifyInit(FAN_REPORT_MNT | FAN_CLOEXEC | FAN_NONBLOCK, 0);
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}

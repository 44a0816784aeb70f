// Listener: a group of the core as JavaScript has it. What the calls say is in connection.ts.

import {
  AT_FDCWD,
  FAN_CLASS_PRE_CONTENT,
  FAN_CLOEXEC,
  FAN_NONBLOCK,
  O_CLOEXEC,
  O_LARGEFILE,
  O_PATH,
  O_RDONLY,
} from '../abi/index.ts';
import { explainMark } from '../group/explain.ts';
import type { MarkTarget } from '../group/source.ts';
import { Waiter } from '../group/waiter.ts';
import { MountTable } from '../identity/mount-table.ts';
import { type Kernel, linuxKernel } from '../kernel/index.ts';
import { CallError } from './errors.ts';
import { FileEvent, isOverflow, type ListenerEvent } from './listener-events.ts';
import {
  checkListenerMark,
  checkListenerOptions,
  checkListenerUnmark,
  type ListenerMark,
  type ListenerOptions,
  listenerMask,
} from './listener-options.ts';
import { type GroupConnection, openGroup } from './process/connection.ts';
import type { GroupSettings, GroupStatistics } from './types.ts';

const DEFAULT_DEADLINE_MS = 5_000;

/** Opens a listener over a group that need not be of a core of this process. Not a public face. */
export let openListener: (
  options: ListenerOptions,
  openGroup: (kernel: Kernel, settings: GroupSettings) => GroupConnection,
  kernel?: Kernel,
) => Listener;

/**
 * A listener of the core: in order of priority with all others of this process, over one kernel group for each class in use. It hears what
 * happens, and is asked before it does.
 *
 * The core runs in a process of its own, which is started with the first listener (a tenth of a second, in which this process
 * waits) and ends with the last. Accesses of this process itself are not asked about. Whatever becomes of a listener, nobody waits for it
 * longer than `deadlineMs`.
 *
 * Privilege: root (CAP_SYS_ADMIN). Since Linux 5.13.
 *
 * @example
 * import { execFile, execFileSync } from 'node:child_process';
 * import { mkdtempSync, writeFileSync } from 'node:fs';
 * import { promisify } from 'node:util';
 * import { Listener } from 'fanotify/core';
 * const mount = mkdtempSync('/tmp/listener-');
 * execFileSync('mount', ['-t', 'tmpfs', 'listener', mount]);
 * writeFileSync(`${mount}/secret`, '');
 * const scanner = await Listener.open({ priority: 100, deadlineMs: 2_000 });
 * await scanner.mark(mount, { scope: 'filesystem', events: ['openPerm'] });
 * const cat = promisify(execFile)('cat', [`${mount}/secret`]).catch((error) => error.stderr);
 * for await (const event of scanner) {
 *   if (event.kind !== 'held') continue;
 *   console.log(event.kinds, event.path === `${mount}/secret`); // [ 'openPerm' ] true
 *   event.deny();
 *   break;
 * }
 * console.log((await cat).includes('Operation not permitted')); // true
 * await scanner.close();
 * execFileSync('umount', [mount]);
 */
export class Listener implements AsyncIterable<ListenerEvent> {
  static {
    openListener = (options, open, kernel = linuxKernel()) => {
      checkListenerOptions(options);
      options.signal?.throwIfAborted();
      return new Listener(kernel, options, open);
    };
  }
  readonly #kernel: Kernel;
  readonly #group: GroupConnection;
  readonly #mounts: MountTable;
  readonly #waiter: Waiter;
  readonly #deadlineMs: number;
  readonly #class: ListenerOptions['class'];
  readonly #signal: AbortSignal | undefined;
  /** Events whose descriptors are open until they are answered, and since when. */
  readonly #held = new Map<FileEvent, number>();
  /** Notifications whose descriptors are open until the next is asked for. */
  readonly #lent = new Set<readonly FileEvent[]>();
  /** What was read last, and how much of it was asked for. */
  #batch: readonly ListenerEvent[] = [];
  #next = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  /**
   * Opens a listener.
   *
   * Privilege: root (CAP_SYS_ADMIN).
   *
   * @param options See {@link ListenerOptions}; left out, a directed listener of priority 0.
   * @throws InvalidOptionsError, UnknownEventError; CallError EPERM without privilege, EMFILE when there is no group or descriptor
   * left; the signal's reason when it has aborted.
   * @example
   * import { Listener } from 'fanotify/core';
   * // Everything that is opened on this machine, but in /proc.
   * const auditor = await Listener.open({ events: ['open'], excludeTypes: [0x9fa0] });
   * await auditor.close();
   */
  static async open(options: ListenerOptions = {}): Promise<Listener> {
    return openListener(options, (_, settings) => openGroup(settings));
  }

  private constructor(
    kernel: Kernel,
    options: ListenerOptions,
    open: (kernel: Kernel, settings: GroupSettings) => GroupConnection,
  ) {
    this.#kernel = kernel;
    const { deadlineMs = DEFAULT_DEADLINE_MS, onTimeout = 'allow', priority = 0 } = options;
    this.#deadlineMs = deadlineMs;
    this.#class = options.class;
    this.#group = open(kernel, {
      mask: listenerMask(options.events, options),
      priority,
      flags: FAN_CLOEXEC | FAN_NONBLOCK | (options.class === 'preContent' ? FAN_CLASS_PRE_CONTENT : 0),
      eventFlags: O_RDONLY | O_LARGEFILE | O_CLOEXEC,
    });
    try {
      this.#group.setTimeout(deadlineMs, onTimeout);
      for (const type of options.excludeTypes ?? []) this.#group.ignoreType(type);
      for (const fsid of options.excludeFilesystems ?? []) this.#group.ignoreFsid(fsid);
    } catch (error) {
      this.#group.close();
      throw error;
    }
    this.#mounts = new MountTable(kernel);
    const waiter = new Waiter(kernel, this.#group.fd);
    this.#waiter = waiter;
    this.#group.onAhead = () => waiter.wake();
    this.#signal = options.signal;
    this.#signal?.addEventListener('abort', this.#abort, { once: true });
  }

  /**
   * Marks a file, directory, file system or subtree, or adds to the mark that it has.
   *
   * Privilege: root (CAP_SYS_ADMIN).
   *
   * @throws InvalidOptionsError, UnknownEventError, NoSuchPathError and the like for what cannot be opened; CallError for what the core
   * or the kernel refuses.
   * @example
   * import { Listener } from 'fanotify/core';
   * const listener = await Listener.open();
   * await listener.mark('/etc', { events: ['open'], directories: true });
   * console.log(listener.statistics().marks); // 1
   * await listener.close();
   */
  async mark(target: MarkTarget, mark: ListenerMark): Promise<void> {
    checkListenerMark(target, mark, this.#class);
    const { scope = 'inode', survivesModify = false } = mark;
    const where = { directories: mark.directories, children: mark.children ?? scope === 'inode' };
    const change = {
      scope,
      mask: listenerMask(mark.events, where),
      ignored: listenerMask(mark.ignore, { children: where.children }),
      survivesModify,
    };
    this.#at(target, (fd) => this.#group.addMark(fd, change));
  }

  /**
   * Takes events out of a mark.
   *
   * Privilege: root (CAP_SYS_ADMIN).
   *
   * @throws As {@link Listener.mark}; CallError ENOENT when there is no such mark.
   * @example
   * import { Listener } from 'fanotify/core';
   * const listener = await Listener.open();
   * await listener.mark('/etc', { events: ['open'] });
   * await listener.unmark('/etc', { events: ['open'] });
   * console.log(listener.statistics().marks); // 0
   * await listener.close();
   */
  async unmark(target: MarkTarget, mark: Pick<ListenerMark, 'events' | 'ignore' | 'scope'>): Promise<void> {
    checkListenerUnmark(target, mark);
    const change = {
      scope: mark.scope ?? 'inode',
      mask: listenerMask(mark.events, {}),
      ignored: listenerMask(mark.ignore, {}),
    } as const;
    this.#at(target, (fd) => this.#group.removeMark(fd, change));
  }

  /** Takes all marks back. What a global listener hears stays. */
  async clear(): Promise<void> {
    this.#group.clearMarks();
  }

  /** What has become of its events and of what it was asked. */
  statistics(): GroupStatistics {
    return this.#group.statistics();
  }

  /**
   * Events one by one, until the listener is closed. Leaving the loop leaves it open: what was not asked for comes first in the next one. Of
   * several consumers each event goes to one.
   *
   * @throws CallError ECONNRESET when the core's process has been killed; the signal's reason when it aborts.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<ListenerEvent, void, void> {
    for (;;) {
      const event = this.#batch[this.#next];
      if (!event) {
        if (await this.#fill()) continue;
        return;
      }
      this.#next++;
      const lent = this.#lend([event]);
      try {
        yield event;
      } finally {
        this.#release(lent);
      }
    }
  }

  /**
   * Events as they are read, never none: what notifications carry is closed when the next batch is asked for. Otherwise as iteration is.
   *
   * @throws What iteration throws.
   */
  async *batches(): AsyncGenerator<readonly ListenerEvent[], void, void> {
    for (;;) {
      const events = this.#next === 0 ? this.#batch : this.#batch.slice(this.#next);
      this.#next = this.#batch.length;
      if (events.length === 0) {
        if (await this.#fill()) continue;
        return;
      }
      const lent = this.#lend(events);
      try {
        yield events;
      } finally {
        this.#release(lent);
      }
    }
  }

  /** Lets the process end while events are waited for. */
  unref(): void {
    this.#waiter.unref();
  }

  /** Takes {@link unref} back. */
  ref(): void {
    this.#waiter.ref();
  }

  /** Ends it: accesses that wait for it get what `onTimeout` says. Safe to call twice. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#signal?.removeEventListener('abort', this.#abort);
    for (const events of [notificationsOf(this.#batch.slice(this.#next)), ...this.#lent]) this.#release(events);
    for (const event of this.#held.keys()) event.release();
    this.#held.clear();
    this.#batch = [];
    this.#next = 0;
    this.#waiter.close();
    this.#mounts.close();
    this.#group.close();
  }

  /** {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  readonly #abort = (): void => void this.close();

  readonly #respond = (event: FileEvent, response: number): boolean => {
    const isHeld = this.#held.delete(event);
    event.release();
    if (!isHeld || this.#isClosed) return false;
    try {
      this.#group.respond(event.cookie, response);
      return true;
    } catch (error) {
      if (error instanceof CallError && error.code === 'ENOENT') return false;
      throw error;
    }
  };

  #lend(events: readonly ListenerEvent[]): readonly FileEvent[] {
    const lent = notificationsOf(events);
    if (lent.length > 0) this.#lent.add(lent);
    return lent;
  }

  #release(events: readonly FileEvent[]): void {
    this.#lent.delete(events);
    for (const event of events) event.release();
  }

  /** Waits until there is something in the batch; false at the end. Who asks later waits for who asked before. */
  #fill(): Promise<boolean> {
    const turn = this.#turn.then(() => this.#readBatch());
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #readBatch(): Promise<boolean> {
    while (!this.#isClosed) {
      if (this.#next < this.#batch.length || this.#read()) return true;
      await this.#waiter.readable();
    }
    if (this.#signal?.aborted) throw this.#signal.reason;
    return false;
  }

  /** Reads the next batch; false when there is nothing yet. */
  #read(): boolean {
    const now = performance.now();
    for (const [event, sinceMs] of this.#held) {
      if (now - sinceMs <= this.#deadlineMs) break;
      // It has its policy by now.
      event.release();
      this.#held.delete(event);
    }
    const context = { kernel: this.#kernel, mounts: this.#mounts, respond: this.#respond };
    try {
      this.#batch = this.#group.read().map((read): ListenerEvent => {
        if (isOverflow(read)) return { kind: 'overflow' };
        const event = new FileEvent(context, read);
        if (event.kind === 'held') this.#held.set(event, now);
        return event as ListenerEvent;
      });
      this.#next = 0;
      return this.#batch.length > 0;
    } catch (error) {
      if (error instanceof CallError && error.code === 'EAGAIN') return false;
      throw error;
    }
  }

  #at(target: MarkTarget, use: (fd: number) => void): void {
    if (this.#isClosed) throw new CallError('EBADF', 'the listener is closed');
    if (typeof target === 'object' && 'fd' in target) {
      use(target.fd);
      return;
    }
    let fd: number;
    try {
      fd = this.#kernel.openAt(AT_FDCWD, target, O_PATH | O_CLOEXEC);
    } catch (error) {
      throw explainMark(this.#kernel, error, 0, 0n, Buffer.from(target).toString());
    }
    try {
      use(fd);
    } finally {
      this.#kernel.close(fd);
    }
  }
}

/** Those that are closed as soon as they are done with. */
function notificationsOf(events: readonly ListenerEvent[]): readonly FileEvent[] {
  return events.filter((event): event is ListenerEvent & FileEvent => event.kind === 'notification');
}

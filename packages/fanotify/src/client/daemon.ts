// connect(): the daemon, as programs without privilege have it. Lazy: each group makes a connection of its own.

import { type Listener, openListener } from '../core/listener.ts';
import type { ListenerOptions } from '../core/listener-options.ts';
import { InvalidOptionsError } from '../group/errors.ts';
import { assertKnown } from '../group/flags.ts';
import { Group } from '../group/group.ts';
import type { HandleGroupOptions } from '../group/options.ts';
import type { MarkTarget } from '../group/source.ts';
import type { Kernel } from '../kernel/index.ts';
import { type DirectedListener, type ListenOptions, listen } from '../scope/directed-listener.ts';
import type { WatchOptions } from '../watch/options.ts';
import { watch } from '../watch/watch.ts';
import type { Watcher } from '../watch/watcher.ts';
import { brokeredKernel } from './brokered-kernel.ts';
import { socketPath } from './connection.ts';
import { openDaemonGroup } from './daemon-group.ts';
import { DaemonGuard } from './guard.ts';
import type { DaemonGuardOptions } from './guard-options.ts';

/** What {@link connect} takes. */
export interface ConnectOptions {
  /** The path of the daemon's socket. Default: the environment's FANOTIFY_SOCKET, or /run/fanotifyd/socket. */
  readonly socket?: string | undefined;
}

/** What {@link Daemon.group} takes: the daemon's groups report names, and nothing that needs privilege. */
export type DaemonGroupOptions = Pick<HandleGroupOptions, 'ownEvents' | 'signal' | 'bufferBytes' | 'maxDirectories'>;

const GROUP_OPTIONS = ['ownEvents', 'signal', 'bufferBytes', 'maxDirectories'];

/**
 * The daemon, fanotifyd: what {@link connect} gives. It tells an ordinary user what happens to files that he could reach and stat
 * himself, without a mark for each directory; what goes beyond that its configuration grants.
 *
 * Groups that report names, and what is made of them, connect again when the daemon has been started again: their marks are placed
 * anew, and an overflow tells that something may have been missed.
 *
 * Privilege: none, where a daemon runs.
 *
 * @example
 * import { connect } from 'fanotify/client';
 * const daemon = connect({ socket: '/no/such/socket' });
 * const watcher = daemon.watch('/tmp');
 * await watcher.ready.catch((error) => console.log(error.code)); // DAEMON_UNAVAILABLE
 */
export class Daemon {
  /** The path of its socket. */
  readonly socket: string;
  readonly #kernel: Kernel;

  /** Use {@link connect}. */
  constructor(options: ConnectOptions = {}) {
    this.socket = socketPath(options.socket);
    this.#kernel = brokeredKernel({ socket: this.socket });
  }

  /**
   * As {@link Group.open}: a group that reports names. Its marks are of scope `inode`, or where that was granted `filesystem`.
   *
   * Privilege: none.
   *
   * @throws DaemonUnavailableError, DaemonVersionError, InvalidOptionsError, LimitError; the signal's reason when it has aborted.
   * @example
   * import { connect } from 'fanotify/client';
   * try {
   *   const group = await connect({ socket: '/no/such/socket' }).group();
   *   await group.mark('/tmp', { events: ['create'] });
   * } catch (error) {
   *   console.log(error.code); // DAEMON_UNAVAILABLE
   * }
   */
  async group(options: DaemonGroupOptions = {}): Promise<Group<'handle'>> {
    assertKnown('group()', options, GROUP_OPTIONS);
    return await Group.open({ ...options, kernel: this.#kernel });
  }

  /**
   * As {@link listen}: hears what happens at and below directories.
   *
   * Privilege: none.
   *
   * @throws What {@link Daemon.group} throws; NoSuchPathError, NotDirectoryError, NotPermittedError, UnsupportedFilesystemError.
   * @example
   * import { connect } from 'fanotify/client';
   * try {
   *   const listener = await connect({ socket: '/no/such/socket' }).listen('/tmp', { events: ['create'] });
   *   for await (const event of listener) console.log(event.kind, event.path);
   * } catch (error) {
   *   console.log(error.code); // DAEMON_UNAVAILABLE
   * }
   */
  async listen(
    paths: string | Uint8Array | readonly (string | Uint8Array)[],
    options: Omit<ListenOptions, 'kernel'>,
  ): Promise<DirectedListener> {
    return await listen(paths, { ...options, kernel: this.#kernel });
  }

  /**
   * As {@link watch}: the changes of trees, one after the other. Where there is no daemon, `ready` rejects.
   *
   * Privilege: none.
   *
   * @example
   * import { connect } from 'fanotify/client';
   * const watcher = connect({ socket: '/no/such/socket' }).watch('/tmp');
   * await watcher.ready.catch((error) => console.log(error.socket)); // /no/such/socket
   */
  watch(
    paths: string | Uint8Array | readonly (string | Uint8Array)[],
    options: Omit<WatchOptions, 'kernel' | 'fallback'> = {},
  ): Watcher {
    if ('fallback' in options || 'kernel' in options) {
      throw new InvalidOptionsError('a watch through the daemon has neither fallback nor kernel');
    }
    return watch(paths, { ...options, kernel: this.#kernel, fallback: false });
  }

  /**
   * As {@link guard}: holds accesses until `decide` has a verdict, in order of `priority` with all others that the daemon asks.
   *
   * Privilege: what the daemon's configuration grants (`decide`).
   *
   * @throws DaemonUnavailableError, DaemonVersionError, InvalidOptionsError, NoSuchPathError; CallError for what the daemon refuses:
   * EPERM without a grant.
   * @example
   * import { connect } from 'fanotify/client';
   * try {
   *   await connect({ socket: '/no/such/socket' }).guard('/srv', { decide: () => 'allow' });
   * } catch (error) {
   *   console.log(error.code); // DAEMON_UNAVAILABLE
   * }
   */
  async guard(target: MarkTarget | readonly MarkTarget[], options: DaemonGuardOptions): Promise<DaemonGuard> {
    return await DaemonGuard.open(this.socket, target, options);
  }

  /**
   * As {@link Listener.open} of `fanotify/core`: events with descriptors, and accesses to decide on, in order of priority with all other
   * clients. It does not connect again: iteration throws DaemonEndedError when the daemon has ended.
   *
   * Privilege: none for what is told of files that this user may open; what goes beyond that the daemon's configuration grants.
   *
   * @throws What {@link Daemon.guard} throws.
   * @example
   * import { connect } from 'fanotify/client';
   * try {
   *   const listener = await connect({ socket: '/no/such/socket' }).listener({ priority: 100 });
   *   await listener.mark('/srv', { scope: 'subtree', events: ['open'] });
   * } catch (error) {
   *   console.log(error.code); // DAEMON_UNAVAILABLE
   * }
   */
  async listener(options: ListenerOptions = {}): Promise<Listener> {
    return openListener(options, (kernel, settings) => openDaemonGroup(kernel, this.socket, settings));
  }
}

/**
 * The daemon. Nothing is connected yet: each group, watch, guard and listener makes a connection of its own, and says then if there is
 * no daemon.
 *
 * Privilege: none.
 *
 * @throws InvalidOptionsError
 * @example
 * import { connect } from 'fanotify/client';
 * console.log(connect().socket); // e.g. /run/fanotifyd/socket
 */
export function connect(options: ConnectOptions = {}): Daemon {
  assertKnown('connect()', options, ['socket']);
  const { socket } = options;
  if (socket !== undefined && (typeof socket !== 'string' || socket === '')) {
    throw new InvalidOptionsError(`socket: ${JSON.stringify(socket)} is no path`);
  }
  return new Daemon(options);
}

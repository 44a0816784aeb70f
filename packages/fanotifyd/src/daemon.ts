// The daemon's main process: who may connect, to which broker, and whether those are well. It answers no access itself, so that whatever it
// does, nobody waits for it.

import { type BrokerKind, type ClientPeer, Porter } from 'fanotify/broker';
import type { Kernel } from 'fanotify/kernel';
import { Admin } from './admin.ts';
import { Admission } from './admission.ts';
import { assertCapable } from './capabilities.ts';
import { type Config, needsRestart, rightsOf } from './config/config.ts';
import { type Entrance, handedSocket, ownSocket } from './listening.ts';
import type { Log } from './log.ts';
import type { Manager } from './notify.ts';
import type { DaemonStatus } from './status.ts';
import { SubordinateUsers } from './subordinate-users.ts';
import { Supervisor } from './supervisor.ts';

const KINDS: readonly BrokerKind[] = ['descriptors', 'names'];
const TIDY_MS = 10_000;
/** sd_watchdog_enabled(3) asks for half of the time; a beat may be left out when a broker is being started anew. */
const BEATS_PER_WATCHDOG = 4;

export interface DaemonParts {
  readonly kernel: Kernel;
  readonly log: Log;
  readonly manager: Manager;
  readonly version: string;
  readonly config: Config;
  /** undefined where there is none. */
  readonly file: string | undefined;
}

export class Daemon {
  readonly #parts: DaemonParts;
  readonly #admission: Admission;
  readonly #supervisors: Readonly<Record<BrokerKind, Supervisor>>;
  readonly #admin: Admin;
  #porter: Porter | undefined;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #startedMs = performance.now();
  #config: Config;
  #file: string | undefined;
  #readAt = new Date();
  /** Whom those count as who connect from now on. */
  #subordinates = SubordinateUsers.read();
  #entrance: Entrance | undefined;

  constructor(parts: DaemonParts) {
    const { kernel, log, config } = parts;
    this.#parts = parts;
    this.#config = config;
    this.#file = parts.file;
    this.#admin = new Admin(kernel, () => this.status());
    this.#admission = new Admission({
      kernel,
      log,
      countedAs: (uid) => this.#subordinates.countedAs(uid),
      rightsOf: (peer) => rightsOf(this.#config, peer),
      admit: (kind, fd, rights) => this.#supervisors[kind].admit(fd, rights),
      letGo: (peer, fd) => (this.#porter ? this.#porter.letGo(peer, fd) : kernel.close(fd)),
      isFull: () => this.#porter?.isFull === true,
    });
    const left = ({ peer }: { peer: ClientPeer }) => this.#admission.left(peer);
    const supervise = (kind: BrokerKind) =>
      new Supervisor({ kind, kernel, log, left, processesChanged: () => this.#nameOwn() }, config.stuckAfterMs);
    this.#supervisors = { descriptors: supervise('descriptors'), names: supervise('names') };
  }

  /**
   * Begins to serve.
   *
   * @throws BrokerDiedError, CapabilityError, ListenError or KernelError when it cannot.
   */
  async start(): Promise<void> {
    const { kernel, log, manager } = this.#parts;
    for (const doubt of assertCapable()) log.say('warn', doubt);
    for (const { line, message } of this.#config.warnings) log.say('warn', message, { line });
    this.#entrance = handedSocket(kernel) ?? ownSocket(kernel, this.#config.socket);
    try {
      await this.#admin.open(this.#config);
      const tell = (text: string) => log.say('error', text);
      this.#porter = new Porter({ tell, processesChanged: () => this.#nameOwn() }, kernel);
      await Promise.all(this.#each((supervisor) => supervisor.start()));
    } catch (error) {
      await this.#endAll();
      throw error;
    }
    this.#admission.open(this.#entrance.fd);
    log.say('info', `serving at ${this.#entrance.name}`);
    manager.ready(this.#summary());
    this.#timers.push(setInterval(() => this.#tidy(), TIDY_MS));
    if (manager.watchdogMs !== undefined) {
      const beat = () => this.#each(({ isWell }) => isWell).every(Boolean) && manager.isWell();
      this.#timers.push(setInterval(beat, manager.watchdogMs / BEATS_PER_WATCHDOG));
    }
  }

  /**
   * Takes another configuration, without losing an event of those who keep their rights. What takes a restart is said, and stays.
   *
   * @param read Reads it; what it throws changes nothing. `before` is the file that was read last.
   */
  reload(read: (before: string | undefined) => Pick<DaemonParts, 'config' | 'file'>): void {
    const { log, manager } = this.#parts;
    manager.reloading();
    try {
      const { config, file } = read(this.#file);
      for (const { line, message } of config.warnings) log.say('warn', message, { line });
      const restart = needsRestart(this.#config, config);
      if (restart.length > 0) log.say('warn', `${restart.join(', ')}: what has changed there takes a restart`);
      const { socket, admin, metrics } = this.#config;
      this.#config = { ...config, socket, admin, metrics };
      this.#file = file;
      this.#readAt = new Date();
      this.#subordinates = SubordinateUsers.read();
      log.settings = config.log;
      this.#each((supervisor) => {
        supervisor.stuckAfterMs = config.stuckAfterMs;
        supervisor.renewRights((peer) => rightsOf(config, peer).rights);
      });
      log.say('info', 'the configuration was read again');
    } catch (error) {
      log.say('error', 'the configuration stays as it was, since the new one cannot be used');
      for (const line of String(error instanceof Error ? error.message : error).split('\n')) log.say('error', line);
    }
    manager.ready(this.#summary());
  }

  /** Ends in order: what is held gets its policies. */
  async close(): Promise<void> {
    const { log, manager } = this.#parts;
    manager.stopping();
    log.say('info', 'ending');
    await this.#endAll();
    log.settle(true);
  }

  async status(): Promise<DaemonStatus> {
    const { version } = this.#parts;
    const reports = await Promise.all(
      this.#each(async (supervisor) => ({ supervisor, status: await supervisor.status() })),
    );
    const groups = reports.flatMap(({ status }) => status?.groups ?? []);
    return {
      version,
      pid: process.pid,
      upSeconds: (performance.now() - this.#startedMs) / 1_000,
      configuration: { file: this.#file, readAt: this.#readAt.toISOString() },
      connections: {
        accepted: this.#admission.accepted,
        waiting: this.#admission.waiting,
        refused: this.#admission.refused,
      },
      brokers: reports.map(({ supervisor: { kind, pid, isWell, restarts, clients }, status }) => ({
        kind,
        pid,
        isWell,
        restarts,
        clients: clients.size,
        totals: status?.totals,
      })),
      groups: groups.toSorted((a, b) => b.priority - a.priority),
      users: this.#admission.users.toSorted((a, b) => b.groups - a.groups || a.uid - b.uid),
    };
  }

  async #endAll(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#admission.close();
    this.#entrance?.close();
    this.#entrance = undefined;
    await Promise.all([...this.#each((supervisor) => supervisor.close()), this.#porter?.close()]);
    this.#admin.close();
  }

  #tidy(): void {
    this.#admission.tidy();
    this.#parts.log.settle();
    this.#parts.manager.status(this.#summary());
  }

  #nameOwn(): void {
    const pids = [...this.#each((supervisor) => supervisor.pids).flat(), ...(this.#porter?.pids ?? [])];
    this.#each((supervisor) => supervisor.name(pids));
  }

  #summary(): string {
    const groups = this.#each(({ clients }) => clients.size).reduce((sum, size) => sum + size, 0);
    return `${groups} ${groups === 1 ? 'group' : 'groups'} of ${this.#admission.users.length} users`;
  }

  #each<T>(use: (supervisor: Supervisor) => T): T[] {
    return KINDS.map((kind) => use(this.#supervisors[kind]));
  }
}

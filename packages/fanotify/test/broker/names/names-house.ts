// A names broker's loop in this process, its clients beside it, and a shell that does what is to be heard: the broker tells nobody what
// its own process does.

import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { onTestFinished } from 'vitest';
import {
  decodeEvents,
  FAN_REPORT_DFID_NAME_TARGET,
  type Fsid,
  type InfoRecord,
  maskNames,
  O_PATH,
} from '../../../src/abi/index.ts';
import type { News, StatusPage } from '../../../src/broker/control.ts';
import { NamesLoop } from '../../../src/broker/names/names-loop.ts';
import type { ClientLimits, Grant, Rights } from '../../../src/broker/rights.ts';
import type { Visits } from '../../../src/broker/visits.ts';
import {
  ANSWER_TYPE,
  PATH_TYPE,
  PROTOCOL_VERSION,
  REPORT_PATH,
  REQUEST,
  RequestWriter,
  SEQUENCE_TYPE,
} from '../../../src/core/process/wire.ts';
import type { MarkChange } from '../../../src/core/types.ts';
import { type Kernel, KernelError, linuxKernel } from '../../../src/kernel/index.ts';
import { mountTmpfs, type ScratchMount } from '../../support/mounts.ts';
import { LocalVisits } from './local-visits.ts';

const MOST_BYTES = 64 * 1024;
const LONGEST_MS = 10_000;
const ORDERS_AT_ONCE = 64;

const kernel = linuxKernel();

/** A user without rights of its own, and another. */
export const USER = 12_345;
export const OTHER = 12_346;
export const ALL: Grant = { under: null, all: true, decide: false, system: true, pids: true };

const LIMITS = { marks: 100, queueBytes: 1 << 22, descriptors: 100, pending: 100, requestsPerSecond: 1_000_000 };

export function rightsOf(
  grants: readonly Grant[],
  { uid = 0, ...limits }: Partial<ClientLimits & { uid: number }> = {},
): Rights {
  return { peer: { pid: 1, uid, gid: uid, groups: [] }, grants, limits: { ...LIMITS, ...limits } };
}

/** What a client was told. */
export interface HeardName {
  /** Event bits, as their names without FAN_: `CREATE|ONDIR`. */
  readonly kinds: string;
  readonly pid: number;
  readonly sequence: number | undefined;
  /** Names in the records, in their order. */
  readonly names: readonly string[];
  /** PATH records: the mark's number and the path. */
  readonly paths: readonly string[];
  readonly records: readonly InfoRecord[];
}

export interface HouseOptions {
  /** By default Linux. */
  readonly kernel?: Kernel;
  readonly mostKept?: number;
  readonly mostDirectories?: number;
  readonly mostWaiting?: number;
  /** Tells when losses are told. */
  readonly clock?: () => number;
  /** By default visits that are made in this process. */
  readonly visits?: (onStuck: (pid: number | null) => void) => Visits;
}

export class NamesHouse {
  readonly loop: NamesLoop;
  /** Undefined where the test has others. */
  readonly visits: LocalVisits;
  readonly mount: ScratchMount;
  readonly news: News[] = [];
  readonly clients: NamesClient[] = [];
  readonly #control: number;
  #lastId = 0;

  constructor({ visits, ...options }: HouseOptions = {}, mount: ScratchMount = mountTmpfs()) {
    this.mount = mount;
    this.visits = new LocalVisits(kernel);
    const [control, theirs] = kernel.socketPair();
    this.#control = control;
    const mainPidfd = kernel.pidfdOpen(process.pid);
    this.loop = new NamesLoop({
      kernel,
      control: theirs,
      mainPidfd,
      mainPid: process.pid,
      visits: visits ?? (() => this.visits),
      mostKept: 5_000,
      ...options,
    });
    onTestFinished(() => {
      for (const client of this.clients) client.close();
      this.loop.giveUp();
      for (const fd of [control, theirs, mainPidfd]) kernel.close(fd);
      mount.unmount();
    });
  }

  /** Does something in the mount, as root or as somebody else. */
  do(script: string, { uid = 0 } = {}): void {
    const user = uid === 0 ? {} : { uid, gid: uid };
    const done = spawnSync('sh', ['-ec', script], { cwd: this.mount.path, encoding: 'utf8', ...user });
    if (done.status !== 0) throw new Error(`${script}: ${done.error?.message ?? done.stderr}`);
  }

  /** A client with a group. */
  client(rights: Rights = rightsOf([ALL]), flags: number = FAN_REPORT_DFID_NAME_TARGET | REPORT_PATH): NamesClient {
    const client = this.admit(rights);
    client.call(client.bindRequest(flags));
    return client;
  }

  /** Clients with a group and a mark each, all at once: one after the other takes long where there are many. */
  clientsOf(paths: readonly string[], mask: bigint): NamesClient[] {
    const clients = paths.map((path, at) => {
      const client = this.admit(rightsOf([ALL]));
      client.send(client.bindRequest());
      client.sendMark(path, mask, { number: at });
      return client;
    });
    this.until(() => clients.every(({ answers }) => answers.size === 2), 'all have marks', clients);
    for (const { answers } of clients)
      for (const { errno } of answers.values()) if (errno !== 0) throw new Error(`errno ${errno}`);
    return clients;
  }

  admit(rights: Rights): NamesClient {
    const [ours, theirs] = kernel.socketPair();
    const client = new NamesClient(this, ++this.#lastId, ours);
    kernel.sendMessage(this.#control, Buffer.from(JSON.stringify({ do: 'admit', id: client.id, rights })), [theirs]);
    kernel.close(theirs);
    this.clients.push(client);
    if (this.clients.length % ORDERS_AT_ONCE === 0) this.loop.step(0);
    return client;
  }

  /** @param fd A connection to one, which is the broker's from then on. */
  addVisitor(fd: number): void {
    kernel.sendMessage(this.#control, Buffer.from(JSON.stringify({ do: 'visitor' })), [fd]);
    kernel.close(fd);
    this.loop.step(0);
  }

  setRights(client: NamesClient, rights: Rights): void {
    kernel.sendMessage(this.#control, Buffer.from(JSON.stringify({ do: 'rights', id: client.id, rights })));
    this.loop.step(0);
  }

  status(): StatusPage {
    kernel.sendMessage(this.#control, Buffer.from(JSON.stringify({ do: 'status', number: 1, after: 0 })));
    const isIt = (news: News) => news.is === 'status';
    this.until(() => this.news.some(isIt), 'its status');
    return this.news.splice(this.news.findIndex(isIt), 1)[0] as StatusPage & News;
  }

  /** Lets the broker go on, and clients read, until it is so. */
  until(isSo: () => boolean, what: string, clients: readonly NamesClient[] = this.clients): void {
    const started = Date.now();
    for (;;) {
      this.#hear();
      for (const client of clients) client.read();
      if (isSo()) return;
      if (Date.now() - started > LONGEST_MS) throw new Error(`too late: ${what}; ${JSON.stringify(this.news)}`);
      this.loop.step(1);
    }
  }

  #hear(): void {
    const buffer = Buffer.alloc(MOST_BYTES);
    try {
      for (;;) {
        const { bytes } = kernel.receiveMessage(this.#control, buffer, true);
        this.news.push(JSON.parse(buffer.toString('utf8', 0, bytes)) as News);
      }
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
  }
}

/** A client's end of its connection. */
export class NamesClient {
  readonly id: number;
  readonly fd: number;
  readonly writer: RequestWriter = new RequestWriter();
  readonly events: HeardName[] = [];
  readonly answers: Map<number, { readonly errno: number; readonly data: Buffer; readonly behind: number }> = new Map();
  /** It does not read while this is so. */
  isStopped = false;
  isOver = false;
  heard = 0;
  readonly #house: NamesHouse;
  readonly #buffer = Buffer.alloc(MOST_BYTES);
  #isOpen = true;

  constructor(house: NamesHouse, id: number, fd: number) {
    this.#house = house;
    this.id = id;
    this.fd = fd;
  }

  /** Marks a path in the mount as whoever runs the test reaches it. */
  mark(path: string, mask: bigint, change: Partial<MarkChange> & { number?: number } = {}): void {
    this.#withTarget(path, (fd) => this.call(this.#markRequest(REQUEST.addMark, mask, change), [fd]));
  }

  /** The same, and does not wait for the answer. */
  sendMark(path: string, mask: bigint, change: Partial<MarkChange> & { number?: number } = {}): void {
    this.#withTarget(path, (fd) => this.send(this.#markRequest(REQUEST.addMark, mask, change), [fd]));
  }

  /** Sends a message, with a descriptor of a path if so. */
  sendFor(path: string, message: Buffer, isWithTarget: boolean): void {
    this.#withTarget(path, (fd) => this.send(message, isWithTarget ? [fd] : []));
  }

  bindRequest(flags: number = FAN_REPORT_DFID_NAME_TARGET | REPORT_PATH): Buffer {
    return this.writer.bind({ mask: 0n, priority: 0, flags, eventFlags: 0 }, PROTOCOL_VERSION);
  }

  unmark(path: string, mask: bigint, change: Partial<MarkChange> = {}): void {
    this.#withTarget(path, (fd) => this.call(this.#markRequest(REQUEST.removeMark, mask, change), [fd]));
  }

  /** Everything that has happened is heard after this; what was heard since the last time. */
  sync(): HeardName[] {
    this.call(this.writer.plain(REQUEST.sync));
    return this.take();
  }

  /** The same, as lines: kinds, names, and paths. */
  lines(): string[] {
    return this.sync().map(lineOf);
  }

  take(): HeardName[] {
    return this.events.splice(0);
  }

  /** Where a directory is: the mark's number and the path. */
  resolve({ fsid, handle }: { readonly fsid: Fsid; readonly handle: Buffer }): string {
    const data = this.call(this.writer.resolve(fsid, handle));
    return `${data.readUInt32LE(0)}:${data.toString('latin1', 4)}`;
  }

  /** Waits for the answer; throws what it says with the errno as `errno`. */
  call(request: Buffer, descriptors: readonly number[] = []): Buffer {
    const number = this.send(request, descriptors);
    this.#house.until(() => this.answers.has(number) || this.isOver, `request ${number} is answered`, [this]);
    const answer = this.answers.get(number);
    if (!answer) throw Object.assign(new Error('the connection has ended'), { errno: -1 });
    if (answer.errno !== 0) throw Object.assign(new Error(answer.data.toString()), { errno: answer.errno });
    return answer.data;
  }

  /** Asks, and does not wait; the number of the request. */
  send(request: Buffer, descriptors: readonly number[] = []): number {
    kernel.sendMessage(this.fd, request, descriptors);
    return request.readUInt32LE(4);
  }

  read(): void {
    while (this.#isOpen && !this.isStopped && !this.isOver && this.#readOnce());
  }

  close(): void {
    if (this.#isOpen) kernel.close(this.fd);
    this.#isOpen = false;
  }

  #markRequest(
    type: typeof REQUEST.addMark | typeof REQUEST.removeMark,
    mask: bigint,
    change: Partial<MarkChange> & { number?: number },
  ): Buffer {
    const { number = 1, ...rest } = change;
    return this.writer.mark(type, { scope: 'subtree', mask, ignored: 0n, survivesModify: false, ...rest }, number);
  }

  #withTarget(path: string, use: (fd: number) => unknown): void {
    const fd = openSync(path.startsWith('/') ? path : `${this.#house.mount.path}/${path}`, O_PATH);
    try {
      use(fd);
    } finally {
      closeSync(fd);
    }
  }

  #readOnce(): boolean {
    let bytes: number;
    try {
      ({ bytes } = kernel.receiveMessage(this.fd, this.#buffer, true));
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code !== 'EAGAIN') this.isOver = true;
      return false;
    }
    if (bytes === 0) this.isOver = true;
    for (const event of decodeEvents(Buffer.from(this.#buffer.subarray(0, bytes)))) this.#take(event);
    return true;
  }

  #take({ mask, pid, records }: ReturnType<typeof decodeEvents>[number]): void {
    const names: string[] = [];
    const paths: string[] = [];
    let sequence: number | undefined;
    for (const record of records) {
      if ('name' in record) names.push(record.name.toString());
      if (record.type !== 'UNKNOWN') continue;
      const { infoType, bytes } = record;
      if (infoType === ANSWER_TYPE) {
        const answer = { errno: bytes.readUInt32LE(4), data: Buffer.from(bytes.subarray(8)), behind: this.heard };
        this.answers.set(bytes.readUInt32LE(0), answer);
        return;
      }
      if (infoType === PATH_TYPE) paths.push(`${bytes.readUInt32LE(0)}:${bytes.toString('utf8', 4)}`);
      if (infoType === SEQUENCE_TYPE) sequence = Number(bytes.readBigUInt64LE(4));
    }
    const kinds = maskNames(mask).map((name) => name.replace('FAN_', ''));
    this.heard++;
    this.events.push({ kinds: kinds.join('|'), pid, sequence, names, paths, records });
  }
}

/** Bits, names, and where the directories are. */
export function lineOf({ kinds, names, paths }: HeardName): string {
  return [kinds, ...names, ...paths.map((path) => `@${path}`)].join(' ');
}

/** The fsid and handle of a directory, as resolve takes them. */
export function handleOf(path: string): { readonly fsid: Fsid; readonly handle: Buffer } {
  const { handle } = kernel.nameToHandleAt(-100, path, 0);
  return { fsid: kernel.statfs(path).fsid, handle };
}

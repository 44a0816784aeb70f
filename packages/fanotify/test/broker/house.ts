// A broker in a process of its own, with this one as the daemon's main process, and clients of it in this one. The broker tells nobody what
// this process does: others have to open files.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import {
  EventCursor,
  FAN_ALLOW,
  FAN_CLASS_CONTENT,
  FAN_DENY,
  FAN_EVENT_METADATA_LEN,
  FAN_NOFD,
  O_PATH,
} from '../../src/abi/index.ts';
import type { News, Order, StatusPage } from '../../src/broker/control.ts';
import type { ClientLimits, Grant, Rights } from '../../src/broker/rights.ts';
import { readEvents } from '../../src/core/process/event-wire.ts';
import { ANSWER_TYPE, PROTOCOL_VERSION, REQUEST, RequestWriter, SEQUENCE_TYPE } from '../../src/core/process/wire.ts';
import type { CoreEvent, GroupSettings, MarkChange } from '../../src/core/types.ts';
import { KernelError, linuxKernel } from '../../src/kernel/index.ts';

const BROKER = fileURLToPath(new URL('../../dist/broker/broker-main.js', import.meta.url));
const VISITOR = fileURLToPath(new URL('../../dist/broker/visitor-main.js', import.meta.url));
const OPENING = fileURLToPath(new URL('./opening.mjs', import.meta.url));
const LONGEST_MS = 10_000;
const MOST_BYTES = 64 * 1024;

const kernel = linuxKernel();

export const LIMITS: ClientLimits = {
  marks: 100,
  queueBytes: 1 << 20,
  descriptors: 1_000,
  pending: 500,
  requestsPerSecond: 100_000,
};
/** What a scanner is granted: everything but the whole system. */
export const SCANNER: Grant = { under: null, all: true, decide: true, system: true, pids: true };
export const NOBODY = 65_534;

export function rightsOf(
  grants: readonly Grant[],
  { uid = 0, pid = 1, ...limits }: Partial<ClientLimits & Person> = {},
): Rights {
  return { peer: { pid, uid, gid: uid, groups: [] }, grants, limits: { ...LIMITS, ...limits } };
}

interface Person {
  readonly uid: number;
  readonly pid: number;
}

/** What a client was told. */
export interface HeardEvent extends CoreEvent {
  readonly path: string;
  /** The event's number, where its message says it. */
  readonly sequence: bigint | undefined;
}

/** A broker, with a visitor. */
export class House {
  readonly news: News[] = [];
  readonly clients: Client[] = [];
  readonly broker: ChildProcess;
  readonly #control: number;
  #isControlOpen = true;
  #lastId = 0;
  #lastNumber = 0;
  #stderr = '';

  private constructor(kind: string, env: NodeJS.ProcessEnv) {
    const [control, theirs] = kernel.socketPair();
    this.#control = control;
    this.broker = spawn(process.execPath, [BROKER, kind], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'inherit', 'pipe', theirs],
    });
    kernel.close(theirs);
    this.broker.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    onTestFinished(() => this.end());
  }

  static async open(kind = 'descriptors', env: NodeJS.ProcessEnv = {}): Promise<House> {
    const house = new House(kind, env);
    await house.until(() => house.news.some(({ is }) => is === 'ready' || is === 'failed'), 'it is ready');
    house.addVisitor();
    return house;
  }

  get pid(): number {
    return this.broker.pid ?? -1;
  }

  addVisitor(): void {
    const [ours, theirs] = kernel.socketPair();
    const visitor = spawn(process.execPath, [VISITOR], { stdio: ['ignore', 'inherit', 'inherit', theirs] });
    onTestFinished(() => void visitor.kill('SIGKILL'));
    kernel.close(theirs);
    this.order({ do: 'visitor' }, [ours]);
    kernel.close(ours);
  }

  order(order: Order, descriptors: readonly number[] = []): void {
    kernel.sendMessage(this.#control, Buffer.from(JSON.stringify(order)), descriptors);
  }

  /** Admits a client, which is this process: its events come in whenever something is waited for. */
  admit(rights: Rights): Client {
    const [ours, theirs] = kernel.socketPair();
    const client = new Client(this, ++this.#lastId, ours);
    this.order({ do: 'admit', id: client.id, rights }, [theirs]);
    kernel.close(theirs);
    this.clients.push(client);
    return client;
  }

  /** A client that decides, bound. */
  async scanner(settings: Partial<GroupSettings> = {}, rights: Rights = rightsOf([SCANNER])): Promise<Client> {
    const client = this.admit(rights);
    await client.bind({ flags: FAN_CLASS_CONTENT, ...settings });
    return client;
  }

  async status(after = 0): Promise<StatusPage> {
    const number = ++this.#lastNumber;
    this.order({ do: 'status', number, after });
    const isIt = (news: News) => news.is === 'status' && news.number === number;
    await this.until(() => this.news.some(isIt), 'its status');
    return this.news.find(isIt) as StatusPage & News;
  }

  /** Why a client has ended, once it has. */
  async whyEnded({ id }: Client): Promise<string> {
    const isIt = (news: News) => news.is === 'ended' && news.id === id;
    await this.until(() => this.news.some(isIt), `client ${id} ends`);
    return (this.news.find(isIt) as Extract<News, { is: 'ended' }>).why;
  }

  /** Lets all clients read, and decide, until it is so. */
  async until(isSo: () => boolean, what: string): Promise<void> {
    const started = Date.now();
    for (;;) {
      this.#hear();
      for (const client of this.clients) client.read();
      if (isSo()) return;
      if (Date.now() - started > LONGEST_MS) throw new Error(`too late: ${what}; ${this.#stderr}`);
      await sleep(1);
    }
  }

  /** Lets all read and decide while somebody does something. */
  async during<T>(doing: Promise<T>): Promise<T> {
    let isDone = false;
    const end = () => {
      isDone = true;
    };
    doing.then(end, end);
    await this.until(() => isDone, 'somebody is still held');
    return doing;
  }

  /** Whether others can read a file, while all decide. */
  reads(path: string): Promise<boolean> {
    return this.during(opened(path));
  }

  closeControl(): void {
    if (this.#isControlOpen) kernel.close(this.#control);
    this.#isControlOpen = false;
  }

  async end(): Promise<void> {
    for (const client of this.clients) client.close();
    this.closeControl();
    if (this.broker.exitCode === null && this.broker.signalCode === null) await once(this.broker, 'exit');
  }

  #hear(): void {
    const buffer = Buffer.alloc(MOST_BYTES);
    while (this.#isControlOpen) {
      const bytes = received(this.#control, buffer);
      if (!bytes || bytes.length === 0) return;
      const news = JSON.parse(bytes.toString()) as News;
      this.news.push(news);
      if (news.is === 'visitorStuck') this.addVisitor();
    }
  }
}

/** A client's end of its connection. */
export class Client {
  readonly id: number;
  readonly fd: number;
  readonly writer: RequestWriter = new RequestWriter();
  readonly events: HeardEvent[] = [];
  /** By the request's number. */
  readonly answers: Map<number, { readonly errno: number; readonly text: string }> = new Map();
  /** What it says to whatever it is asked; undefined keeps it waiting. */
  verdict: 'allow' | 'deny' | undefined = 'allow';
  /** It does not read while this is so. */
  isStopped = false;
  isOver = false;
  /** In the order in which they came: of each message whether it was an answer. */
  readonly order: string[] = [];
  readonly #house: House;
  readonly #buffer = Buffer.alloc(MOST_BYTES);
  #isOpen = true;

  constructor(house: House, id: number, fd: number) {
    this.#house = house;
    this.id = id;
    this.fd = fd;
  }

  async bind(settings: Partial<GroupSettings> = {}, version: number = PROTOCOL_VERSION): Promise<void> {
    await this.call(this.writer.bind({ mask: 0n, priority: 0, flags: 0, eventFlags: 0, ...settings }, version));
  }

  /** Marks a path as whoever runs the test reaches it. */
  async mark(path: string, mask: bigint, change: Partial<MarkChange> = {}): Promise<void> {
    const fd = openSync(path, O_PATH);
    try {
      await this.call(this.markRequest(mask, change), [fd]);
    } finally {
      closeSync(fd);
    }
  }

  markRequest(mask: bigint, change: Partial<MarkChange> = {}): Buffer {
    return this.writer.mark(REQUEST.addMark, {
      scope: 'filesystem',
      mask,
      ignored: 0n,
      survivesModify: false,
      ...change,
    });
  }

  /** Waits for the answer; throws what it says with the errno as `errno`. */
  async call(request: Buffer, descriptors: readonly number[] = []): Promise<string> {
    const number = request.readUInt32LE(4);
    let isSent = false;
    const copy = Buffer.from(request);
    await this.#house.until(() => {
      isSent ||= this.send(copy, descriptors);
      return isSent || this.isOver;
    }, `request ${number} is taken`);
    await this.#house.until(() => this.answers.has(number) || this.isOver, `request ${number} is answered`);
    const answer = this.answers.get(number);
    if (!answer) throw Object.assign(new Error('the connection has ended'), { errno: -1 });
    if (answer.errno !== 0) throw Object.assign(new Error(answer.text), { errno: answer.errno });
    return answer.text;
  }

  /** False when there is no room, or nobody. */
  send(request: Uint8Array, descriptors: readonly number[] = []): boolean {
    try {
      kernel.sendMessage(this.fd, request, descriptors);
      return true;
    } catch (error) {
      if (error instanceof KernelError) return false;
      throw error;
    }
  }

  respond(cookie: bigint, verdict: 'allow' | 'deny'): boolean {
    return this.send(this.writer.respond(cookie, verdict === 'allow' ? FAN_ALLOW : FAN_DENY));
  }

  async waits(ms: number, policy: 'allow' | 'deny'): Promise<this> {
    await this.call(this.writer.setTimeout(ms, policy));
    return this;
  }

  async sync(): Promise<void> {
    await this.call(this.writer.plain(REQUEST.sync));
  }

  /** Does not read any more until there is no room left in its connection: then all that comes waits in the broker. */
  async stall(): Promise<void> {
    this.isStopped = true;
    // Answers fill it, and then requests are not read; the other way they fill up as well.
    for (let refusals = 0; refusals < 20; ) {
      if (this.send(this.writer.plain(REQUEST.statistics))) continue;
      refusals++;
      await this.#house.status();
    }
  }

  /** What was heard since. */
  take(): HeardEvent[] {
    return this.events.splice(0);
  }

  get asked(): readonly HeardEvent[] {
    return this.events.filter(({ cookie }) => cookie !== 0n);
  }

  read(): void {
    while (this.#isOpen && !this.isStopped && !this.isOver && this.readOnce());
  }

  /** Reads a message, if there is one. */
  readOnce(): boolean {
    let message: { bytes: number; descriptors: readonly number[] };
    try {
      message = kernel.receiveMessage(this.fd, this.#buffer, true);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code !== 'EAGAIN') this.isOver = true;
      return false;
    }
    if (message.bytes === 0) this.isOver = true;
    else this.#take(Buffer.from(this.#buffer.subarray(0, message.bytes)), message.descriptors);
    return true;
  }

  close(): void {
    if (this.#isOpen) kernel.close(this.fd);
    this.#isOpen = false;
  }

  #take(bytes: Buffer, descriptors: readonly number[]): void {
    const record = bytes.length > FAN_EVENT_METADATA_LEN ? bytes.readUInt8(FAN_EVENT_METADATA_LEN) : 0;
    if (record === ANSWER_TYPE) {
      const at = FAN_EVENT_METADATA_LEN + 4;
      this.answers.set(bytes.readUInt32LE(at), {
        errno: bytes.readUInt32LE(at + 4),
        text: bytes.toString('utf8', at + 8, bytes.readUInt32LE(0)),
      });
      this.order.push('answer');
      return;
    }
    const first = record === SEQUENCE_TYPE ? bytes.readBigUInt64LE(FAN_EVENT_METADATA_LEN + 8) : undefined;
    for (const [at, event] of readEvents(new EventCursor(bytes), descriptors).entries()) {
      const path = event.fd === FAN_NOFD ? '' : readlinkSync(`/proc/self/fd/${event.fd}`);
      const sequence = first === undefined ? undefined : first + BigInt(at);
      this.order.push('event');
      this.events.push({ ...event, path, sequence });
      if (event.cookie !== 0n && this.verdict) this.respond(event.cookie, this.verdict);
      this.inspect?.(event.fd);
      if (event.fd !== FAN_NOFD) closeSync(event.fd);
    }
  }

  /** Is called with each event's descriptor, while it is open. */
  inspect: ((fd: number) => void) | undefined;
}

/** A message's bytes; undefined when there is none, or nobody. */
function received(fd: number, buffer: Buffer): Buffer | undefined {
  try {
    return buffer.subarray(0, kernel.receiveMessage(fd, buffer, true).bytes);
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}

/** Whether another process can open a file, and read it. */
export async function opened(path: string, { uid = 0 } = {}): Promise<boolean> {
  const child = spawn('cat', [path], { stdio: 'ignore', uid, gid: uid });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code === 0;
}

/** Another process opens a file to write, and closes it. */
export async function written(path: string): Promise<void> {
  await once(spawn('sh', ['-c', ': > "$0"', path], { stdio: 'inherit' }), 'exit');
}

/** Another process writes so many files in a directory, one after the other. */
export async function touched(directory: string, files: number): Promise<void> {
  const script = `i=0; while [ $i -lt ${files} ]; do : > "$0/$i"; i=$((i+1)); done`;
  const [code] = await once(spawn('sh', ['-c', script, directory], { stdio: 'inherit' }), 'exit');
  if (code !== 0) throw new Error(`cannot write to ${directory}`);
}

/** Opens a file many times at once, in one other process; how many of these came through. */
export function opensAtOnce(path: string, times: number): Promise<number> & { readonly pid: number } {
  const child = spawn(process.execPath, [OPENING, path, String(times)], {
    env: { ...process.env, UV_THREADPOOL_SIZE: String(times) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (more: string) => {
    text += more;
  });
  return Object.assign(
    once(child, 'close').then(() => Number(text)),
    { pid: child.pid ?? -1 },
  );
}

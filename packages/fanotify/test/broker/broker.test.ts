// A broker and its visitors as the daemon's main process handles them: real processes, of which each may die or stop.

import { Broker, BrokerDiedError, type BrokerListener, Porter } from 'fanotify/broker';
import { type Kernel, linuxKernel } from 'fanotify/kernel';
import { describe, expect, onTestFinished, test } from 'vitest';
import { PROTOCOL_VERSION, RequestWriter } from '../../src/core/process/wire.ts';
import { canMount } from '../support/mounts.ts';

const DEADLINE_MS = 10_000;
const kernel = linuxKernel();
const limits = { marks: 10, queueBytes: 100_000, descriptors: 10, pending: 10, requestsPerSecond: 1_000 };

async function until(look: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const started = Date.now();
  while (!(await look())) {
    if (Date.now() - started > DEADLINE_MS) throw new Error(`too late: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

class Told implements BrokerListener {
  readonly gone: (readonly [number, string])[] = [];
  readonly logged: string[] = [];
  readonly deaths: string[] = [];
  changes = 0;
  ended(id: number, why: string): void {
    this.gone.push([id, why]);
  }
  log(_level: string, _id: number | null, text: string): void {
    this.logged.push(text);
  }
  died(how: string): void {
    this.deaths.push(how);
  }
  processesChanged(): void {
    this.changes++;
  }
}

async function start(kind: 'descriptors' | 'names' = 'descriptors') {
  const told = new Told();
  const broker = await Broker.start(kind, told);
  onTestFinished(() => broker.close());
  return { broker, told };
}

/** A client's connection, and the broker's end of it. */
function client(priority = 0): { readonly fd: number; readonly theirs: number } {
  const [fd, theirs] = kernel.socketPair();
  const bind = new RequestWriter().bind({ mask: 0n, priority, eventFlags: 0, flags: 0 }, PROTOCOL_VERSION);
  kernel.sendMessage(fd, bind);
  return { fd, theirs };
}

const peer = { pid: process.pid, uid: 0, gid: 0, groups: [] };

describe.runIf(canMount)('a broker', () => {
  test('answers, and ends when it is told to, with its visitors', async () => {
    const { broker, told } = await start('names');
    await broker.ping();
    expect(await broker.status()).toMatchObject({ groups: [], totals: { read: 0 } });
    const { pids } = broker;
    expect(pids).toHaveLength(3);
    expect(pids[0]).toBe(broker.pid);
    await broker.close();
    await until(() => !pids.some(isRunning), 'the end of all its processes');
    expect(told.deaths).toEqual([]);
    await expect(broker.ping()).rejects.toThrow(BrokerDiedError);
  });

  test('tells of more groups than fit into a message, in order of priority, and of each that goes', async () => {
    const { broker, told } = await start();
    const clients = Array.from({ length: 150 }, (_, at) => client(at % 7));
    const ids = clients.map(({ theirs }) => broker.admit(theirs, { peer, grants: [], limits }));
    await until(async () => (await broker.status()).groups.length === 150, '150 groups');
    const { groups } = await broker.status();
    const order = groups.map(({ priority, id }) => [-priority, id]);
    expect(order).toEqual([...order].sort(([a = 0, i = 0], [b = 0, j = 0]) => a - b || i - j));
    broker.setRights(1, { peer, grants: [], limits: { ...limits, marks: 3 } });
    await until(async () => (await broker.status()).groups.find(({ id }) => id === 1)?.limits.marks === 3, 'the limit');
    broker.end(1);
    await until(() => told.gone.length === 1, 'the end of one');
    expect(told.gone).toEqual([[1, '']]);
    for (const { fd } of clients) kernel.close(fd);
    await until(() => told.gone.length === 150, 'the end of all');
    expect(told.gone.map(([id]) => id).sort((a, b) => a - b)).toEqual(ids);
  });

  test('that dies is told once, and fails who asks it', async () => {
    const { broker, told } = await start();
    const [, ...visitors] = broker.pids;
    process.kill(broker.pid ?? 0, 'SIGSTOP');
    const asked = [broker.ping(), broker.status()].map((promise) => promise.catch((error: unknown) => error));
    broker.kill();
    for (const answer of asked) expect(await answer).toBeInstanceOf(BrokerDiedError);
    await until(() => told.deaths.length > 0, 'its death');
    expect(told.deaths).toEqual(['was ended by SIGKILL']);
    await until(() => !visitors.some(isRunning), 'the end of its visitors');
  });

  test('takes orders again that found no room, in their order', async () => {
    let refusals = 40;
    const narrow: Kernel = new Proxy(kernel, {
      get: (target, name) => {
        if (name === 'sendMessage') {
          return (...args: Parameters<Kernel['sendMessage']>) => {
            if (refusals-- > 0) kernel.receiveMessage(empty, Buffer.alloc(1), true);
            return target.sendMessage(...args);
          };
        }
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    // Receiving from it fails with EAGAIN.
    const [empty, other] = kernel.socketPair();
    onTestFinished(() => {
      for (const fd of [empty, other]) kernel.close(fd);
    });
    const told = new Told();
    const broker = await Broker.start('descriptors', told, narrow);
    onTestFinished(() => broker.close());
    const { fd, theirs } = client();
    broker.admit(theirs, { peer, grants: [], limits });
    broker.end(1);
    await until(() => told.gone.length === 1, 'the end of it');
    expect(refusals).toBeLessThanOrEqual(0);
    kernel.close(fd);
  });

  test('that cannot begin says why', async () => {
    const told = new Told();
    const starting = Broker.start('nonsense' as 'names', told);
    await expect(starting).rejects.toThrow('the nonsense broker cannot begin: there is no broker "nonsense"');
    expect(told.deaths).toEqual([]);
  });

  test('gets another visitor at once when one dies, however often', async () => {
    const { broker, told } = await start();
    for (let round = 0; round < 4; round++) {
      const [, working = 0] = broker.pids;
      process.kill(working, 'SIGKILL');
      await until(() => broker.pids.length === 3 && !broker.pids.includes(working), 'another visitor');
    }
    expect(told.changes).toBeGreaterThanOrEqual(4);
    await broker.ping();
  });
});

describe.runIf(canMount)('a porter', () => {
  test('keeps few connections of one user open, however many it is to close and whatever its visitor does', async () => {
    const lines: string[] = [];
    const porter = new Porter({ tell: (text) => void lines.push(text), processesChanged: () => undefined });
    onTestFinished(() => porter.close());
    const stopped = porter.pids[0] ?? 0;
    process.kill(stopped, 'SIGSTOP');
    onTestFinished(() => {
      if (isRunning(stopped)) process.kill(stopped, 'SIGCONT');
    });
    const clients: number[] = [];
    onTestFinished(() => {
      for (const fd of clients) kernel.close(fd);
    });
    for (let count = 0; count < 300; count++) {
      const { fd, theirs } = client();
      kernel.sendMessage(fd, Buffer.of(1), [fd]);
      porter.letGo({ ...kernel.peerOf(theirs), uid: 100_000 + count, countedAs: 1000 }, theirs);
      clients.push(fd);
    }
    const hasEnded = (fd: number) => {
      const entry = { fd, events: 1, revents: 0 };
      return kernel.poll([entry], 0) > 0 && (entry.revents & 16) !== 0;
    };
    await until(() => clients.filter(hasEnded).length >= 300 - 32, 'their ends');
    // By no visitor: that one would have taken some seconds to be replaced.
    expect(porter.pids).toEqual([stopped]);
    expect(lines).toEqual([
      'connections of user 1000 come faster than they can be closed one by one: they end with processes',
    ]);
    expect(porter.isFull).toBe(false);
  });

  test('closes connections with what their clients have put into them, also after its visitor has died', async () => {
    const lines: string[] = [];
    const porter = new Porter({ tell: (text) => void lines.push(text), processesChanged: () => undefined });
    onTestFinished(() => porter.close());
    for (let round = 0; round < 3; round++) {
      const { fd, theirs } = client();
      // A descriptor of a connection in a connection: nobody here may close it.
      kernel.sendMessage(fd, Buffer.of(1), [fd]);
      porter.letGo(kernel.peerOf(theirs), theirs);
      const entry = { fd, events: 1, revents: 0 };
      await until(() => kernel.poll([entry], 0) > 0 && (entry.revents & 16) !== 0, 'its end');
      kernel.close(fd);
      for (const pid of porter.pids.slice(0, 1)) process.kill(pid, 'SIGKILL');
    }
  });
});

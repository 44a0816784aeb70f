// Both brokers in this process, on a simulated machine, and clients that send garbage: no frame may throw, no descriptor may stay open, and
// whoever else there is gets answers. limits.test.ts does the same with processes; here it is a hundred times as many.

import { expect, test } from 'vitest';
import { AT_FDCWD, EventCursor, O_CLOEXEC, O_PATH } from '../../src/abi/index.ts';
import { openDescriptorsLoop } from '../../src/broker/descriptors/descriptors-loop.ts';
import { openNamesLoop } from '../../src/broker/names/names-loop.ts';
import type { Rights } from '../../src/broker/rights.ts';
import { decodeVisit, encodeAnswer, MOST_VISIT_BYTES, SAID } from '../../src/broker/visit-wire.ts';
import { Visitor } from '../../src/broker/visitor.ts';
import { PROTOCOL_VERSION, REQUEST, RequestWriter } from '../../src/core/process/wire.ts';
import { type Kernel, KernelError } from '../../src/kernel/index.ts';
import { SimulatedSystem } from '../../src/simulated/seam/simulated-system.ts';
import { SystemCalls } from '../../src/simulated/seam/system-calls.ts';
import { frameOf, randomOf } from './garbage.ts';
import { rightsOf, SCANNER } from './house.ts';

/** More than so many are too many for every run of the tests: `FUZZ_FRAMES=10000000 npm test -- broker/fuzz`. */
const FRAMES = Number(process.env.FUZZ_FRAMES ?? 20_000);
const REQUESTS = Object.values(REQUEST);
const SEED = Number(process.env.FUZZ_SEED ?? 4711);
/** Flags of bind: a group that decides, one that is told handles and names, and one with paths too. */
const BINDS = { descriptors: [0, 4, 8], names: [0x0c00, 0x1e00, 0x0100_0c00] } as const;
const SIGKILL = 9;
const LOOPS = { descriptors: openDescriptorsLoop, names: openNamesLoop };

test.each(['descriptors', 'names'] as const)(
  `${FRAMES} frames of garbage, seed ${SEED}, disturb nobody: %s`,
  { timeout: 60_000 + FRAMES },
  (kind) => {
    const system = new SimulatedSystem({ seed: SEED });
    const calls = new SystemCalls(system);
    const here = system.kernelOf(system.init);
    here.make(calls.mkdir('/place'));
    for (const name of ['a', 'b']) here.make(calls.writeFile(`/place/${name}`, 'content'));
    const daemon = system.newProcess({ comm: 'fanotifyd' });
    const kernel = system.kernelOf(daemon);
    const [control, theirs] = kernel.socketPair();
    const mainPid = system.newProcess({ comm: 'main' }).process.pid;
    const loop = LOOPS[kind]({ kernel, control: theirs, mainPidfd: kernel.pidfdOpen(mainPid), mainPid }) as ReturnType<
      (typeof LOOPS)[typeof kind]
    > & { step(longestMs: number): unknown };
    const visit = visitorOf(system, kernel, daemon.process.pid, control);
    const turn = () => {
      loop.step(0);
      visit();
    };
    const random = randomOf(SEED);
    const targets = ['/place', '/place/a', '/place/b'].map((path) => kernel.openAt(AT_FDCWD, path, O_PATH | O_CLOEXEC));
    const inbox = Buffer.alloc(256 * 1024);
    let news = '';
    const hearNews = () => {
      for (let bytes = receive(kernel, control, inbox); bytes > 0; bytes = receive(kernel, control, inbox)) {
        news = inbox.toString('utf8', 0, bytes);
      }
    };
    let id = 0;
    const admit = (rights: Rights): number => {
      const [ours, other] = kernel.socketPair();
      kernel.sendMessage(control, Buffer.from(JSON.stringify({ do: 'admit', id: ++id, rights })), [other]);
      kernel.close(other);
      turn();
      return ours;
    };
    const bind = (client: number) => {
      const flags = BINDS[kind][random(3)] ?? 0;
      const settings = { mask: 0n, priority: random(3), flags, eventFlags: 0 };
      kernel.sendMessage(client, new RequestWriter().bind(settings, PROTOCOL_VERSION));
    };
    const [whole, user] = [rightsOf([SCANNER]), rightsOf([], { uid: 12_345 })];
    const other = admit(whole);
    bind(other);
    const answers = () => {
      kernel.sendMessage(other, new RequestWriter().plain(REQUEST.statistics));
      for (let turns = 0; turns < 20; turns++) {
        turn();
        const bytes = receive(kernel, other, inbox);
        if (bytes > 0 && new EventCursor(inbox.subarray(0, bytes)).next()) return true;
      }
      return false;
    };
    // The last visitors that have ended are known for a while: what they did may still be heard.
    const descriptors = `/proc/${daemon.process.pid}/fd`;
    const isOfVisitor = (name: Buffer) => here.readlink(`${descriptors}/${name}`).toString().includes('pidfd');
    const atRest = () => here.readDirectory(descriptors).filter(({ name }) => !isOfVisitor(name)).length;
    expect(answers()).toBe(true);
    const openBefore = atRest();
    let client = -1;
    let connections = 0;
    for (let sent = 0; sent < FRAMES; ) {
      if (client === -1) {
        client = admit(random(2) === 0 ? user : whole);
        connections++;
        if (random(4) > 0) bind(client);
      }
      for (let burst = 1 + random(64); burst > 0 && client !== -1; burst--) {
        const with_ = random(8) === 0 ? targets.slice(0, random(4)) : [];
        try {
          kernel.sendMessage(client, frameOf(random, REQUESTS), with_);
          sent++;
        } catch (error) {
          if (!(error instanceof KernelError)) throw error;
          if (error.code === 'EAGAIN') break;
          kernel.close(client);
          client = -1;
        }
      }
      // Something happens, for those who have marks.
      if (random(8) === 0) here.make(calls.writeFile(`/place/${random(2) === 0 ? 'a' : 'c'}`, 'more'));
      turn();
      hearNews();
      if (client !== -1 && random(4) > 0) while (receive(kernel, client, inbox) > 0);
      if (client !== -1 && random(200) === 0) {
        kernel.close(client);
        client = -1;
      }
      if (random(256) === 0) expect(answers()).toBe(true);
    }
    if (client !== -1) kernel.close(client);
    for (let turns = 0; turns < 50; turns++) turn();
    hearNews();
    expect(answers()).toBe(true);
    expect(connections).toBeGreaterThan(FRAMES / 20_000);
    expect(news).not.toBe('');
    expect(atRest()).toBeLessThanOrEqual(openBefore);
    loop.giveUp();
  },
);

/** Visitors, as visitor-main.ts is, which are let do what they are asked. One that ends is followed by another, as the daemon sees to. */
function visitorOf(system: SimulatedSystem, broker: Kernel, brokerPid: number, control: number): () => void {
  const inbox = Buffer.allocUnsafeSlow(MOST_VISIT_BYTES);
  let serve = start();
  return () => {
    while (serve() === 'ended') serve = start();
  };

  function start(): () => 'idle' | 'ended' {
    const kernel = system.kernelOf(system.newProcess({ comm: 'visitor' }));
    const [ours, theirs] = broker.socketPair();
    const brokerPidfd = kernel.pidfdOpen(brokerPid);
    const connection = kernel.pidfdGetfd(brokerPidfd, theirs);
    kernel.close(brokerPidfd);
    broker.sendMessage(control, Buffer.from(JSON.stringify({ do: 'visitor' })), [ours]);
    broker.close(ours);
    broker.close(theirs);
    const visitor = new Visitor(kernel, connection);
    visitor.say(encodeAnswer(SAID.hello, 0, { first: kernel.pid }));
    return () => {
      for (;;) {
        try {
          const { bytes, descriptors } = kernel.receiveMessage(connection, inbox, true);
          const request = decodeVisit(inbox.subarray(0, bytes));
          if (request && visitor.serve(request, descriptors)) continue;
          const pidfd = broker.pidfdOpen(kernel.pid);
          broker.pidfdSendSignal(pidfd, SIGKILL);
          broker.close(pidfd);
          return 'ended';
        } catch (error) {
          if (error instanceof KernelError && error.code === 'EAGAIN') return 'idle';
          throw error;
        }
      }
    };
  }
}

/** How many bytes a message has; 0 when there is none, or no more. */
function receive(kernel: Kernel, fd: number, buffer: Buffer): number {
  try {
    const { bytes, descriptors } = kernel.receiveMessage(fd, buffer, true);
    for (const descriptor of descriptors) kernel.close(descriptor);
    return bytes;
  } catch (error) {
    if (error instanceof KernelError) return 0;
    throw error;
  }
}

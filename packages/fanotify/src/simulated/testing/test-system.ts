// A machine for tests: files, processes, faults and time in the hands of whoever tests, and a kernel to give to the library.

import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import type { Kernel } from '../../kernel/kernel.ts';
import type { FilesystemType } from '../files/filesystem-type.ts';
import { btrfs, ext2, ext4, tmpfs, xfs } from '../files/types.ts';
import { SimulatedSystem } from '../seam/simulated-system.ts';
import { SystemCalls } from '../seam/system-calls.ts';
import type { FaultPoint } from '../system.ts';
import { credentialsOf } from '../tasks/credentials.ts';
import { checkId, checkNames, checkWhole } from './arguments.ts';
import { NotSettledError, TestOptionsError } from './errors.ts';
import { TestFiles } from './test-files.ts';
import { type ProcessOptions, type TestProcess, testProcess } from './test-process.ts';

const FILESYSTEMS: Readonly<Record<string, FilesystemType>> = { tmpfs, ext2, ext4, xfs, btrfs };
const OPTIONS = ['seed', 'filesystem'];
const PROCESS_OPTIONS = ['uid', 'gid', 'groups', 'comm', 'exe', 'argv'];
const FAULT_POINTS: readonly FaultPoint[] = ['descriptor', 'memory', 'event', 'mark', 'read'];
/** TASK_COMM_LEN without the NUL at its end. */
const COMM_CHARACTERS = 15;
const SETTLED_WITHIN_MS = 5_000;
/** Node raises its limit of descriptors to what it may have. */
const MANY_DESCRIPTORS = 65_536;

/** What a test system is to be. */
export interface TestSystemOptions {
  /** Who runs next, where several processes can, is drawn from a sequence that this number begins. Default 1. */
  readonly seed?: number | undefined;
  /** The type of the root file system. Default 'tmpfs'; 'ext4', 'xfs' and 'btrfs' have `preAccess` events, which tmpfs has not. */
  readonly filesystem?: 'tmpfs' | 'ext2' | 'ext4' | 'xfs' | 'btrfs' | undefined;
}

/** What goes wrong when a test asks for it. */
export interface TestFaults {
  /**
   * Lets the n-th time from now, 1 being the next, that something is asked for fail: 'descriptor' with EMFILE, 'read' with EIO, 'memory',
   * 'event' (it is lost, and a FAN_Q_OVERFLOW told) and 'mark' with ENOMEM, unless an errno is given.
   */
  failAt(point: FaultPoint, nth: number, errno?: number): void;
  /** Lets the n-th read(2) or write(2) of a file from now have no more than so many bytes. */
  shortenAt(nth: number, bytes: number): void;
}

/** The limits of /proc/sys/fs/fanotify. */
export interface TestLimits {
  maxQueuedEvents: number;
  maxUserGroups: number;
  maxUserMarks: number;
}

/**
 * The time of the machine. It stands still, but for calls with a time-out, which take as long as they say, and for waits of the library
 * (a guard's deadline) and of programs (`sleep`), which take as long as they do for the test, unless it lets time jump.
 */
export interface TestClock {
  /** CLOCK_BOOTTIME, in milliseconds: never goes back. */
  readonly nowMs: number;
  /** Lets so many milliseconds pass at once: what is due by then happens, in its order. */
  jump(ms: number): void;
  /** Sets the time of day forwards or, with a negative number, backwards: nothing is due that was not. */
  setTimeOfDay(byMs: number): void;
}

/**
 * A machine of its own in this process: what {@link createTestSystem} makes.
 *
 * @example
 * import { Group } from 'fanotify';
 * import { createTestSystem } from 'fanotify/testing';
 * const system = createTestSystem();
 * system.fs.dir('/srv');
 * const group = await Group.open({ kernel: system.kernel });
 * await group.mark('/srv', { events: ['create'] });
 * await system.process({ comm: 'touch' }).writeFile('/srv/new', '');
 * for await (const event of group) {
 *   console.log(event.kinds, event.path); // [ 'create' ] /srv/new
 *   break;
 * }
 * await group.close();
 */
export class TestSystem {
  /** For `Group.open({ kernel })`, `watch(path, { kernel })`, `listen(path, { kernel })` and `guard(path, { kernel })`: as a process of root's. */
  readonly kernel: Kernel;
  readonly fs: TestFiles;
  readonly faults: TestFaults;
  readonly limits: TestLimits;
  readonly clock: TestClock;
  readonly #system: SimulatedSystem;

  /** @internal */
  constructor(system: SimulatedSystem) {
    this.#system = system;
    const { machine } = system;
    const self = system.newProcess({ comm: 'node', exe: '/usr/bin/node' });
    self.process.descriptorLimit = MANY_DESCRIPTORS;
    this.kernel = system.kernelOf(self);
    const maker = system.newProcess({ comm: 'files', exe: '/usr/bin/files' });
    this.fs = new TestFiles(system.kernelOf(maker), new SystemCalls(system));
    this.faults = faultsOf(machine.faults);
    this.limits = limitsOf(machine.limits);
    const { clock } = machine;
    this.clock = {
      get nowMs() {
        return clock.bootTimeMs();
      },
      jump: (ms) => {
        if (typeof ms !== 'number' || !(ms >= 0)) {
          throw new TestOptionsError(
            `jump(${JSON.stringify(ms)}): takes milliseconds from 0 on: time passes forwards; setTimeOfDay() sets it back`,
          );
        }
        clock.advance(ms);
        system.loop.wake();
      },
      setTimeOfDay: (byMs) => clock.jump(byMs),
    };
  }

  /**
   * Starts a process, which does nothing until it is told to.
   *
   * @throws TestOptionsError.
   */
  process(options: ProcessOptions = {}): TestProcess {
    checkNames('process()', options, PROCESS_OPTIONS);
    const { uid = 0, groups = [], exe, argv } = options;
    const { gid = uid } = options;
    const comm = options.comm ?? (exe === undefined ? 'process' : exe.slice(exe.lastIndexOf('/') + 1));
    for (const [name, id] of Object.entries({ uid, gid })) checkId(name, id);
    for (const id of groups) checkId('groups', id);
    if (comm === '' || Buffer.byteLength(comm) > COMM_CHARACTERS) {
      throw new TestOptionsError(
        `comm: ${JSON.stringify(comm)} is not of 1 to ${COMM_CHARACTERS} characters, which are what the kernel keeps`,
      );
    }
    const task = this.#system.newProcess({ comm, exe: exe ?? `/usr/bin/${comm}`, argv });
    const { initialUserNamespace } = this.#system.machine.tasks;
    task.credentials = credentialsOf(uid, gid, initialUserNamespace, groups);
    return testProcess(this.#system, task);
  }

  /**
   * Resolves when everything has been done that can be without you: no process can run; nothing waits to be read by whoever reads it (a
   * `for await` over a group, a guard that hears its responder); and the event loop has turned twice without a call of anybody. What a
   * permission event holds then is held since nobody has decided: your `decide` has not answered, or nobody reads the group.
   *
   * It does not wait for time: not for deadlines, not for `sleep`, and not for timers that a program has set itself. Let
   * {@link TestClock.jump} make those pass.
   *
   * @param options `withinMs`: for so long somebody who reads may leave events unread. Default 5,000.
   * @throws NotSettledError when that is longer.
   * @example
   * import { guard } from 'fanotify';
   * import { createTestSystem } from 'fanotify/testing';
   * const system = createTestSystem();
   * system.fs.mount('/srv').file('/srv/a');
   * const gate = await guard('/srv', { kernel: system.kernel, decide: () => new Promise(() => {}), onTimeout: 'deny' });
   * const opened = system.process().open('/srv/a').then(() => 'allowed', (error) => error.code);
   * await system.settled();
   * console.log((await gate.status()).pending); // 1
   * system.clock.jump(5_000);
   * console.log(await opened); // EPERM
   * await gate.close();
   */
  async settled({ withinMs = SETTLED_WITHIN_MS }: { readonly withinMs?: number } = {}): Promise<void> {
    const system = this.#system;
    const until = performance.now() + withinMs;
    for (;;) {
      await system.loop.quiet();
      const { calls } = system;
      // What was read is on its way to whoever has read it.
      await nextTurn();
      await nextTurn();
      if (!system.loop.isAwaited && system.calls === calls && !system.scheduler.canRun) return;
      if (!system.loop.isAwaited) continue;
      if (performance.now() > until) throw notSettled(withinMs);
      // Under load the library lets events gather for a moment.
      await delay(1);
    }
  }
}

function faultsOf(faults: TestFaults): TestFaults {
  return {
    failAt: (point, nth, errno) => {
      if (!FAULT_POINTS.includes(point)) {
        throw new TestOptionsError(`failAt(): ${JSON.stringify(point)} is none of ${FAULT_POINTS.join(', ')}`);
      }
      checkWhole('failAt(): nth', nth, 1);
      if (errno !== undefined) checkWhole('failAt(): errno, as in ERRNO of fanotify/kernel', errno, 1);
      faults.failAt(point, nth, errno);
    },
    shortenAt: (nth, bytes) => {
      checkWhole('shortenAt(): nth', nth, 1);
      checkWhole('shortenAt(): bytes', bytes, 0);
      faults.shortenAt(nth, bytes);
    },
  };
}

/** Another name than these cannot be set: in a module that throws. */
function limitsOf(limits: TestLimits): TestLimits {
  const checked = {} as TestLimits;
  for (const name of ['maxQueuedEvents', 'maxUserGroups', 'maxUserMarks'] as const) {
    Object.defineProperty(checked, name, {
      enumerable: true,
      get: () => limits[name],
      set: (most: number) => {
        checkWhole(name, most, 0);
        limits[name] = most;
      },
    });
  }
  return Object.freeze(checked);
}

function notSettled(ms: number): NotSettledError {
  return new NotSettledError(
    `for ${ms} ms somebody who reads events has left some unread: let its loop go on, or close what it reads`,
  );
}

/**
 * Makes a machine for tests: an empty file system with `/dev`, `/proc`, `/sys` and `/tmp`, in which fanotify works as in Linux 6.18. Needs
 * no privilege and no Linux. The same seed and the same calls give the same bytes. docs/testing.md has more.
 *
 * @throws TestOptionsError.
 * @example
 * import { createTestSystem } from 'fanotify/testing';
 * const system = createTestSystem({ seed: 7, filesystem: 'ext4' });
 * system.fs.dir('/srv').file('/srv/a', 'text');
 * console.log(system.fs.list('/srv')); // [ 'a' ]
 */
export function createTestSystem(options: TestSystemOptions = {}): TestSystem {
  checkNames('createTestSystem()', options, OPTIONS);
  const { seed = 1, filesystem = 'tmpfs' } = options;
  if (!Number.isSafeInteger(seed)) throw new TestOptionsError(`seed: ${seed} is no whole number`);
  const rootType = Object.hasOwn(FILESYSTEMS, filesystem) ? FILESYSTEMS[filesystem] : undefined;
  if (rootType === undefined) {
    throw new TestOptionsError(
      `filesystem: ${JSON.stringify(filesystem)} is none of ${Object.keys(FILESYSTEMS).join(', ')}`,
    );
  }
  return new TestSystem(new SimulatedSystem({ seed, rootType }));
}

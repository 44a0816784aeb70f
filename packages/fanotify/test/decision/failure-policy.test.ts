// The failure policy (docs/deciding.md), row by row: real processes are held on a real mount while something goes wrong, get the verdict
// that the policy names, and wait no longer than their deadline and what it takes to let go all who are held. FANOTIFY_WAITS=path writes
// what was measured there.

import { spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { O_RDWR } from '../../src/abi/index.ts';
import { linuxKernel } from '../../src/kernel/index.ts';
import { canMount, mountTmpfs } from '../support/mounts.ts';
import { compileOpeners, monotonicMs, type Opened, Openers, Owner, type Scenario, together } from './owner.ts';
import { expectPolicy, machineMs, told, writeWaits } from './waits.ts';

const BOTH = ['allow', 'deny'] as const;
const DEADLINE_MS = 500;
const A_MINUTE_MS = 60_000;

const openersProgram = canMount ? compileOpeners() : undefined;

/** A file system, its owner, and who opens a file on it. */
interface Scene {
  readonly mount: string;
  readonly file: string;
  readonly owner: Owner;
  readonly openers: (options?: Parameters<typeof Openers.ready>[2]) => Promise<Openers>;
  readonly end: () => Promise<void>;
}

async function setScene(scenario: Scenario, start: Parameters<typeof Owner.start>[2] = {}): Promise<Scene> {
  const { path, unmount } = mountTmpfs();
  const file = join(path, 'file');
  for (const name of ['file', 'other']) writeFileSync(join(path, name), 'text');
  copyFileSync('/bin/true', join(path, 'true'));
  const started: Openers[] = [];
  const owner = await Owner.start(path, scenario, start);
  return {
    mount: path,
    file,
    owner,
    openers: async (options = {}) => {
      const openers = await Openers.ready(openersProgram as string, file, options);
      started.push(openers);
      return openers;
    },
    end: async () => {
      for (const openers of started) openers.kill('SIGKILL');
      owner.kill('SIGKILL');
      await owner.ended;
      // Of a PID namespace its number here is unknown, and it ended with the first process there.
      if (!start.isInit) await goneWithin(owner.responderPid, 5_000);
      unmount();
    },
  };
}

async function scene(scenario: Scenario, start?: Parameters<typeof Owner.start>[2]): Promise<Scene> {
  const set = await setScene(scenario, start);
  onTestFinished(set.end);
  return set;
}

/** Lets so many open at once, and tells what became of them. */
async function open(scene: Scene, options: Parameters<typeof Openers.ready>[2] = {}): Promise<Opened> {
  return (await scene.openers(options)).go().opened;
}

/** Waits until a process is gone; it is ended, and that a failure, if it stays. */
async function goneWithin(pid: number, ms: number): Promise<void> {
  const started = Date.now();
  while (existsSync(`/proc/${pid}`) && !/^State:\s+[ZX]/m.test(statusOf(pid))) {
    if (Date.now() - started > ms) {
      if (/^Name:\s+fanotify-respon/m.test(statusOf(pid))) process.kill(pid, 'SIGKILL');
      throw new Error(`process ${pid} is still there after ${ms} ms`);
    }
    await sleep(10);
  }
}

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'latin1');
  } catch {
    return 'State:\tX';
  }
}

function policy(onTimeout: 'allow' | 'deny', onError: 'allow' | 'deny' = onTimeout): Scenario['options'] {
  return { deadlineMs: DEADLINE_MS, onTimeout, onError };
}

/** Where it is not the deadline that decides: no machine is so slow that it comes first. The verdict is to be as prompt as one by it. */
const patience = { deadlineMs: 5_000, withinMs: DEADLINE_MS } as const;

function patient(onTimeout: 'allow' | 'deny', onError: 'allow' | 'deny' = onTimeout): Scenario['options'] {
  return { ...policy(onTimeout, onError), deadlineMs: patience.deadlineMs };
}

/** The minute in which an owner is stopped passes beside everything else. */
const minutes: Promise<{ verdict: 'allow' | 'deny'; opened: Opened; after: Opened; drainMs: number }>[] = [];

const over = new AbortController();

async function stopForAMinute(verdict: 'allow' | 'deny') {
  const set = await setScene({ options: policy(verdict), decide: 'at_once', verdict: opposite(verdict) });
  try {
    set.owner.kill('SIGSTOP');
    const { drainMs } = await open(set, { count: 20 });
    const openers = await set.openers({ count: 20, forMs: A_MINUTE_MS });
    over.signal.addEventListener('abort', () => openers.kill('SIGKILL'));
    const opened = await openers.go().opened;
    set.owner.kill('SIGCONT');
    await set.owner.status();
    const after = await open(set);
    return { verdict, opened, after, drainMs };
  } finally {
    await set.end();
  }
}

function opposite(verdict: 'allow' | 'deny'): 'allow' | 'deny' {
  return verdict === 'allow' ? 'deny' : 'allow';
}

describe.skipIf(openersProgram === undefined)('the failure policy', () => {
  beforeAll(() => {
    for (const verdict of BOTH) {
      const minute = stopForAMinute(verdict);
      minute.catch(() => undefined);
      minutes.push(minute);
    }
  });

  afterAll(async () => {
    over.abort();
    await Promise.allSettled(minutes);
    writeWaits();
  });

  describe.each(BOTH)('onTimeout: %s', (verdict) => {
    const other = opposite(verdict);

    it('decides while the owner is in a loop', async () => {
      const set = await scene({ options: policy(verdict), decide: 'later', verdict: other });
      set.owner.act('block', { ms: 5_000 });
      await sleep(100);
      const opened = await open(set, { count: 100 });
      expectPolicy(opened, { row: 'owner in a loop for five seconds', deadlineMs: DEADLINE_MS, verdict });
    });

    it('decides while the owner collects garbage', async () => {
      const options = { ...policy(verdict), deadlineMs: 200 };
      const set = await scene(
        { options, decide: 'at_once', verdict: other },
        { nodeOptions: ['--expose-gc', '--max-old-space-size=8192'] },
      );
      // Long enough for openers to start and end in it, however busy the machine.
      const allMs = 20 * options.deadlineMs;
      set.owner.act('gc', { ms: 2 * options.deadlineMs, allMs });
      await set.owner.until('collecting');
      let isOver = false;
      const collected = set.owner.until('collected').finally(() => {
        isOver = true;
      });
      const rounds: Opened[] = [];
      while (!isOver) rounds.push(await open(set, { count: 20 }));
      expect((await collected).ms).toBeGreaterThan(2 * options.deadlineMs);
      // Of the last round the owner may have decided some, being through.
      rounds.pop();
      for (const { allowed, denied } of rounds)
        expect({ allowed, denied }).toEqual({
          allowed: 0,
          denied: 0,
          [verdict === 'allow' ? 'allowed' : 'denied']: 20,
        });
      const worst = rounds.reduce((a, b) => (b.longestMs > a.longestMs ? b : a));
      expectPolicy(worst, { row: 'owner collects garbage, 400 ms at a time', deadlineMs: options.deadlineMs, verdict });
    });

    it('decides while a debugger has paused the owner', async () => {
      const set = await scene(
        { options: policy(verdict), decide: 'at_once', verdict: other },
        { nodeOptions: ['--inspect=127.0.0.1:0'] },
      );
      const [, address = ''] = /ws:\/\/([\d.:]+)\//.exec(set.owner.stderr) ?? [];
      const debugger_ = spawn(process.execPath, ['inspect', address], { stdio: ['pipe', 'pipe', 'inherit'] });
      onTestFinished(() => void debugger_.kill('SIGKILL'));
      let said = '';
      debugger_.stdout?.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
      while (!said.includes('debug> ')) await sleep(20);
      debugger_.stdin?.write('pause\n');
      // What sleeps cannot be paused.
      for (; !said.includes('break in'); await sleep(50)) set.owner.act('status');
      const opened = await open(set, { count: 100 });
      expectPolicy(opened, { row: 'owner paused in a debugger', deadlineMs: DEADLINE_MS, verdict });
    });

    it('decides when decide never settles', async () => {
      const set = await scene({ options: policy(verdict), decide: 'never' });
      const opened = await open(set, { count: 1_000 });
      expectPolicy(opened, { row: '`decide` never settles', deadlineMs: DEADLINE_MS, verdict });
      expect(await set.owner.status()).toMatchObject({ timedOut: 1_000, pending: 0 });
    });

    it('decides when the owner is killed', async () => {
      const set = await scene({ options: { ...policy(verdict), deadlineMs: 20_000 }, decide: 'never' });
      const openers = (await set.openers({ how: 'processes', count: 1_000 })).go();
      await set.owner.untilPending(1_000);
      const started = monotonicMs();
      set.owner.kill('SIGKILL');
      const opened = await openers.opened;
      // From the kill: how long they were held before is the test's doing.
      expectPolicy(
        { ...opened, longestMs: opened.lastMs - started },
        { row: 'owner killed with 1,000 held, from then on', deadlineMs: 0, verdict },
      );
      await goneWithin(set.owner.responderPid, 2_000);
      expect((await open(set)).allowed).toBe(1);
    });

    it.each(['SIGTERM', 'SIGINT'] as const)('decides when %s ends the owner', async (signal) => {
      const set = await scene({ options: { ...policy(verdict), deadlineMs: 20_000 }, decide: 'never' });
      const openers = (await set.openers({ count: 100 })).go();
      await set.owner.untilPending(100);
      const started = monotonicMs();
      set.owner.kill(signal);
      const opened = await openers.opened;
      expect(await set.owner.ended).toEqual({ code: null, signal });
      expectPolicy(
        { ...opened, longestMs: opened.lastMs - started },
        { row: `owner ended by ${signal}, from then on`, deadlineMs: 0, verdict },
      );
    });

    it.each(['exit', 'throw'] as const)('decides when the owner ends by itself: %s', async (act) => {
      const set = await scene({ options: { ...policy(verdict), deadlineMs: 20_000 }, decide: 'never' });
      const openers = (await set.openers({ count: 100 })).go();
      await set.owner.untilPending(100);
      const started = monotonicMs();
      set.owner.act(act);
      const opened = await openers.opened;
      expect((await set.owner.ended).code).toBe(act === 'exit' ? 3 : 1);
      const what = act === 'exit' ? 'calls process.exit()' : 'ends with an uncaught exception';
      expectPolicy(
        { ...opened, longestMs: opened.lastMs - started },
        { row: `owner ${what}, from then on`, deadlineMs: 0, verdict },
      );
    });

    it.each(['close', 'abort'] as const)('decides when the guard is closed: %s', async (act) => {
      const set = await scene({ options: { ...policy(verdict), deadlineMs: 20_000 }, decide: 'never' });
      const openers = (await set.openers({ count: 1_000 })).go();
      await set.owner.untilPending(1_000);
      const started = monotonicMs();
      set.owner.act(act);
      const opened = await openers.opened;
      const row = act === 'close' ? 'guard closed (`await using`), from then on' : 'its signal aborts, from then on';
      expectPolicy({ ...opened, longestMs: opened.lastMs - started }, { row, deadlineMs: 0, verdict });
      await set.owner.until('close');
      await goneWithin(set.owner.responderPid, 2_000);
      expect((await open(set)).allowed).toBe(1);
    });

    it('decides when the responder has not descriptors enough', async () => {
      const descriptors = 500;
      const set = await scene({ options: policy(verdict), decide: 'never' }, { descriptors });
      const opened = await open(set, { count: 2_000 });
      expectPolicy(opened, { row: 'more opens than descriptors (2,000 and 500)', deadlineMs: DEADLINE_MS, verdict });
      expect(await set.owner.status()).toMatchObject({ kernelDenied: 0, timedOut: 2_000, pending: 0 });
    });

    it("decides when the owner's output is blocked", async () => {
      const set = await scene(
        { options: policy(verdict), decide: 'prints and waits', verdict: other },
        { stdout: unreadPipe() },
      );
      await open(set, { count: 50 });
      const opened = await open(set, { count: 100 });
      expectPolicy(opened, { row: "owner's standard output blocked", deadlineMs: DEADLINE_MS, verdict });
    });
  });

  describe.each(BOTH)('onError: %s', (verdict) => {
    const options = patient(opposite(verdict), verdict);
    const broken = [
      'throws',
      'rejects',
      'throws what cannot be shown',
      'rejects with what cannot be shown',
      'nonsense number',
      'nonsense null',
      'nonsense word',
      'nonsense verdict',
      'nonsense unshowable',
      'nonsense a getter that throws',
      'nonsense a thenable that throws',
      'nonsense a promise of nonsense',
    ];

    // How it fails makes no difference to which policy is looked up: once is enough.
    it.each(verdict === 'deny' ? broken : ['throws', 'rejects', 'nonsense word'])(
      'decides when decide gives no decision: %s',
      async (how) => {
        const decide = how.startsWith('nonsense') ? 'nonsense' : how;
        const set = await scene({ options, decide, nonsense: how.replace('nonsense ', '') });
        const opened = await open(set, { count: 100 });
        expectPolicy(opened, { row: `\`decide\` fails: ${how}`, ...patience, verdict });
        // At once: nothing is to be waited for.
        expect(opened.longestMs).toBeLessThan(DEADLINE_MS / 2 + machineMs(opened));
        await set.owner.look(() => set.owner.count('error') === 100, '100 errors');
        expect(await set.owner.until('error')).toMatchObject({ code: 'DECIDE' });
        expect(await set.owner.status()).toMatchObject({ failed: 100, pending: 0 });
      },
    );

    it('decides when the disk of the log is full', async () => {
      const disk = mountTmpfs(64 * 1024);
      onTestFinished(() => disk.unmount());
      expect(() => writeFileSync(join(disk.path, 'ballast'), Buffer.alloc(1024 * 1024))).toThrow(/ENOSPC/);
      const set = await scene({ options, decide: 'appends to a log', log: join(disk.path, 'log') });
      const opened = await open(set, { count: 100 });
      expectPolicy(opened, { row: "the log's disk is full, and `decide` throws", ...patience, verdict });
      expect((await set.owner.until('error')).message).toContain('ENOSPC');
    });

    it('decides when no descriptor is left for request.fd', async () => {
      const set = await scene({ options, decide: 'takes the descriptor', spare: 0 }, { descriptors: 1_000 });
      const opened = await open(set, { count: 100 });
      expectPolicy(opened, {
        row: 'owner out of descriptors, and asks for `request.fd`',
        ...patience,
        verdict,
      });
      expect((await set.owner.until('error')).message).toContain('ulimit -n');
      expect(await set.owner.status()).toMatchObject({ kernelDenied: 0, failed: 100, pending: 0 });
    });

    const modules = {
      throws: 'throw new Error("broken")',
      'throws what cannot be shown': 'throw Object.create(null)',
      'throws a long story': 'throw new Error("x".repeat(20_000_000))',
      'returns nonsense': 'return "maybe"',
      'returns a promise': 'return Promise.resolve("allow")',
      'rejects later': 'return Promise.reject(new Error("broken"))',
    };

    it.each(Object.entries(modules).slice(verdict === 'deny' ? 0 : -2))(
      'decides when a decide module %s',
      async (how, body) => {
        const count = how.includes('long') ? 10 : 100;
        const module = `data:text/javascript,export const decide = () => { ${body} }`;
        const set = await scene({ options, module });
        const opened = await open(set, { count });
        expectPolicy(opened, { row: `decide module ${how}`, ...patience, verdict });
        await set.owner.until('error', ({ code }) => code === 'DECIDE');
        expect(await set.owner.status()).toMatchObject({ failed: count, pending: 0 });
      },
    );
  });

  describe('an answer', () => {
    it.each([
      ['allows and returns deny', 'allow'],
      ['denies and returns allow', 'deny'],
      ['allows twice', 'allow'],
      ['denies and allows', 'deny'],
    ] as const)('counts once: decide %s', async (decide, verdict) => {
      const set = await scene({ options: patient(opposite(verdict)), decide });
      const opened = await open(set, { count: 100 });
      const why = 'the first answer';
      expectPolicy(opened, { row: `\`decide\` answers twice: ${decide}`, ...patience, verdict, why });
      await set.owner.look(() => set.owner.count('error') === 100, '100 errors');
      expect(await set.owner.status()).toMatchObject({ byDecision: 100, failed: 0, pending: 0 });
    });

    it('counts once: a thenable that settles thrice', async () => {
      const set = await scene({ options: patient('allow'), decide: 'is a thenable that settles thrice' });
      const opened = await open(set, { count: 10 });
      expect(opened.denied).toBe(10);
      expect(await set.owner.status()).toMatchObject({ byDecision: 10, late: 0, failed: 0 });
      expect(set.owner.count('error')).toBe(0);
    });

    it('takes effect where it is given, whatever decide does then', async () => {
      const set = await scene({ options: policy('allow'), decide: 'denies and blocks', blockMs: 3 * DEADLINE_MS });
      const opened = await open(set);
      const why = 'as answered';
      expectPolicy(opened, { row: '`decide` answers and blocks', deadlineMs: 0, verdict: 'deny', why });
    });

    it('is given when the log is a stream to a full disk', async () => {
      const disk = mountTmpfs(64 * 1024);
      onTestFinished(() => disk.unmount());
      expect(() => writeFileSync(join(disk.path, 'ballast'), Buffer.alloc(1024 * 1024))).toThrow(/ENOSPC/);
      const log = join(disk.path, 'log');
      const set = await scene({ options: patient('allow'), decide: 'streams to a log', log, verdict: 'deny' });
      const opened = await open(set, { count: 100 });
      const why = 'as decided';
      expectPolicy(opened, {
        row: "the log's disk is full, and the log a stream",
        ...patience,
        verdict: 'deny',
        why,
      });
      expect(await set.owner.until('log')).toMatchObject({ code: 'ENOSPC' });
    });

    it('is given when nobody reads what console.log() says', async () => {
      const set = await scene(
        { options: patient('allow'), decide: 'prints', verdict: 'deny' },
        { stdout: unreadPipe() },
      );
      const opened = await open(set, { count: 200 });
      const why = 'as decided';
      expectPolicy(opened, {
        row: '`console.log()` into a pipe that nobody reads',
        ...patience,
        verdict: 'deny',
        why,
      });
    });

    it('is given also to what was asked before the owner knew that its guard is open', async () => {
      const { path, unmount } = mountTmpfs();
      onTestFinished(unmount);
      const file = join(path, 'file');
      writeFileSync(file, '');
      const openers = await Openers.ready(openersProgram as string, file, { count: 8, forMs: 2_000 });
      openers.go();
      const options = patient('allow');
      const owner = await Owner.start(path, { options, decide: 'at_once', busyAtStart: 200 });
      const opened = await openers.opened;
      expect(await owner.status()).toMatchObject({ timedOut: 0, pending: 0 });
      owner.kill('SIGKILL');
      await owner.ended;
      const why = 'as decided';
      expectPolicy(
        opened,
        { row: 'opens while the guard is being opened', ...patience, withinMs: 1_000, verdict: 'allow', why },
        0,
      );
    });
  });

  describe("the owner's own accesses", () => {
    it('wait for nobody while others are held', async () => {
      const set = await scene({ options: { ...policy('deny'), deadlineMs: 20_000 }, decide: 'never' });
      (await set.openers({ count: 100 })).go();
      await set.owner.untilPending(100);
      set.owner.act('read');
      const { ms } = await set.owner.until('read');
      expect(ms).toBeLessThan(1_000);
      told({
        row: 'owner reads a guarded file',
        deadlineMs: 20_000,
        pending: 100,
        longestMs: Number(ms),
        drainMs: 0,
        verdict: 'allow (its own)',
      });
    });

    it('may be made by decide itself, synchronously', async () => {
      const set = await scene({ options: patient('deny'), decide: 'reads another guarded file' });
      const opened = await open(set, { count: 100 });
      const why = 'as decided';
      expectPolicy(opened, { row: '`decide` reads a guarded file', ...patience, verdict: 'allow', why });
    });

    it.each(['spawn', 'spawnSync', 'execFileSync'])(
      'are those of a child that executes what is guarded: %s',
      async (how) => {
        const options = { ...policy('deny'), deadlineMs: 20_000, on: ['open', 'openExec'] as const };
        const set = await scene({ options, decide: 'never' });
        set.owner.act('spawn', { program: join(set.mount, 'true'), how });
        const spawned = await set.owner.until('spawned');
        expect(spawned).toMatchObject({ status: 0 });
        expect(spawned.ms).toBeLessThan(2_000);
        told({
          row: `owner's ${how}() of a guarded program`,
          deadlineMs: 20_000,
          pending: 1,
          longestMs: Number(spawned.ms),
          drainMs: 0,
          verdict: 'allow (its own)',
        });
      },
    );

    it.each(['spawn', 'spawnSync', 'execFileSync'])(
      'are nothing that decide is called for, nor are those of such a child: %s',
      async (how) => {
        const options = { ...policy('deny'), deadlineMs: 20_000, on: ['open', 'openExec'] as const };
        const set = await scene({ options, decide: 'takes the descriptor' });
        set.owner.act('spawn', { program: join(set.mount, 'true'), how });
        await set.owner.until('spawned');
        expect(await set.owner.status()).toMatchObject({ byDecision: 0, failed: 0, late: 0, pending: 0 });
        expect(set.owner.count('error')).toBe(0);
      },
    );

    it('are not those of orphans that an owner is given as the first process of a container', async () => {
      const elsewhere = mountTmpfs();
      onTestFinished(() => elsewhere.unmount());
      const set = await scene(
        { options: patient('allow'), decide: 'later', verdict: 'deny', laterMs: 50 },
        { isInit: true },
      );
      const result = join(elsewhere.path, 'result');
      // A subshell is forked and executes nothing; its parent ends while it waits.
      const script = `(sleep 0.3; if read line < ${set.file}; then echo allowed; else echo denied; fi > ${result}) &`;
      set.owner.act('run', { program: 'sh', args: ['-c', script] });
      while (!existsSync(result) || readFileSync(result, 'utf8') === '') await sleep(20);
      expect(readFileSync(result, 'utf8')).toBe('denied\n');
    });
  });

  describe('an owner killed in the middle of a spawn', () => {
    it('leaves nobody held', async () => {
      const options = { ...policy('allow'), deadlineMs: 20_000, on: ['open', 'openExec'] as const };
      let longestMs = 0;
      let slackMs = 0;
      const round = async (at: number) => {
        const set = await setScene({ options, decide: 'never' });
        const others = (await set.openers({ count: 4 })).go();
        set.owner.act('storm', { program: join(set.mount, 'true') });
        await sleep(20 + at);
        const started = monotonicMs();
        set.owner.kill('SIGKILL');
        const opened = await others.opened;
        longestMs = Math.max(longestMs, opened.lastMs - started);
        slackMs = Math.max(slackMs, machineMs(opened));
        expect(opened.allowed).toBe(4);
        await goneWithin(set.owner.responderPid, 2_000);
        expect((await open(set)).allowed).toBe(1);
        await set.end();
      };
      for (let i = 0; i < 6; i++) await Promise.all([1, 2, 3, 4].map(() => round(Math.random() * 40)));
      told({
        row: 'owner killed in the middle of a spawn (24 times), from then on',
        deadlineMs: 0,
        pending: 4,
        longestMs,
        drainMs: 0,
        verdict: 'onTimeout',
      });
      expect(longestMs).toBeLessThan(500 + slackMs);
    }, 60_000);
  });

  describe('a responder', () => {
    it('that is killed lets the kernel allow', async () => {
      const set = await scene({ options: { ...policy('deny'), deadlineMs: 20_000 }, decide: 'never' });
      const openers = (await set.openers({ count: 1_000 })).go();
      await set.owner.untilPending(1_000);
      const started = monotonicMs();
      process.kill(set.owner.responderPid, 'SIGKILL');
      const opened = await openers.opened;
      expectPolicy(
        { ...opened, longestMs: opened.lastMs - started },
        { row: 'responder killed with 1,000 held, from then on', deadlineMs: 0, verdict: 'allow', why: 'the kernel' },
      );
      expect(await set.owner.until('error')).toMatchObject({ code: 'RESPONDER_DIED' });
      await set.owner.until('close');
    });

    it('that is killed is started again if so asked', async () => {
      const set = await scene({ options: { ...patient('allow'), restart: true }, decide: 'at_once', verdict: 'deny' });
      const first = set.owner.responderPid;
      process.kill(first, 'SIGKILL');
      await set.owner.until('restart');
      expect(set.owner.told.map(({ told }) => told)).toEqual(['ready', 'error', 'restart']);
      expect(set.owner.responderPid).not.toBe(first);
      expect((await open(set, { count: 10 })).denied).toBe(10);
    });

    it.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGIO'] as const)(
      'goes on after %s, a thousand times',
      async (signal) => {
        const set = await scene({ options: patient('allow'), decide: 'at_once', verdict: 'deny' });
        for (let i = 0; i < 1_000; i++) process.kill(set.owner.responderPid, signal);
        const opened = await open(set, { count: 10 });
        const why = 'as decided';
        expectPolicy(opened, {
          row: `responder sent ${signal} a thousand times`,
          ...patience,
          verdict: 'deny',
          why,
        });
      },
    );

    it('that is stopped is ended when its guard is closed', async () => {
      const set = await scene({ options: policy('deny'), decide: 'at_once' });
      process.kill(set.owner.responderPid, 'SIGSTOP');
      const openers = (await set.openers({ count: 10 })).go();
      set.owner.act('close');
      const opened = await openers.opened;
      // Two seconds of grace.
      expectPolicy(opened, {
        row: 'responder stopped, and the guard closed',
        deadlineMs: DEADLINE_MS + 2_000,
        verdict: 'allow',
        why: 'the kernel',
      });
      await set.owner.until('closed');
    });

    it('does not wait for a lease that somebody has on a file', async () => {
      const set = await scene({ options: patient('allow'), decide: 'at_once' });
      const kernel = linuxKernel();
      // Its holder is told by SIGIO, which would end it.
      const heard = () => undefined;
      process.on('SIGIO', heard);
      onTestFinished(() => void process.off('SIGIO', heard));
      const fd = kernel.openAt(-100, join(set.mount, 'other'), O_RDWR);
      onTestFinished(() => kernel.close(fd));
      const [setLease, forWriting] = [1024, 1];
      // Only while nobody else has it open: the responder closes its descriptor once it has let this one through.
      await vi.waitFor(() => kernel.fcntl(fd, setLease, forWriting), { timeout: 5_000 });
      const leased = (await Openers.ready(openersProgram as string, join(set.mount, 'other'), {})).go();
      const [onLeased, opened] = await Promise.all([leased.opened, open(set, { count: 100 })]);
      const why = 'as decided';
      expectPolicy(opened, {
        row: 'somebody has a lease on another file',
        ...patience,
        verdict: 'allow',
        why,
      });
      const row = 'somebody has a write lease on the file';
      expectPolicy(onLeased, { row, ...patience, verdict: 'deny', why: 'the kernel' });
      // EAGAIN
      expect(await set.owner.until('kernelDenied')).toMatchObject({ errno: 11, count: 1 });
    });

    it('asks no decide module about what is overdue', async () => {
      const module =
        'data:text/javascript,export const decide = () => { const end = Date.now() + 150; while (Date.now() < end); return "allow" }';
      const set = await scene({ options: policy('deny'), module });
      const opened = await open(set, { count: 50 });
      const { allowed, denied, longestMs } = opened;
      expect(allowed).toBeGreaterThan(0);
      expect(allowed + denied).toBe(50);
      expect(longestMs).toBeLessThan(DEADLINE_MS + 50 + 150 + machineMs(opened));
      told({
        row: 'decide module takes 150 ms a call',
        deadlineMs: DEADLINE_MS,
        pending: 50,
        longestMs,
        drainMs: 150,
        verdict: 'as decided, then onTimeout',
      });
    });
  });

  describe('descriptors', () => {
    it('too few for a guard are told before anything is held', async () => {
      const { path, unmount } = mountTmpfs();
      onTestFinished(unmount);
      const said = await Owner.failing(path, { options: policy('allow'), decide: 'at_once' }, { descriptors: 300 });
      expect(said).toMatch(/LimitError: .*ulimit -n/);
    });

    it('that are all used by the owner are told', async () => {
      const { path, unmount } = mountTmpfs();
      onTestFinished(unmount);
      const scenario = { options: policy('allow'), decide: 'at_once', spare: 1, exhaustFirst: true };
      expect(await Owner.failing(path, scenario, { descriptors: 1_000 })).toMatch(/Error: .*(ulimit -n|EMFILE)/);
    });
  });

  describe('who is held', () => {
    it('may be killed, by the thousand', async () => {
      const set = await scene({ options: { ...policy('deny'), deadlineMs: 2_000, maxPending: 500 }, decide: 'never' });
      const openers = (await set.openers({ how: 'processes', count: 2_000 })).go();
      await set.owner.untilPending(500);
      for (const pid of await openers.pids) process.kill(pid, 'SIGKILL');
      await openers.opened;
      const opened = await open(set, { count: 100 });
      // Behind those that were killed: their deadline and then its own.
      expectPolicy(opened, {
        row: 'opens after 2,000 of those held were killed',
        deadlineMs: 4_000,
        verdict: 'deny',
      });
      expect(await set.owner.status()).toMatchObject({ pending: 0, kernelDenied: 0 });
    });

    it('may be stopped', async () => {
      const set = await scene({ options: patient('allow'), decide: 'later', verdict: 'deny', laterMs: 100 });
      const stopped = await set.openers();
      stopped.go();
      stopped.kill('SIGSTOP');
      const opened = await open(set, { count: 100 });
      const why = 'as decided';
      expectPolicy(opened, { row: 'one of those held is stopped', ...patience, verdict: 'deny', why });
      stopped.kill('SIGCONT');
      expect((await stopped.opened).denied).toBe(1);
    });
  });

  it('goes on for a minute in which the owner is stopped', async () => {
    for (const { verdict, opened, after, drainMs } of await Promise.all(minutes)) {
      expectPolicy(opened, { row: 'owner stopped (SIGSTOP) for a minute', deadlineMs: DEADLINE_MS, verdict }, drainMs);
      // All the while each was let go after a deadline and could open again.
      expect(opened.allowed + opened.denied).toBeGreaterThan((20 * A_MINUTE_MS) / DEADLINE_MS / 2);
      expect(opposite(verdict) === 'allow' ? after.allowed : after.denied).toBe(1);
    }
  }, 120_000);

  // After the minute: who holds so many takes the time of everybody else on the machine.
  it.each(BOTH)(
    'decides on 20,000 at once: %s',
    async (verdict) => {
      const deadlineMs = 1_000;
      const set = await scene({ options: { ...policy(verdict), deadlineMs }, decide: 'never' });
      // Two processes: each may have 20,000 descriptors.
      const [one, other] = await Promise.all([set.openers({ count: 10_000 }), set.openers({ count: 10_000 })]);
      const opened = together(...(await Promise.all([one.go().opened, other.go().opened])));
      expectPolicy(opened, { row: '20,000 at once, 4,096 at most undecided', deadlineMs, verdict });
      expect(await set.owner.status()).toMatchObject({ kernelDenied: 0, timedOut: 20_000, pending: 0 });
    },
    60_000,
  );
});

/** A pipe that nobody reads. */
function unreadPipe(): number {
  const directory = mkdtempSync(join(tmpdir(), 'fanotify-pipe-'));
  const pipe = join(directory, 'pipe');
  spawnSync('mkfifo', [pipe]);
  const fd = openSync(pipe, 'r+');
  onTestFinished(() => {
    closeSync(fd);
    rmSync(directory, { recursive: true });
  });
  return fd;
}

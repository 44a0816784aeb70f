// What takes the place of node:child_process there: children of the test's process on the simulated machine, which execute its programs.

import { EventEmitter } from 'node:events';
import type { PassThrough, Writable } from 'node:stream';
import { promisify } from 'node:util';
import { ERRNO, KernelError } from '../../../src/kernel/error.ts';
import { chdir } from '../../../src/simulated/files/directories.ts';
import { AT_FDCWD, O_CLOEXEC, O_NONBLOCK, O_RDWR } from '../../../src/simulated/files/flags.ts';
import { open } from '../../../src/simulated/files/open.ts';
import { pipe } from '../../../src/simulated/files/pipe-call.ts';
import { binaryOf, toldBySeam } from '../../../src/simulated/seam/caller.ts';
import { credentialsOf } from '../../../src/simulated/tasks/credentials.ts';
import { duplicate, duplicateTo } from '../../../src/simulated/tasks/descriptors.ts';
import { CLD_EXITED, fork, reap } from '../../../src/simulated/tasks/process.ts';
import type { Program } from '../../../src/simulated/tasks/scheduler.ts';
import type { Task } from '../../../src/simulated/tasks/task.ts';
import { Wait } from '../../../src/simulated/wait.ts';
import { core } from './core.ts';
import { as, keepTime, kernel, machine, self, system } from './machine.ts';
import { toldByNode } from './node-error.ts';
import { drained, readerOf, writerOf } from './pipes.ts';
import { become, pathOfProgram } from './processes.ts';
import { signal, signalName } from './signal.ts';

type Stdio = 'pipe' | 'ignore' | 'inherit' | number | null | undefined;

interface Options {
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly stdio?: Stdio | readonly Stdio[];
  readonly input?: string | Uint8Array;
  readonly encoding?: BufferEncoding | 'buffer' | null;
}

/** Above all that a child is given. */
const ASIDE = 64;
const F_SETFL = 4;
const POLLIN = 1;
const NOT_EXECUTED = 127;

interface Started {
  readonly task: Task;
  /** This end of each pipe, by the descriptor that the child has of it. */
  readonly ends: readonly (number | undefined)[];
}

/** uv_spawn: over when it has executed the program. */
function start(command: string, args: readonly string[], { cwd, uid, gid, stdio = 'pipe' }: Options): Started {
  keepTime();
  // A process takes longer to begin than the others to do what they are at.
  system.scheduler.run();
  const path = pathOfProgram(command);
  const refused = (error: unknown) =>
    Object.assign(toldByNode(error, `spawn ${command}`) as Error, { path: command, spawnargs: args });
  if (path === undefined) throw refused(new KernelError('spawn', ERRNO.ENOENT));
  const ends: (number | undefined)[] = [];
  const theirs = stdiosOf(stdio).map((kind, fd) => {
    if (typeof kind === 'number') return kind;
    if (kind !== 'pipe') return kernel.make(open(machine, AT_FDCWD, '/dev/null', O_RDWR | O_CLOEXEC));
    const [reader, writer] = as(self, () => pipe(machine, O_CLOEXEC));
    const [own, given] = fd === 0 ? [writer, reader] : [reader, writer];
    kernel.fcntl(own, F_SETFL, O_NONBLOCK);
    ends[fd] = own;
    return given;
  });
  const task = as(self, () => fork(machine));
  as(task, () => {
    const aside = theirs.map((fd) => duplicate(machine, fd, ASIDE, true));
    for (const [fd, from] of aside.entries()) duplicateTo(machine, from, fd);
    if (cwd !== undefined) chdir(machine, binaryOf(cwd));
  });
  for (const [fd, kind] of stdiosOf(stdio).entries()) if (typeof kind !== 'number') kernel.close(theirs[fd] ?? -1);
  if (uid !== undefined || gid !== undefined) {
    const { uid: ownUid, gid: ownGid, userNamespace } = self.credentials;
    task.credentials = credentialsOf(uid ?? ownUid, gid ?? ownGid, userNamespace);
  }
  const executed = new Wait(`the program ${command}`);
  let refusal: unknown;
  function* program(): Program {
    try {
      return yield* become(path as string, [command, ...args], () => executed.end());
    } catch (error) {
      refusal = toldBySeam(error, 'spawn');
      return NOT_EXECUTED;
    } finally {
      executed.end();
    }
  }
  system.scheduler.start(task, program());
  kernel.make(waitFor(executed));
  system.loop.wake();
  if (refusal === undefined) return { task, ends };
  for (const end of ends) if (end !== undefined) kernel.close(end);
  throw refused(refusal);
}

function* waitFor(wait: Wait) {
  if (!wait.isOver) yield wait;
}

function stdiosOf(stdio: Options['stdio']): readonly Stdio[] {
  const list = Array.isArray(stdio) ? stdio : [stdio, stdio, stdio];
  return [0, 1, 2, ...list.slice(3).keys()].map((_, fd) => list[fd] ?? (fd < 3 ? 'pipe' : 'ignore'));
}

interface End {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
}

function endOf({ process }: Task): End {
  const { code, status } = process.ended ?? { code: CLD_EXITED, status: 0 };
  return code === CLD_EXITED ? { status, signal: null } : { status: null, signal: signalName(status) };
}

class Child extends EventEmitter {
  pid: number | undefined;
  exitCode: number | null = null;
  signalCode: NodeJS.Signals | null = null;
  readonly stdin: Writable | null = null;
  readonly stdout: PassThrough | null = null;
  readonly stderr: PassThrough | null = null;
  readonly stdio: (Writable | PassThrough | null)[] = [];
  readonly spawnfile: string;
  readonly spawnargs: readonly string[];

  constructor(command: string, args: readonly string[], options: Options) {
    super();
    this.spawnfile = command;
    this.spawnargs = [command, ...args];
    let started: Started;
    try {
      started = start(command, args, options);
    } catch (error) {
      // Others are thrown: ChildProcess.prototype.spawn.
      const { code } = error as { readonly code?: string };
      if (code !== 'ENOENT' && code !== 'EACCES') throw error;
      setImmediate(() => this.emit('error', error));
      return;
    }
    const { task, ends } = started;
    this.pid = task.process.pid;
    const closed: Promise<void>[] = [];
    for (const [fd, end] of ends.entries()) {
      if (end === undefined) this.stdio[fd] = null;
      else if (fd === 0) this.stdio[fd] = writerOf(end);
      else {
        const { stream, ended } = readerOf(end);
        this.stdio[fd] = stream;
        closed.push(ended);
      }
    }
    [this.stdin, this.stdout, this.stderr] = [0, 1, 2].map((fd) => this.stdio[fd] ?? null) as [
      Writable,
      PassThrough,
      PassThrough,
    ];
    setImmediate(() => this.emit('spawn'));
    const end = () => setImmediate(() => this.#ended(task, closed));
    // It may have ended as soon as it was let run.
    if (task.process.ended) end();
    else system.onEnd(task.process, end);
  }

  kill(which: NodeJS.Signals | number = 'SIGTERM'): boolean {
    return this.exitCode === null && this.signalCode === null && this.pid !== undefined && signal(this.pid, which);
  }

  get killed(): boolean {
    return this.signalCode !== null;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  #ended(task: Task, closed: readonly Promise<void>[]): void {
    const { status, signal: by } = endOf(task);
    this.exitCode = status;
    this.signalCode = by;
    reap(machine, task.process);
    this.stdin?.destroy();
    this.emit('exit', status, by);
    void Promise.all(closed).then(() => this.emit('close', status, by));
  }
}

export function spawn(command: string, given?: readonly string[] | Options, more?: Options): EventEmitter {
  const [args, options] = argumentsOf(given, more);
  const started = core.start?.(command, args, options.stdio as readonly Stdio[] | undefined);
  return started ?? new Child(command, args, options);
}

function argumentsOf(given: readonly string[] | Options = [], more: Options = {}): [readonly string[], Options] {
  return Array.isArray(given) ? [given as readonly string[], more] : [[], given as Options];
}

export function spawnSync(command: string, given?: readonly string[] | Options, more?: Options) {
  const [args, options] = argumentsOf(given, more);
  let started: Started;
  try {
    started = start(command, args, options);
  } catch (error) {
    return { error, status: null, signal: null, stdout: null, stderr: null, output: null, pid: 0 };
  }
  const { task, ends } = started;
  const said: Buffer[][] = ends.map(() => []);
  const [stdin, ...outputs] = ends;
  if (stdin !== undefined) {
    if (options.input !== undefined) kernel.write(stdin, Buffer.from(options.input));
    kernel.close(stdin);
  }
  const pidfd = kernel.pidfdOpen(task.process.pid);
  const left = new Set(outputs.filter((fd) => fd !== undefined));
  const drain = () => {
    for (const fd of left) if (drained(fd, said[ends.indexOf(fd)] ?? [])) left.delete(fd);
  };
  while (task.process.ended === undefined) {
    const entries = [pidfd, ...left].map((fd) => ({ fd, events: POLLIN, revents: 0 }));
    kernel.poll(entries, -1);
    drain();
  }
  drain();
  for (const fd of [pidfd, ...outputs]) if (fd !== undefined) kernel.close(fd);
  const end = endOf(task);
  reap(machine, task.process);
  const output = ends.map((fd, index) => (fd === undefined || index === 0 ? null : told(said[index] ?? [], options)));
  return {
    ...end,
    pid: task.process.pid,
    output,
    stdout: output[1] ?? null,
    stderr: output[2] ?? null,
    error: undefined,
  };
}

function told(chunks: readonly Buffer[], { encoding }: Options): string | Buffer {
  const whole = Buffer.concat(chunks);
  return encoding && encoding !== 'buffer' ? whole.toString(encoding) : whole;
}

export function execFileSync(
  command: string,
  given?: readonly string[] | Options,
  more?: Options,
): string | Buffer | null {
  const [args, options] = argumentsOf(given, more);
  const result = spawnSync(command, args, options);
  if (result.error !== undefined) throw result.error;
  if (result.status !== 0) {
    const message = `Command failed: ${[command, ...args].join(' ')}\n${result.stderr ?? ''}`;
    throw Object.assign(new Error(message), result);
  }
  return result.stdout;
}

type Callback = (error: Error | null, stdout: string, stderr: string) => void;

export function execFile(command: string, ...given: (readonly string[] | Options | Callback)[]): EventEmitter {
  const args = (given.find(Array.isArray) ?? []) as readonly string[];
  const options = given.find((each) => typeof each === 'object' && !Array.isArray(each)) as Options | undefined;
  const callback = given.find((each) => typeof each === 'function') as Callback | undefined;
  const child = new Child(command, args, { ...options, stdio: 'pipe' });
  const texts = ['', ''];
  for (const [index, stream] of [child.stdout, child.stderr].entries()) {
    stream?.on('data', (chunk) => {
      texts[index] += chunk;
    });
  }
  const [out = '', err = ''] = texts;
  child.once('error', (error) => callback?.(error, out, err));
  child.once('close', (code, by) => {
    const [stdout = '', stderr = ''] = texts;
    const failure = new Error(`Command failed: ${[command, ...args].join(' ')}\n${stderr}`);
    callback?.(code === 0 ? null : Object.assign(failure, { code, signal: by, stdout, stderr }), stdout, stderr);
  });
  return child;
}

Object.defineProperty(execFile, promisify.custom, {
  value: (command: string, args: readonly string[] = [], options: Options = {}) =>
    new Promise((resolve, reject) => {
      execFile(command, args, options, (error, stdout, stderr) =>
        error ? reject(error) : resolve({ stdout, stderr }),
      );
    }),
});

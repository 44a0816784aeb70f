// The real command as a process of its own, and what it says, as it says it.

import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach } from 'vitest';

export const COMMAND = fileURLToPath(new URL('../../bin/fanotify.cjs', import.meta.url));
const NOBODY = 65_534;
const DEADLINE_MS = 15_000;
/** For what is not heard of: without output nothing wakes. */
const LOOK_AGAIN_MS = 50;

/** All that Node's `getColorDepth` looks at besides the terminal, so that tests see the same wherever they run. */
const PLAIN_TERMINAL = {
  TERM: 'xterm-256color',
  COLORTERM: undefined,
  NO_COLOR: undefined,
  NODE_DISABLE_COLORS: undefined,
  FORCE_COLOR: undefined,
  TMUX: undefined,
  CI: undefined,
  TEAMCITY_VERSION: undefined,
  TERM_PROGRAM: undefined,
};

/** How a command ended. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class RunningCommand {
  stdout = '';
  stderr = '';
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcess;
  readonly #waiting = new Set<() => void>();

  constructor(
    program: string,
    args: readonly string[],
    stdout: 'pipe' | number,
    { asNobody = false, encoding = 'utf8', cwd = '/' }: Options,
  ) {
    this.#child = spawn(program, args, {
      stdio: ['pipe', stdout, 'pipe'],
      ...(asNobody && process.getuid?.() === 0 && { uid: NOBODY, gid: NOBODY }),
      env: { ...process.env, ...PLAIN_TERMINAL },
      cwd,
    });
    // One that ends without reading what was typed is no failure.
    this.#child.stdin?.on('error', () => undefined);
    this.#child.stdout?.setEncoding(encoding).on('data', (text: string) => {
      this.stdout += text;
      this.#look();
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      this.#look();
    });
    this.ended = new Promise((resolve, reject) => {
      this.#child.on('error', reject);
      this.#child.on('close', (code, signal) => {
        this.#look();
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr });
      });
    });
  }

  /** Resolves when what has been said so far fits. */
  async until(fits: (command: this) => boolean): Promise<void> {
    const started = Date.now();
    while (!fits(this)) {
      const isOver = this.#child.exitCode !== null || this.#child.signalCode !== null;
      if (isOver || Date.now() - started > DEADLINE_MS) {
        throw new Error(
          `${isOver ? 'ended' : 'too late'}; stdout: ${this.stdout.slice(-2000)}; stderr: ${this.stderr}`,
        );
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, LOOK_AGAIN_MS);
        const wake = () => {
          clearTimeout(timer);
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
      });
    }
  }

  /** Events of --json so far. */
  get events(): Record<string, unknown>[] {
    const whole = this.stdout.slice(0, this.stdout.lastIndexOf('\n') + 1);
    return whole
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** Closes our end of its standard output. */
  hangUp(): void {
    this.#child.stdout?.destroy();
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Writes to its standard input. */
  type(text: string): void {
    this.#child.stdin?.write(text);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  #look(): void {
    for (const wake of this.#waiting) wake();
  }
}

const running = new Set<RunningCommand>();

afterEach(() => {
  for (const command of running) command.kill('SIGKILL');
  running.clear();
});

interface Options {
  readonly asNobody?: boolean;
  /** A descriptor for standard output. */
  readonly stdout?: number;
  /** What its output is read as: latin1 for bytes. */
  readonly encoding?: 'utf8' | 'latin1';
  /** Where it starts; '/' otherwise. */
  readonly cwd?: string;
}

/** Starts `fanotify …`. */
export function fanotify(args: readonly string[], options: Options = {}): RunningCommand {
  const command = new RunningCommand(process.execPath, [COMMAND, ...args], options.stdout ?? 'pipe', options);
  running.add(command);
  return command;
}

/** Starts `fanotify watch …` and waits until it watches. */
export async function watching(args: readonly string[], options: Options = {}): Promise<RunningCommand> {
  const command = fanotify(['watch', ...args], options);
  await command.until(({ stderr }) => /^watching .*\n/m.test(stderr));
  return command;
}

/** Starts `fanotify trace …` and waits until it traces. */
export async function tracing(args: readonly string[], options: Options = {}): Promise<RunningCommand> {
  const command = fanotify(['trace', ...args], options);
  await command.until(({ stderr }) => /^tracing .*\n/m.test(stderr));
  return command;
}

/** Starts any program. */
export function start(program: string, args: readonly string[], options: Options = {}): RunningCommand {
  const command = new RunningCommand(program, args, 'pipe', options);
  running.add(command);
  return command;
}

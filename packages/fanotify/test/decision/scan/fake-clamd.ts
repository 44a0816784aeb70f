// fake-clamd.mjs as a process: of another program than clamd, and of root.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { waitUntil } from '../../support/clamd.ts';

const PROGRAM = fileURLToPath(new URL('./fake-clamd.mjs', import.meta.url));

export class FakeClamd {
  /** What it was told. */
  readonly commands: string[] = [];
  readonly #child: ChildProcess;

  private constructor(socket: string) {
    const child = spawn(process.execPath, [PROGRAM, socket], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child = child;
    createInterface(child.stdout).on('line', (line) => this.commands.push(line));
    onTestFinished(() => this.end());
  }

  static async listen(socket: string): Promise<FakeClamd> {
    const fake = new FakeClamd(socket);
    await waitUntil(() => fake.commands.includes('listening'));
    return fake;
  }

  tell(what: 'hold' | 'scan' | 'drop'): void {
    this.#child.stdin?.write(`${what}\n`);
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill();
    await ended;
  }
}

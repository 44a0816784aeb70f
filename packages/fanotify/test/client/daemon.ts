// A daemon with real brokers, in processes of their own, for the tests of one file.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ClientLimits, Grant } from '../../src/broker/rights.ts';

const PROGRAM = fileURLToPath(new URL('./little-daemon.mjs', import.meta.url));

export const isRoot: boolean = process.getuid?.() === 0;
/** What an operator's own programs are granted. */
export const EVERYTHING: Grant = { under: null, all: true, decide: true, system: true, pids: true };

/** A daemon that is there. */
export class LittleDaemon {
  readonly socket: string;
  readonly #directory: string;
  readonly #child: ChildProcess;
  readonly #lines: Interface;

  private constructor(settings: object) {
    this.#directory = mkdtempSync(join(tmpdir(), 'fanotify-daemon-'));
    // Whoever is to connect has to get there.
    chmodSync(this.#directory, 0o755);
    this.socket = join(this.#directory, 'socket');
    this.#child = spawn(process.execPath, [PROGRAM, this.socket, JSON.stringify(settings)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    if (!this.#child.stdout) throw new Error('it has no output');
    this.#lines = createInterface({ input: this.#child.stdout });
  }

  static async start(
    settings: { readonly grants?: readonly Grant[]; readonly limits?: Partial<ClientLimits> } = {},
  ): Promise<LittleDaemon> {
    const daemon = new LittleDaemon(settings);
    await once(daemon.#lines, 'line');
    return daemon;
  }

  /** Has it killed, and another started after a while. Resolves when that is there. */
  async restart(pauseMs = 0): Promise<void> {
    const restarted = once(this.#lines, 'line');
    this.#child.stdin?.write(`${pauseMs}\n`);
    await restarted;
  }

  async stop(): Promise<void> {
    const exit = once(this.#child, 'exit');
    this.#child.stdin?.end();
    await exit;
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

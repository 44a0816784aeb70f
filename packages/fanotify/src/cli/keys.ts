// Single keys from the terminal, and the terminal as it was when that is over.

import { readFileSync } from 'node:fs';
import type { ReadStream } from 'node:tty';

const CTRL_C = '\x03';
const CTRL_Z = '\x1a';
const CTRL_BACKSLASH = '\x1c';

/** What keys do. */
export interface KeyActions {
  readonly quit: () => void;
  readonly interrupt: () => void;
  /** Takes what is drawn away, before the shell comes back. */
  readonly clear: () => Promise<void>;
}

/** Reads keys while the process is in the foreground, until {@link end}: then the terminal is as it was found. */
export class Keys {
  readonly #input: ReadStream;
  readonly #actions: KeyActions;

  constructor(input: ReadStream, actions: KeyActions) {
    this.#input = input;
    this.#actions = actions;
    input.on('error', ignore);
    // Whatever ends the process: a shell without echo is of no use.
    process.on('exit', this.#release);
    process.on('SIGCONT', this.#take);
    this.#take();
  }

  end(): void {
    process.off('exit', this.#release);
    process.off('SIGCONT', this.#take);
    this.#release();
  }

  /** Takes the terminal, also again after a stop, when the shell has changed its mode. In the background it is not ours. */
  readonly #take = (): void => {
    if (!isInForeground()) return;
    // libuv does what changes the mode that it remembers, and only that.
    this.#input.setRawMode(false);
    this.#input.setRawMode(true);
    this.#input.off('data', this.#onData);
    this.#input.on('data', this.#onData);
    this.#input.resume();
  };

  readonly #release = (): void => {
    this.#input.off('data', this.#onData);
    this.#input.pause();
    if (this.#input.isRaw) this.#input.setRawMode(false);
  };

  readonly #onData = (bytes: Buffer): void => {
    for (const key of bytes.toString()) {
      if (key === 'q' || key === 'Q') this.#actions.quit();
      else if (key === CTRL_C) this.#actions.interrupt();
      else if (key === CTRL_BACKSLASH) void this.#signal('SIGQUIT');
      else if (key === CTRL_Z) void this.#signal('SIGTSTP');
    }
  };

  /** Raw mode keeps the terminal from sending these itself. */
  async #signal(signal: 'SIGQUIT' | 'SIGTSTP'): Promise<void> {
    await this.#actions.clear();
    this.#release();
    process.kill(process.pid, signal);
    // Not stopped at all where no shell waits for it; else this runs when it goes on.
    setImmediate(this.#take);
  }
}

function ignore(): void {}

/** proc_pid_stat(5): whether our process group (the fifth field) is the terminal's (the eighth). */
function isInForeground(): boolean {
  try {
    const stat = readFileSync('/proc/self/stat', 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[2] === fields[5];
  } catch {
    return true;
  }
}

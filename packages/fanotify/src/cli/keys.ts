// Single keys from the terminal, and the terminal as it was when that is over.

import type { ReadStream } from 'node:tty';

const CTRL_C = '\x03';
const CTRL_Z = '\x1a';
const CTRL_BACKSLASH = '\x1c';

/** What keys do. */
export interface KeyActions {
  readonly quit: () => void;
  readonly interrupt: () => void;
  /** Takes what is drawn away before the shell comes back, and draws it again afterwards. */
  readonly suspend: () => Promise<void>;
}

/** Reads keys until {@link end}: then the terminal is as it was found. */
export class Keys {
  readonly #input: ReadStream;
  readonly #actions: KeyActions;

  constructor(input: ReadStream, actions: KeyActions) {
    this.#input = input;
    this.#actions = actions;
    input.setRawMode(true);
    input.on('data', this.#onData);
    // Whatever ends the process: a shell without echo is of no use.
    process.on('exit', this.#restore);
    process.on('SIGCONT', this.#onContinue);
  }

  end(): void {
    this.#input.off('data', this.#onData);
    process.off('exit', this.#restore);
    process.off('SIGCONT', this.#onContinue);
    this.#restore();
    this.#input.pause();
  }

  readonly #restore = (): void => {
    this.#input.setRawMode(false);
  };

  readonly #onContinue = (): void => {
    this.#input.setRawMode(true);
  };

  readonly #onData = (bytes: Buffer): void => {
    for (const key of bytes.toString()) {
      if (key === 'q' || key === 'Q') this.#actions.quit();
      else if (key === CTRL_C) this.#actions.interrupt();
      else if (key === CTRL_BACKSLASH) process.kill(process.pid, 'SIGQUIT');
      else if (key === CTRL_Z) void this.#suspend();
    }
  };

  async #suspend(): Promise<void> {
    await this.#actions.suspend();
    this.#restore();
    process.kill(process.pid, 'SIGTSTP');
    // Not stopped at all where no shell waits for it.
    setImmediate(this.#onContinue);
  }
}

// Stops this process when the command alone has stopped: the shell waits for us, and not for it.

import { monotonicMs } from './socket.ts';
import type { Terminal } from './terminal.ts';

/** A command that has stopped goes on before this, if it was the whole process group that was stopped. */
const STOP_AFTER_MS = 50;

export class Stop {
  readonly #terminal: Pick<Terminal, 'noteHolder' | 'lendAgain'>;
  readonly #stop: () => void;
  #timer: NodeJS.Timeout | undefined;
  #wentOnMs = 0;

  /** @param stop Stops this process. */
  constructor(
    terminal: Pick<Terminal, 'noteHolder' | 'lendAgain'>,
    stop = () => void process.kill(process.pid, 'SIGTSTP'),
  ) {
    this.#terminal = terminal;
    this.#stop = stop;
  }

  commandStopped(atMs: number): void {
    // We were stopped with it, and hear of that now.
    if (atMs < this.#wentOnMs) return;
    clearTimeout(this.#timer);
    // A shell that is not there would not let us go on: then the kernel does not stop us either (orphaned process groups).
    this.#timer = setTimeout(() => {
      this.#terminal.noteHolder();
      this.#stop();
    }, STOP_AFTER_MS);
  }

  /** It had been stopped together with us, and went on a moment after we did. */
  commandWentOn(): void {
    clearTimeout(this.#timer);
  }

  goesOn(): void {
    clearTimeout(this.#timer);
    this.#wentOnMs = monotonicMs();
    this.#terminal.lendAgain();
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

// A broker's loop, as its program runs it.

import type { Kernel } from '../kernel/index.ts';

export interface LoopParts {
  readonly kernel: Kernel;
  /** The socket to the daemon's main process. */
  readonly control: number;
  /** Readable once that has ended. */
  readonly mainPidfd: number;
  readonly mainPid: number;
}

export interface Loop {
  /** Runs until the main process, or its end of the socket, is gone. Everything that is held got its policy then. */
  run(): void;
  /** Gives everything that is held its policy: {@link run} has thrown. */
  giveUp(): void;
}

/** @throws CallError when it cannot begin: the main process is told why. */
export type OpenLoop = (parts: LoopParts) => Loop;

// What a command gets from the process that it runs in, and gives back to it.

import type { ReadStream } from 'node:tty';
import type { Kernel, KernelError } from '../kernel/index.ts';
import type { TryElsewhere } from '../scope/looking.ts';
import type { Output } from './output.ts';
import type { Started } from './run-command/early.ts';

/** What a command is given. */
export interface Surroundings {
  /** @throws KernelUnavailableError */
  readonly kernel: () => Kernel;
  /** Standard output. */
  readonly openOutput: () => Output;
  /** Writes a line to standard error. */
  readonly say: (text: string) => void;
  /** The keyboard, where there is one. */
  readonly keyboard?: ReadStream | undefined;
  /** Ends the command from outside, as the signal that is its reason would. */
  readonly abort?: AbortSignal;
  /** Tries a place in another process, since it may never answer. */
  readonly tryElsewhere?: TryElsewhere;
  /** What `run` runs in, if it was started early, or why it could not be. */
  readonly inside?: () => Started | KernelError | undefined;
}

/** How a command ended. */
export interface Ending {
  readonly status: number;
  readonly signal?: NodeJS.Signals;
  /** The terminal is to stay as somebody else has set it. */
  readonly keepsTerminal?: true;
}

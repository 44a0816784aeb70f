// What the two processes of `fanotify run` say to each other: lines of JSON over a socket.

import { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import type { Rule } from './rules.ts';

/** What is to be run, and how it is told. */
export interface RunTask {
  readonly command: readonly string[];
  readonly json: boolean;
  readonly all: boolean;
  /** Where the report goes; standard error without. */
  readonly report: string | undefined;
  readonly rules: readonly Rule[];
  /** What our own Node.js was not to be started with. */
  readonly nodeOptions: string | undefined;
  /** How wide the terminal of standard error is. */
  readonly columns: number;
}

/** To the process inside. */
export type Inward =
  | { readonly run: RunTask }
  /** The outer one got this signal. */
  | { readonly signal: NodeJS.Signals }
  /** The terminal is ours again. */
  | { readonly report: true };

/** How a command ended. */
export interface CommandEnd {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** To the process outside. */
export type Outward =
  /** The command could not be traced, and was not started. */
  | { readonly failed: string; readonly status: number }
  /** The command has stopped, at this time of `process.hrtime`, in milliseconds. */
  | { readonly stopped: number }
  /** It goes on. */
  | { readonly wentOn: true }
  | { readonly ended: CommandEnd };

/** Signals that whoever knows the number of the outer process may send to it to mean the command. */
export const PASSED_ON = [
  'SIGINT',
  'SIGTERM',
  'SIGHUP',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGWINCH',
  'SIGCONT',
] as const;

/** The descriptor of the socket in the process inside. */
export const SOCKET_FD = 3;

/** One end. */
export class Line<Out, In> {
  readonly #socket: Duplex;
  #isEnding = false;

  constructor(socket: Duplex | number, hear: (message: In) => void, closed: () => void) {
    this.#socket = typeof socket === 'number' ? new Socket({ fd: socket, readable: true, writable: true }) : socket;
    // That the other one has gone is told by the end.
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => {
      if (!this.#isEnding) closed();
    });
    createInterface({ input: this.#socket }).on('line', (line) => hear(JSON.parse(line) as In));
  }

  say(message: Out): void {
    if (this.#socket.writable) this.#socket.write(`${JSON.stringify(message)}\n`);
  }

  /** Resolves when all is said. */
  async end(): Promise<void> {
    this.#isEnding = true;
    await new Promise<void>((resolve) => this.#socket.end(resolve));
  }
}

/** Milliseconds on a clock that both processes read. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

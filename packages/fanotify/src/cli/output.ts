// Standard output: writes in order, waits while the reader is slow, and knows what was not written.

import { fstatSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import type { WriteStream } from 'node:tty';
import { UserError } from './failure.ts';

/** A terminal's measures, as node:tty tells them. */
export interface Terminal {
  readonly columns: number;
  readonly rows: number;
  readonly hasColours: boolean;
  onResize(listener: () => void): void;
}

/** The output could not be written. `cause` is why; EPIPE when the reader is gone. */
export class OutputError extends Error {
  static {
    OutputError.prototype.name = 'OutputError';
  }
  readonly code: string | undefined;
  constructor(name: string, cause: unknown) {
    super(`${name} cannot be written`, { cause });
    this.code = (cause as NodeJS.ErrnoException).code;
  }
}

/** Something to write lines to. */
export class Output {
  /** What is known of the terminal; undefined when it is none. */
  readonly terminal: Terminal | undefined;
  /** What it is called. */
  readonly name: string;
  readonly #write: (data: string | Uint8Array) => Promise<void>;

  constructor(write: (data: string | Uint8Array) => Promise<void>, terminal?: Terminal, name = 'standard output') {
    this.#write = write;
    this.terminal = terminal;
    this.name = name;
  }

  /** Standard output of this process. */
  static standard(): Output {
    if (process.stdout.isTTY) return new Output(callback(process.stdout), terminalOf(process.stdout));
    let isStream = false;
    try {
      const status = fstatSync(1);
      isStream = status.isFIFO() || status.isSocket();
    } catch (error) {
      return new Output(() => Promise.reject(error));
    }
    // process.stdout would block on a full pipe, and with it Ctrl-C and the time-out; a file it would write without telling
    // how much of a text fitted.
    return new Output(
      isStream
        ? callback(new Socket({ fd: 1, readable: false, writable: true }))
        : async (data) => void (await writeAll(1, data)),
    );
  }

  /**
   * A new file. What does not fit into it as a whole is not in it at all: no line is cut.
   *
   * @throws UserError
   */
  static file(path: string): Output {
    try {
      const fd = openSync(path, 'wx');
      let whole = 0;
      const write = async (data: string | Uint8Array) => {
        try {
          whole += await writeAll(fd, data);
        } catch (error) {
          ftruncateSync(fd, whole);
          throw error;
        }
      };
      return new Output(write, undefined, JSON.stringify(path));
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const shown = JSON.stringify(path);
      if (code === 'EEXIST')
        throw new UserError(`${shown} exists: name another file, or append with '>>' instead of -o`);
      throw new UserError(
        `${shown} cannot be written: ${code === 'ENOENT' ? 'its directory does not exist' : message}`,
      );
    }
  }

  /**
   * Resolves when it is handed to the system.
   *
   * @throws OutputError
   */
  async write(data: string | Uint8Array): Promise<void> {
    try {
      await this.#write(data);
    } catch (error) {
      throw new OutputError(this.name, error);
    }
  }
}

function callback(stream: NodeJS.WritableStream): (data: string | Uint8Array) => Promise<void> {
  let reject: (error: unknown) => void = () => undefined;
  // An error may come with the callback, or as an event alone.
  stream.on('error', (error) => reject(error));
  return (data) =>
    new Promise((resolve, fail) => {
      reject = fail;
      stream.write(data, (error) => (error ? fail(error) : resolve()));
    });
}

async function writeAll(fd: number, data: string | Uint8Array): Promise<number> {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
  return bytes.length;
}

function terminalOf(stream: WriteStream): Terminal {
  return {
    get columns() {
      return stream.columns || 80;
    },
    get rows() {
      return stream.rows || 24;
    },
    hasColours: stream.hasColors(),
    onResize: (listener) => void stream.on('resize', listener),
  };
}

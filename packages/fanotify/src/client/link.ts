// A group's link to the daemon: a connection, and another when the daemon has ended and is there again.

import { CallError } from '../core/errors.ts';
import type { GroupSettings } from '../core/types.ts';
import { type Kernel, KernelError, type KernelPath } from '../kernel/index.ts';
import { DaemonConnection } from './connection.ts';
import { DaemonEndedError, DaemonUnavailableError } from './errors.ts';
import { Reconnection } from './reconnection.ts';

/** What a link needs of its group. */
export interface LinkParts {
  readonly kernel: Kernel;
  readonly socket: string;
  readonly settings: GroupSettings;
  /** Events have come while an answer was waited for. */
  onBacklog(): void;
  /** The connection is to be closed: takes what was received. */
  onLost(connection: DaemonConnection): void;
  /** There is another, bound: places the marks again. */
  onBack(connection: DaemonConnection): void;
  /** It will never work again. */
  onFailure(error: unknown): void;
}

/** A connection that is made again. */
export class Link {
  readonly #parts: LinkParts;
  readonly #reconnection: Reconnection;
  #connection: DaemonConnection | undefined;
  #isClosed = false;

  /** @throws DaemonUnavailableError, DaemonVersionError, DaemonEndedError; CallError for what is refused. */
  constructor(parts: LinkParts) {
    this.#parts = parts;
    this.#reconnection = new Reconnection(parts.socket, () => this.#tryAgain());
    this.#connection = this.#connect();
  }

  /** Undefined while the daemon is not there. */
  get connection(): DaemonConnection | undefined {
    return this.#connection;
  }

  /** Asks something of the daemon; undefined while it is not there. */
  ask<T>(work: (connection: DaemonConnection) => T): T | undefined {
    const connection = this.#connection;
    if (!connection) return undefined;
    try {
      return work(connection);
    } catch (error) {
      if (!(error instanceof DaemonEndedError)) throw error;
      this.#lose(connection);
      return undefined;
    }
  }

  /** Whether waiting for the daemon keeps the process alive. */
  keepAlive(keepsAlive: boolean): void {
    this.#reconnection.keepAlive(keepsAlive);
  }

  close(): void {
    this.#isClosed = true;
    this.#reconnection.close();
    this.#connection?.close();
    this.#connection = undefined;
  }

  #connect(): DaemonConnection {
    const { kernel, socket, settings } = this.#parts;
    const connection = new DaemonConnection(kernel, socket);
    try {
      connection.bind(settings);
    } catch (error) {
      connection.close();
      throw error;
    }
    connection.onBacklog = () => this.#parts.onBacklog();
    return connection;
  }

  #lose(connection: DaemonConnection): void {
    this.#connection = undefined;
    this.#parts.onLost(connection);
    connection.close();
    this.#reconnection.start();
  }

  #tryAgain(): boolean {
    if (this.#isClosed) return true;
    let connection: DaemonConnection | undefined;
    try {
      connection = this.#connect();
      this.#parts.onBack(connection);
      this.#connection = connection;
      return true;
    } catch (error) {
      connection?.close();
      if (error instanceof DaemonEndedError || error instanceof DaemonUnavailableError) return false;
      this.#parts.onFailure(error);
      return true;
    }
  }
}

/** What the daemon refuses, as the kernel would have refused it: with the daemon's words. */
export function asKernelError(syscall: string, error: unknown, path?: KernelPath | null): unknown {
  if (!(error instanceof CallError)) return error;
  return new KernelError(syscall, error.errno, path, error.reason);
}

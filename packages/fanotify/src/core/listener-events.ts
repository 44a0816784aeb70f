// Events as a listener of the core has them.

import { FAN_ALLOW, FAN_DENY, FAN_Q_OVERFLOW } from '../abi/index.ts';
import { type DescriptorPlace, descriptorPath } from '../identity/descriptor.ts';
import type { MountTable } from '../identity/mount-table.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { type ListenerEventName, listenerNames } from './listener-options.ts';
import type { CoreEvent } from './types.ts';

/** What all events have that are of a file. */
interface FileEventBase {
  /** What happened, or is asked; a merged event has several, in no order. */
  readonly kinds: readonly ListenerEventName[];
  /** The same as the kernel's bits. */
  readonly mask: bigint;
  /** Who did it; 0 for a process of another PID namespace. */
  readonly pid: number;
  /**
   * An open descriptor of the file, for reading; null when it could not be opened. Reading it raises no events. Other listeners share its
   * offset: read by position.
   */
  readonly fd: number | null;
  /**
   * Makes the descriptor yours, to close: else it is closed as the event is done with, and its number is another's, so nobody else may
   * close it.
   */
  take(): number | null;
  /**
   * The file's path, as of when it is first asked for; null when it has none here, or is no UTF-8, or is first asked for once the event is
   * done with.
   */
  readonly path: string | null;
  /** The same as bytes. */
  readonly rawPath: Buffer | null;
  /** Whether the file's name is gone. */
  readonly deleted: boolean;
}

/** Something has happened. `fd` is closed when the next event is asked for, or the loop is left. */
export interface NotificationEvent extends FileEventBase {
  readonly kind: 'notification';
}

/** Somebody waits for a response. `fd` is closed when it is given, or its time is up. */
export interface HeldEvent extends FileEventBase {
  readonly kind: 'held';
  /** Names the access. */
  readonly cookie: bigint;
  /** Of `preAccess`: what is about to be accessed, in bytes. */
  readonly range: { readonly offset: bigint; readonly count: bigint } | undefined;
  /** Lets the access go on, to the next listener in turn. False when that came too late, or was said before. */
  allow(): boolean;
  /** Denies it: it fails with EPERM, and no other listener is asked. False when that came too late, or was said before. */
  deny(): boolean;
}

/** Events were lost before this one: the listener did not read fast enough. */
export interface LostEvent {
  readonly kind: 'overflow';
}

/** What a listener of the core hears. */
export type ListenerEvent = NotificationEvent | HeldEvent | LostEvent;

/** What events need of their listener. */
export interface EventContext {
  readonly kernel: Kernel;
  readonly mounts: MountTable;
  respond(event: FileEvent, response: number): boolean;
}

const NOWHERE: DescriptorPlace = { path: undefined, deleted: false, foreign: false };

/** The one class behind events of files. */
export class FileEvent {
  readonly kind: 'notification' | 'held';
  readonly pid: number;
  readonly mask: bigint;
  readonly cookie: bigint;
  readonly range: CoreEvent['range'];
  readonly #context: EventContext;
  #fd: number;
  #place: DescriptorPlace | undefined;

  constructor(context: EventContext, { mask, fd, pid, cookie, range }: CoreEvent) {
    this.#context = context;
    this.kind = cookie === 0n ? 'notification' : 'held';
    this.mask = mask;
    this.pid = pid;
    this.cookie = cookie;
    this.range = range;
    this.#fd = fd;
  }

  get kinds(): readonly ListenerEventName[] {
    return listenerNames(this.mask);
  }

  get fd(): number | null {
    return this.#fd < 0 ? null : this.#fd;
  }

  take(): number | null {
    const { fd } = this;
    this.#fd = -1;
    return fd;
  }

  get path(): string | null {
    return this.#placed.path?.text ?? null;
  }

  get rawPath(): Buffer | null {
    return this.#placed.path?.raw ?? null;
  }

  get deleted(): boolean {
    return this.#placed.deleted;
  }

  allow(): boolean {
    return this.#context.respond(this, FAN_ALLOW);
  }

  deny(): boolean {
    return this.#context.respond(this, FAN_DENY);
  }

  /** Closes what nobody took. */
  release(): void {
    const fd = this.#fd;
    if (fd < 0) return;
    this.#fd = -1;
    try {
      this.#context.kernel.close(fd);
    } catch (error) {
      // Closed by somebody who had not taken it: others are still to be released, and decided on.
      if (!(error instanceof KernelError)) throw error;
    }
  }

  [Symbol.for('nodejs.util.inspect.custom')](): object {
    const { kind, kinds, path, pid } = this;
    return { kind, kinds, path, pid };
  }

  get #placed(): DescriptorPlace {
    if (this.#place) return this.#place;
    if (this.#fd < 0) return NOWHERE;
    const { kernel, mounts } = this.#context;
    this.#place = descriptorPath(kernel, this.#fd, mounts, () => undefined);
    return this.#place;
  }
}

/** Whether an event says that events were lost. */
export function isOverflow({ mask }: CoreEvent): boolean {
  return (mask & FAN_Q_OVERFLOW) !== 0n;
}

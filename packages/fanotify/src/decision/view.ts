// What a held access shows of itself to whoever decides: read when it is first asked for, from its descriptor and its process.

import { type DescriptorPlace, descriptorPath } from '../identity/descriptor.ts';
import type { MountTable } from '../identity/mount-table.ts';
import type { ProcFiles } from '../identity/proc-files.ts';
import type { ProcessInfo } from '../identity/process.ts';
import type { ProcessReader } from '../identity/process-reader.ts';
import type { Kernel } from '../kernel/index.ts';
import type { PermissionEvent } from './options.ts';
import type { PermissionEventName } from './verdict.ts';

/** Where a view looks things up. */
export interface Sight {
  readonly kernel: Kernel;
  readonly mounts: MountTable;
  readonly files: ProcFiles;
  readonly reader: ProcessReader;
}

const NOWHERE: DescriptorPlace = { path: undefined, deleted: false, foreign: false };

/** What the kernel told of an access. */
export type Told = Pick<PermissionEvent, 'kind' | 'pid' | 'range'>;

/** One access. What was not asked for while it was held is not to be had afterwards. */
export class AccessView implements PermissionEvent {
  readonly #sight: Sight;
  readonly #told: Told;
  readonly #isHeld: () => boolean;
  readonly #fd: () => number;
  #known: DescriptorPlace | undefined;
  #process: ProcessInfo | null | undefined;

  /**
   * @param isHeld Whether what is read now is the access's still.
   * @param fd Its descriptor; asked for while it is held.
   */
  constructor(sight: Sight, told: Told, isHeld: () => boolean, fd: () => number) {
    this.#sight = sight;
    this.#told = told;
    this.#isHeld = isHeld;
    this.#fd = fd;
  }

  get kind(): PermissionEventName {
    return this.#told.kind;
  }

  get pid(): number {
    return this.#told.pid;
  }

  get range(): PermissionEvent['range'] {
    return this.#told.range;
  }

  get fd(): number {
    return this.#isHeld() ? this.#fd() : -1;
  }

  get path(): string | null {
    return this.#place.path?.text ?? null;
  }

  get rawPath(): Buffer | null {
    return this.#place.path?.raw ?? null;
  }

  get deleted(): boolean {
    return this.#place.deleted;
  }

  get foreign(): boolean {
    return this.#place.foreign;
  }

  get process(): ProcessInfo | null {
    if (this.#process !== undefined) return this.#process;
    if (this.pid <= 0 || !this.#isHeld()) return null;
    const { files, reader } = this.#sight;
    const stat = files.stat(this.pid);
    const process = stat ? reader.read(this.pid, stat) : null;
    // Once it is let go it may execute something else, or end and leave its number to another.
    if (!this.#isHeld()) return null;
    this.#process = process;
    return process;
  }

  get #place(): DescriptorPlace {
    if (this.#known) return this.#known;
    if (!this.#isHeld()) return NOWHERE;
    const { kernel, mounts } = this.#sight;
    // A path here of what was opened elsewhere would have to be found by opening directories: they may be held themselves.
    this.#known = descriptorPath(kernel, this.#fd(), mounts, () => undefined);
    return this.#known;
  }
}

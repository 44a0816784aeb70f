// What a held access shows of itself to whoever decides: read when it is first asked for, from its descriptor and its process.

import { type DescriptorPlace, descriptorPath } from '../identity/descriptor.ts';
import type { MountTable } from '../identity/mount-table.ts';
import type { ProcFiles } from '../identity/proc-files.ts';
import type { ProcessInfo } from '../identity/process.ts';
import type { ProcessReader } from '../identity/process-reader.ts';
import type { Kernel } from '../kernel/index.ts';

/** Where a view looks things up. */
export interface Sight {
  readonly kernel: Kernel;
  readonly mounts: MountTable;
  readonly files: ProcFiles;
  readonly reader: ProcessReader;
}

const NOWHERE: DescriptorPlace = { path: undefined, deleted: false, foreign: false };

/** The place and the process of one access. What was not asked for while it was held is not to be had afterwards. */
export class AccessView {
  readonly #sight: Sight;
  readonly #pid: number;
  readonly #isHeld: () => boolean;
  readonly #fd: () => number;
  #place: DescriptorPlace | undefined;
  #process: ProcessInfo | null | undefined;

  /**
   * @param isHeld Whether what is read now is the access's still.
   * @param fd Its descriptor; asked for while it is held.
   */
  constructor(sight: Sight, pid: number, isHeld: () => boolean, fd: () => number) {
    this.#sight = sight;
    this.#pid = pid;
    this.#isHeld = isHeld;
    this.#fd = fd;
  }

  get place(): DescriptorPlace {
    if (this.#place) return this.#place;
    if (!this.#isHeld()) return NOWHERE;
    const { kernel, mounts } = this.#sight;
    // A path here of what was opened elsewhere would have to be found by opening directories: they may be held themselves.
    this.#place = descriptorPath(kernel, this.#fd(), mounts, () => undefined);
    return this.#place;
  }

  get process(): ProcessInfo | null {
    if (this.#process !== undefined) return this.#process;
    if (this.#pid <= 0 || !this.#isHeld()) return null;
    const { files, reader } = this.#sight;
    const stat = files.stat(this.#pid);
    const process = stat ? reader.read(this.#pid, stat) : null;
    // Once it is let go it may execute something else, or end and leave its number to another.
    if (!this.#isHeld()) return null;
    this.#process = process;
    return process;
  }
}

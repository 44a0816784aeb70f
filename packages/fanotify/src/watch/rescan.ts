// Looks at the disk again, where events do not tell what is there: compares with what is known, or tells everything anew.

import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_PATH } from '../abi/index.ts';
import { fsidText, handleAt } from '../identity/handle-at.ts';
import type { HandleKey } from '../identity/locator.ts';
import { parentOf, type ResolvedPath } from '../identity/path.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { arrivalsBelow } from './arrivals.ts';
import type { Listed } from './baseline.ts';
import type { EntryChange, RescanChange } from './change.ts';
import { difference } from './difference.ts';
import { lookAt, sizeOf, typeOf } from './disk.ts';
import { type ListingOptions, list } from './listing.ts';
import type { MemoryOfLooks } from './memory-of-looks.ts';
import type { Report } from './report.ts';
import type { Source } from './source.ts';
import type { Step } from './step.ts';

/** What it takes to look again. */
export interface RescanOptions {
  readonly kernel: Kernel;
  readonly source: Source;
  readonly report: Report;
  /** The roots that are there, by their real paths. */
  readonly roots: () => readonly ResolvedPath[];
  readonly listing: ListingOptions;
  /** Waited for now and then while much is told at once. */
  readonly room: () => Promise<void>;
  readonly isClosed: () => boolean;
}

const TOLD_AT_ONCE = 512;
const OPEN = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

/** Looks again at some trees. `isTrusted` everywhere: what is known is what was told; else some of it is still to be told by events. */
export class Rescan {
  readonly #options: RescanOptions;
  #count = 0;

  constructor(options: RescanOptions) {
    this.#options = options;
  }

  /** How often everything was looked at again. */
  get count(): number {
    return this.#count;
  }

  /** Tells that events were lost, and what has changed if it is known what was told. */
  async everything(why: RescanChange['why'], isTrusted: boolean): Promise<void> {
    const { report, roots } = this.#options;
    this.#count++;
    for (const root of roots()) {
      report.rescan(root, isTrusted, why);
      if (isTrusted) await this.#compare(root, 'rescan');
      // What was listed ahead of the events that were lost will never be told by them: whoever is told to look sees it.
      else if (report.knowledge.isComplete) await this.#compare(root);
    }
    if (!isTrusted) report.knowledge.startOver();
  }

  /** Something was mounted at a place, or unmounted: tells what is there now. */
  async mounted(place: ResolvedPath, isTrusted: boolean): Promise<void> {
    const { source, report } = this.#options;
    if (source.excludes(place.raw)) return;
    this.#count++;
    report.rescan(place, true, 'mount');
    await this.at(place, isTrusted);
  }

  /** Something is there that was not there when the watch began: tells it with all below. */
  async appeared(path: ResolvedPath, isTrusted: boolean, memory: MemoryOfLooks): Promise<void> {
    const { kernel, source, report } = this.#options;
    if (isTrusted) return await this.#compare(path, 'newDirectory');
    const status = lookAt(kernel, AT_FDCWD, path.raw);
    if (!status) return;
    const fileType = typeOf(status);
    const about = { fileType, size: sizeOf(status), by: null, timeMs: Date.now() };
    report.entry('create', report.spot(path), about, status, 'newDirectory');
    const above = keyAt(kernel, parentOf(path.raw));
    const name = path.raw.subarray(path.raw.lastIndexOf(0x2f) + 1).toString('latin1');
    if (above !== undefined) memory.set(above, name, fileType === 'directory' ? fileType : 'other', source.round);
    const fd = fileType === 'directory' ? open(kernel, path.raw) : undefined;
    if (fd !== undefined) await this.#tellBelow(fd, path, 'newDirectory', memory);
  }

  /** Tells what is on disk at and below a path, whatever was told before. */
  async at(path: ResolvedPath, isTrusted: boolean, memory?: MemoryOfLooks): Promise<void> {
    const { kernel, source, report } = this.#options;
    if (source.excludes(path.raw)) return;
    if (isTrusted) return await this.#compare(path, 'rescan');
    const spot = report.spot(path);
    const status = lookAt(kernel, AT_FDCWD, path.raw);
    const about = { size: null, by: null, timeMs: Date.now() };
    report.entry('delete', spot, { ...about, fileType: 'unknown' }, undefined, 'rescan');
    if (!status) return;
    const fileType = typeOf(status);
    report.entry('create', spot, { ...about, fileType, size: sizeOf(status) }, status, 'rescan');
    const fd = fileType === 'directory' ? open(kernel, path.raw) : undefined;
    if (fd !== undefined) await this.#tellBelow(fd, path, 'rescan', memory);
  }

  /** Tells all that is below a directory that was told already. */
  async below(key: HandleKey, path: ResolvedPath, isTrusted: boolean, memory: MemoryOfLooks): Promise<void> {
    if (isTrusted) return await this.#compare(path, 'newDirectory');
    const fd = this.#options.source.open(key, path);
    if (typeof fd === 'number') await this.#tellBelow(fd, path, 'newDirectory', memory);
  }

  /** Tells all that is below an open directory, which is closed then. */
  async #tellBelow(
    fd: number,
    path: ResolvedPath,
    found: EntryChange['found'],
    memory: MemoryOfLooks | undefined,
  ): Promise<void> {
    const { kernel, source, report, room, isClosed } = this.#options;
    try {
      let count = 0;
      let listed: HandleKey | undefined;
      const excludes = (path: Buffer) => source.excludes(path);
      const fsid = fsidText(kernel.statfs(fd).fsid);
      for (const { directory, status, name } of arrivalsBelow(fd, path, fsid, { kernel, excludes })) {
        if (directory.key !== listed) memory?.list(directory.key, source.round);
        listed = directory.key;
        const fileType = typeOf(status);
        const about = { fileType, size: sizeOf(status), by: null, timeMs: Date.now() };
        const entry = name.toString('latin1');
        report.entry('create', report.spot(directory.path, entry), about, status, found);
        memory?.set(directory.key, entry, fileType === 'directory' ? 'directory' : 'other', source.round);
        if (++count % TOLD_AT_ONCE !== 0) continue;
        await room();
        if (isClosed()) return;
      }
    } finally {
      kernel.close(fd);
    }
  }

  /** Tells the difference between what is known and what is on disk; without `found` only learns it. */
  async #compare(path: ResolvedPath, found?: 'rescan' | 'newDirectory'): Promise<void> {
    const { kernel, report, listing, room, isClosed } = this.#options;
    const steps: Step[] = [];
    for (const part of difference(this.#known(path), list(kernel, path.raw, listing))) {
      steps.push(...part);
      await turn();
      if (isClosed()) return;
    }
    let count = 0;
    for (const step of steps) {
      if (found) report.step(step, found);
      else report.note(step);
      if (++count % TOLD_AT_ONCE !== 0) continue;
      await room();
      if (isClosed()) return;
    }
  }

  #known(path: ResolvedPath): Iterable<Listed> {
    return this.#options.report.knowledge.entries(path.raw);
  }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** The key of what is at a path. */
function keyAt(kernel: Kernel, path: Buffer): HandleKey | undefined {
  try {
    return fsidText(kernel.statfs(path).fsid) + handleAt(kernel, AT_FDCWD, path, 0).handle.toString('latin1');
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}

function open(kernel: Kernel, path: Buffer): number | undefined {
  try {
    return kernel.openAt(AT_FDCWD, path, OPEN);
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}

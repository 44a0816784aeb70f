// The baseline in a temporary file: memory for so many changes, and less than a byte for each other entry.

import { tmpdir } from 'node:os';
import type { Baseline, Known, Listed } from './baseline.ts';
import { BaselineError } from './errors.ts';
import { Overlay } from './overlay.ts';
import { Run } from './run.ts';

/** What may be other than usual. */
export interface FileBaselineOptions {
  /** Where the file is. Default: the system's directory for temporary files. It has no name there. */
  readonly directory?: string | undefined;
  /** How many changes are kept in memory before they are merged into the file; for a moment twice as many. Default 32,768: 5 MB. */
  readonly mostChanges?: number | undefined;
  readonly blockBytes?: number | undefined;
  /** How many entries that do not show any more are read over before it is looked up where they end. */
  readonly mostReadOver?: number | undefined;
}

/** All entries as of when it was begun, on their way to a new file. */
interface Merge {
  readonly entries: Iterator<Listed>;
  readonly run: Run;
  /** How many entries go on their way with each change, so that it is done before there are too many again. */
  readonly pace: number;
}

/**
 * A {@link Baseline} that is a file of entries in order, and the changes since. When there are many, file and changes are merged into a
 * new file: some entries with each further change, so that nobody waits for it. Entries that come in order, as a listing tells them, go to
 * the file at once. A move takes the same time whatever is below.
 *
 * @throws BaselineError when there is no room on disk.
 */
export class FileBaseline implements Baseline {
  readonly #options: FileBaselineOptions;
  readonly #mostChanges: number;
  #run: Run;
  #merge: Merge | undefined;
  /** Since the file was written or, while there is a merge, since that was begun: then what is beneath are the changes before. */
  #changes: Overlay;
  #failed: BaselineError | undefined;
  #isClosed = false;

  constructor(options: FileBaselineOptions = {}) {
    this.#options = options;
    this.#mostChanges = options.mostChanges ?? 32_768;
    this.#run = this.#guard(() => this.#makeRun());
    this.#changes = new Overlay(this.#run, options.mostReadOver);
  }

  get(path: Buffer): Known | undefined {
    return this.#guard(() => this.#changes.get(path));
  }

  set(path: Buffer, known: Known): void {
    this.#guard(() => {
      if (!this.#merge && this.#run.isBehind(path) && this.#changes.isPlain(path)) this.#run.add(path, known);
      else this.#changes.set(path, known);
      this.#goOn();
    });
  }

  delete(path: Buffer): void {
    this.#guard(() => {
      this.#changes.delete(path);
      this.#goOn();
    });
  }

  move(from: Buffer, to: Buffer): void {
    this.#guard(() => {
      this.#changes.move(from, to);
      this.#goOn();
    });
  }

  *entries(root: Buffer): Generator<Listed, void> {
    const entries = this.#guard(() => this.#changes.scan(root));
    for (;;) {
      const { value, done } = this.#guard(() => entries.next());
      if (done) return;
      yield value;
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#failed ??= new BaselineError('the baseline is closed');
    this.#merge?.run.close();
    this.#run?.close();
  }

  #makeRun(): Run {
    return new Run(this.#options.directory ?? tmpdir(), this.#options.blockBytes);
  }

  /** Goes on with the merge, or begins one. */
  #goOn(): void {
    const isFull = this.#changes.count > this.#mostChanges;
    if (this.#merge) this.#advance(isFull ? Number.POSITIVE_INFINITY : this.#merge.pace);
    else if (isFull) this.#begin();
  }

  #begin(): void {
    const merging = this.#changes;
    const entries = merging.scan(Buffer.from('/'));
    const pace = Math.ceil((2 * (this.#run.size + merging.count)) / this.#mostChanges) + 1;
    this.#merge = { entries, run: this.#makeRun(), pace };
    this.#changes = new Overlay(merging, this.#options.mostReadOver);
  }

  #advance(pace: number): void {
    const merge = this.#merge;
    if (!merge) return;
    for (let count = 0; count < pace; count++) {
      const { value, done } = merge.entries.next();
      if (done) {
        this.#run.close();
        this.#run = merge.run;
        this.#changes.beneath = merge.run;
        this.#merge = undefined;
        return;
      }
      merge.run.add(value.path, value.known);
    }
  }

  #guard<T>(work: () => T): T {
    if (this.#failed) throw this.#failed;
    try {
      return work();
    } catch (cause) {
      if (cause instanceof BaselineError) this.#failed = cause;
      else if (cause instanceof RangeError || (cause instanceof Error && 'syscall' in cause)) {
        const directory = this.#options.directory ?? tmpdir();
        this.#failed = new BaselineError(
          `what is known of the tree cannot be kept in ${directory}: ${cause.message}; make room there, or have TMPDIR name another directory`,
          { cause },
        );
      } else throw cause;
      throw this.#failed;
    }
  }
}

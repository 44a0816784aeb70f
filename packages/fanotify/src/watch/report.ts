// Tells changes, and keeps what is known of the tree in step with what was told.

import { ResolvedPath } from '../identity/path.ts';
import type { FileStatus } from '../kernel/index.ts';
import type { Known, Listed } from './baseline.ts';
import type { EntryChange, RescanChange } from './change.ts';
import type { Knowledge } from './knowledge.ts';
import { isSame, knownOf } from './known.ts';
import type { Step } from './step.ts';
import { entryPath, type Particulars, type Telling, type ToldPath } from './telling.ts';

/** An entry of a directory: where that is, and how it is called. `name` is latin1; '.' is the directory itself. */
export interface Spot {
  readonly directory: { readonly real: ResolvedPath; readonly path: ResolvedPath };
  readonly name: string;
}

/** How real paths are told. */
export type ToldAs = (path: ResolvedPath) => ResolvedPath;

/** By which names roots are told, and what is below. */
export interface Names {
  readonly toldAs: ToldAs;
  /** Of a file that a link was asked for: the link. Asks for the path only if there is any. */
  readonly fileToldAs: (real: () => Buffer) => ToldPath | undefined;
}

/** What is said of an entry that nobody looked at. */
const UNSEEN = { ino: 0n, device: 0n, born: 0, size: 0, mtimeNs: 0n, ctimeNs: 0n } as const;

export class Report {
  readonly knowledge: Knowledge;
  readonly toldAs: ToldAs;
  readonly #telling: Telling;
  readonly #fileToldAs: Names['fileToldAs'];

  /** Told of each path that is told to have gone. */
  onGone: ((told: Buffer) => void) | undefined;

  constructor(telling: Telling, knowledge: Knowledge, { toldAs, fileToldAs }: Names) {
    this.#telling = telling;
    this.knowledge = knowledge;
    this.toldAs = toldAs;
    this.#fileToldAs = fileToldAs;
  }

  get told(): number {
    return this.#telling.told;
  }

  /** The place of an entry that is known by its real path. */
  spot(directory: ResolvedPath, name = '.'): Spot {
    return { directory: { real: directory, path: this.toldAs(directory) }, name };
  }

  /** An entry came, changed or went. `status` is what was seen of it. */
  entry(
    type: EntryChange['type'],
    spot: Spot,
    about: Particulars,
    status?: FileStatus,
    found?: EntryChange['found'],
  ): void {
    const path = this.#pathOf(spot);
    this.#telling.entry(type, path, about, found);
    if (type === 'delete') this.onGone?.(path.raw);
    if (!this.knowledge.isKept) return;
    if (type === 'delete') this.knowledge.delete(realPath(spot));
    else this.knowledge.set(realPath(spot), status ? knownOf(status) : { type: about.fileType, ...UNSEEN });
  }

  /** The directory that is told to be there is another one by now: this, or one that nobody saw. */
  replaced(spot: Spot, status: FileStatus | undefined): void {
    if (!this.knowledge.isKept) return;
    this.knowledge.set(realPath(spot), status ? knownOf(status) : { type: 'directory', ...UNSEEN });
  }

  /** `isTrusted`: what is known is what was told, and goes where that is told to go. */
  rename(from: Spot, to: Spot, about: Particulars, status: FileStatus | undefined, isTrusted: boolean): void {
    this.#telling.rename(this.#pathOf(from), this.#pathOf(to), about);
    if (!this.knowledge.isKept) return;
    const known = status && knownOf(status);
    // A listing was ahead of the event, and has found it there already with all that is below.
    if (known && !isTrusted && this.knowledge.isComplete && this.#isKnownAt(realPath(to), known)) {
      const before = this.knowledge.get(realPath(from));
      if (before && (before.ino === UNSEEN.ino || isSame(before, known))) this.knowledge.delete(realPath(from));
    } else {
      // Also where nothing was known of what comes: what was there is gone.
      this.knowledge.delete(realPath(to));
      this.knowledge.move(realPath(from), realPath(to));
    }
    if (known) this.knowledge.set(realPath(to), known);
  }

  #isKnownAt(path: Buffer, known: Known): boolean {
    const before = this.knowledge.get(path);
    return before !== undefined && isSame(before, known);
  }

  /** A step of a comparison with the disk. */
  step(step: Step, found: 'rescan' | 'snapshot' | 'newDirectory'): void {
    this.tell(step, found);
    this.note(step);
  }

  /** Tells a step, which is known already. */
  tell(step: Step, found: 'rescan' | 'snapshot' | 'newDirectory'): void {
    const { known } = step;
    if (step.type !== 'refresh') {
      const size = step.type !== 'delete' && known.type === 'file' ? known.size : null;
      const about = { fileType: known.type, size, by: null, timeMs: Date.now() };
      const path = this.#toldOf(step.path);
      if (step.type === 'rename')
        this.#telling.rename(this.#toldOf(step.from), path, about, found === 'newDirectory' ? 'rescan' : found);
      else this.#telling.entry(step.type, path, about, found);
      if (step.type === 'delete') this.onGone?.(path.raw);
    }
  }

  /** Tells what was found in a listing. */
  listed({ path, known }: Listed, found: 'initial'): void {
    const size = known.type === 'file' ? known.size : null;
    this.#telling.entry(
      'create',
      this.#toldOf(path),
      { fileType: known.type, size, by: null, timeMs: Date.now() },
      found,
    );
    this.knowledge.set(path, known);
  }

  /** Takes a step without telling it. */
  note(step: Step): void {
    if (step.type === 'delete') this.knowledge.delete(step.path);
    else if (step.type === 'rename') this.knowledge.move(step.from, step.path);
    if (step.type !== 'delete') this.knowledge.set(step.path, step.known);
  }

  rescan(root: ResolvedPath, complete: boolean, why: RescanChange['why']): void {
    this.#telling.rescan(this.toldAs(root), complete, why);
  }

  #pathOf(spot: Spot): ToldPath {
    const told = entryPath(spot.directory.path, spot.name);
    return spot.name === '.' ? told : (this.#fileToldAs(() => realPath(spot)) ?? told);
  }

  #toldOf(real: Buffer): ToldPath {
    return this.toldAs(new ResolvedPath(real, 'reading'));
  }
}

export function realPath({ directory, name }: Spot): Buffer {
  return entryPath(directory.real, name).raw;
}

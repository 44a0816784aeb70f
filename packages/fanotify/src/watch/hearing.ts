// Hears the paths of a watch, whatever they are and become: each is heard as a tree, through the directory that it is in, or waited for.

import { NoSuchPathError } from '../group/errors.ts';
import { parentOf, ResolvedPath } from '../identity/path.ts';
import type { Kernel } from '../kernel/index.ts';
import type { RootNames } from './root-names.ts';
import { lookAtRoot } from './roots.ts';
import type { Heard, HeardRoot } from './source.ts';
import type { Teller } from './teller.ts';
import { openTree, type TreeOptions, type TreeSource } from './tree-source.ts';

/** What hearing works with. */
export interface HearingParts {
  readonly kernel: Kernel;
  readonly tree: TreeOptions;
  readonly names: RootNames;
  /** Makes a teller of what a source tells. */
  readonly tellerOf: (source: TreeSource) => Teller;
  /** Told before something is given to a teller. */
  readonly heard: () => void;
  /** Waited for while too much waits to be taken. */
  readonly room: () => Promise<void>;
  readonly fail: (error: unknown) => void;
}

/** Something that is heard. */
interface Ear {
  readonly source: TreeSource;
  readonly teller: Teller;
  /** The paths that it is for, as they were given, by their real ones (as latin1). */
  readonly givens: Map<string, Buffer>;
  /** Files, heard through their directories; undefined of trees. */
  readonly only: Set<string> | undefined;
}

export class Hearing {
  readonly #parts: HearingParts;
  readonly #ears = new Set<Ear>();
  /** Paths at which nothing is. */
  readonly #absent = new Set<Buffer>();
  #waits: TreeSource | undefined;
  #waitsIn = '';
  /** One thing after the other: marks are placed before what they hear is told. */
  #turn: Promise<void> = Promise.resolve();
  #isClosed = false;
  #isRef = true;

  constructor(parts: HearingParts) {
    this.#parts = parts;
  }

  /** @throws What openTree and lookAtRoot throw. */
  async open(paths: readonly Buffer[]): Promise<void> {
    await this.#hear(paths, false);
    await this.#waitForAbsent();
  }

  get sources(): TreeSource[] {
    return [...this.#ears].map(({ source }) => source);
  }

  settle(): void {
    for (const { teller } of this.#ears) teller.settle();
  }

  /** How many entries wait to be looked at. */
  get waiting(): number {
    let waiting = 0;
    for (const { teller } of this.#ears) waiting += teller.waiting;
    return waiting;
  }

  get rescans(): number {
    return [...this.#ears].reduce((sum, { teller }) => sum + teller.rescans, 0);
  }

  ref(isRef: boolean): void {
    this.#isRef = isRef;
    for (const source of this.#all()) isRef ? source.ref() : source.unref();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#all().map((source) => source.close()));
  }

  #all(): TreeSource[] {
    return this.#waits ? [...this.sources, this.#waits] : this.sources;
  }

  /** Hears paths as what they are now; those that came since the watch began are told. */
  async #hear(paths: readonly Buffer[], came: boolean): Promise<void> {
    const directories = new Map<string, Buffer>();
    const files = new Map<string, Buffer>();
    for (const given of paths) {
      const root = lookAtRoot(this.#parts.kernel, given);
      if (root.is === 'absent') {
        this.#absent.add(given);
        continue;
      }
      this.#absent.delete(given);
      this.#parts.names.add(given, root, !came);
      (root.is === 'directory' ? directories : files).set(root.real.toString('latin1'), given);
    }
    if (directories.size > 0) await this.#hearDirectories(directories, came);
    if (files.size > 0) await this.#hearFiles(files, came);
  }

  async #hearDirectories(givens: Map<string, Buffer>, came: boolean): Promise<void> {
    const source = await this.#open([...givens.values()], this.#parts.tree, came);
    if (!source) return void (await this.#hear([...givens.values()], came));
    const ear = this.#listen({ source, teller: this.#parts.tellerOf(source), givens, only: undefined });
    if (came) for (const root of source.roots) await this.#take(ear, [rootOf(source, root, true)]);
  }

  async #hearFiles(givens: Map<string, Buffer>, came: boolean): Promise<void> {
    const only = new Set(givens.keys());
    const parents = new Set([...only].map((path) => parentOf(Buffer.from(path, 'latin1')).toString('latin1')));
    const places = [...parents].map((path) => Buffer.from(path, 'latin1'));
    const source = await this.#open(places, { ...this.#parts.tree, recursive: false, ignore: [], only }, came);
    if (!source) return void (await this.#hear([...givens.values()], came));
    const ear = this.#listen({ source, teller: this.#parts.tellerOf(source), givens, only });
    if (!came) return;
    for (const path of only) {
      await this.#take(ear, [rootOf(source, new ResolvedPath(Buffer.from(path, 'latin1'), 'reading'), true)]);
    }
  }

  /** Undefined where something that was there when the watch had begun is gone again. */
  async #open(paths: readonly Buffer[], options: TreeOptions, came: boolean): Promise<TreeSource | undefined> {
    try {
      return await openTree(paths, options);
    } catch (error) {
      if (came && error instanceof NoSuchPathError) return undefined;
      throw error;
    }
  }

  #listen(ear: Ear): Ear {
    this.#ears.add(ear);
    if (!this.#isRef) ear.source.unref();
    void this.#follow(ear).catch(this.#parts.fail);
    return ear;
  }

  async #follow(ear: Ear): Promise<void> {
    for await (const batch of ear.source.batches()) {
      if (this.#isClosed) return;
      await this.#inTurn(() => this.#takeBatch(ear, batch));
      await this.#parts.room();
    }
    if (this.#isClosed) return;
    await this.#inTurn(async () => {
      ear.teller.settle();
      this.#ears.delete(ear);
      await ear.source.close();
    });
  }

  async #takeBatch(ear: Ear, batch: readonly Heard[]): Promise<void> {
    const lost = batch.flatMap((heard) => (heard.kind === 'root' && !heard.came ? [heard] : []));
    if (ear.only) await this.#takeFiles(ear, ear.only, batch, lost);
    else await this.#take(ear, batch);
    if (lost.length === 0) return;
    const givens = lost.flatMap(({ root }) => this.#givensOf(ear, root.raw));
    await this.#hear(givens, true);
    await this.#waitForAbsent();
  }

  async #takeFiles(ear: Ear, only: Set<string>, batch: readonly Heard[], lost: readonly HeardRoot[]): Promise<void> {
    const isOther = (path: string) => lookAtRoot(this.#parts.kernel, Buffer.from(path, 'latin1')).is === 'directory';
    const replaced = [...only].filter(isOther);
    await this.#take(
      ear,
      batch.filter(({ kind }) => kind !== 'root'),
    );
    const gone = [...only].filter((path) => {
      const parent = parentOf(Buffer.from(path, 'latin1'));
      return lost.some(({ root }) => root.raw.equals(parent));
    });
    for (const path of new Set([...gone, ...replaced])) {
      ear.teller.settle();
      const raw = Buffer.from(path, 'latin1');
      if (this.#parts.names.isTold(raw))
        await this.#take(ear, [rootOf(ear.source, new ResolvedPath(raw, 'reading'), false)]);
      only.delete(path);
    }
    for (const path of replaced) await this.#hear([ear.givens.get(path) ?? Buffer.from(path, 'latin1')], true);
  }

  /** The paths, as they were given, that were heard through a directory. */
  #givensOf({ givens, only }: Ear, directory: Buffer): Buffer[] {
    if (!only) return [givens.get(directory.toString('latin1')) ?? directory];
    return [...givens].flatMap(([path, given]) => {
      return parentOf(Buffer.from(path, 'latin1')).equals(directory) ? [given] : [];
    });
  }

  async #take({ teller }: Ear, batch: readonly Heard[]): Promise<void> {
    if (batch.length === 0) return;
    this.#parts.heard();
    await teller.take(batch);
  }

  /** Waits where what is missing has to come into being. Marks first and looks then, so that nothing slips between. */
  async #waitForAbsent(): Promise<void> {
    for (;;) {
      const above = new Map<string, Buffer>();
      const came: Buffer[] = [];
      for (const given of this.#absent) {
        const root = lookAtRoot(this.#parts.kernel, given);
        if (root.is !== 'absent') came.push(given);
        else for (const directory of root.above) above.set(directory.toString('latin1'), directory);
      }
      if (came.length > 0) {
        await this.#hear(came, true);
        continue;
      }
      const places = [...above.keys()].sort().join('\0');
      if (places === this.#waitsIn) return;
      await this.#waitIn([...above.values()], places);
    }
  }

  async #waitIn(directories: readonly Buffer[], places: string): Promise<void> {
    const before = this.#waits;
    const options = { ...this.#parts.tree, recursive: false, ignore: [], by: false } as const;
    const source = directories.length === 0 ? undefined : await this.#open(directories, options, true);
    this.#waits = source;
    // What was there is gone again: look anew.
    this.#waitsIn = source || directories.length === 0 ? places : '';
    await before?.close();
    if (!source) return;
    if (!this.#isRef) source.unref();
    void this.#look(source).catch(this.#parts.fail);
  }

  async #look(source: TreeSource): Promise<void> {
    const look = () => this.#inTurn(() => this.#lookAgain(source));
    for await (const _ of source.batches()) {
      if (this.#isClosed || this.#waits !== source) return;
      await look();
    }
    if (!this.#isClosed && this.#waits === source) {
      this.#waitsIn = '';
      await look();
    }
  }

  async #lookAgain(source: TreeSource): Promise<void> {
    if (!this.#isClosed && this.#waits === source) await this.#waitForAbsent();
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}

function rootOf({ round }: TreeSource, root: ResolvedPath, came: boolean): HeardRoot {
  return { kind: 'root', round, came, root };
}

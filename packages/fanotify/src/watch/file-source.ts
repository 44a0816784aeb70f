// Hears single files: through the directories that they are in, so that a file that is replaced is heard as well.

import type { HandleKey } from '../identity/locator.ts';
import { parentOf, ResolvedPath } from '../identity/path.ts';
import type { Heard, Place, Source } from './source.ts';
import type { TreeSource } from './tree-source.ts';

/** Files that are heard. */
export class FileSource implements Source {
  readonly #tree: TreeSource;
  /** By directory as it is told: the names in it, in latin1. */
  readonly #names = new Map<string, Set<string>>();

  /** @param tree Directories that are heard without what is below. */
  constructor(tree: TreeSource) {
    this.#tree = tree;
  }

  /** Hears one more. Gives the path by which it is told. */
  async add(file: Buffer): Promise<ResolvedPath> {
    const directory = parentOf(file);
    await this.#tree.add([directory]);
    const place = this.#tree.placeOf(directory) ?? new ResolvedPath(directory, 'reading');
    const id = place.raw.toString('latin1');
    const names = this.#names.get(id) ?? new Set();
    names.add(nameOf(file));
    this.#names.set(id, names);
    return place.child(Buffer.from(nameOf(file), 'latin1'));
  }

  release(file: Buffer): void {
    const directory = parentOf(file);
    const id = this.#tree.placeOf(directory)?.raw.toString('latin1') ?? '';
    const names = this.#names.get(id);
    names?.delete(nameOf(file));
    if (names?.size !== 0) return;
    this.#names.delete(id);
    this.#tree.release([directory]);
  }

  get how(): 'filesystem' | 'inodes' {
    return this.#tree.how;
  }

  get because(): 'privilege' | 'filesystem' | undefined {
    return this.#tree.because;
  }

  get round(): number {
    return this.#tree.round;
  }

  readonly findsBelow = true;
  readonly tellsDirectories = false;

  async *batches(): AsyncGenerator<readonly Heard[], void, void> {
    for await (const batch of this.#tree.batches()) {
      const heard = batch.flatMap((each) => this.#filter(each));
      if (heard.length > 0) yield heard;
    }
  }

  #filter(heard: Heard): Heard[] {
    switch (heard.kind) {
      case 'entry':
        return this.#isWanted(heard.at) ? [heard] : [];
      case 'rename': {
        const from = this.#isWanted(heard.from) ? heard.from : undefined;
        const to = this.#isWanted(heard.to) ? heard.to : undefined;
        return from || to ? [{ ...heard, from, to }] : [];
      }
      case 'unplaced':
        return [];
      case 'loss':
        return [heard];
    }
  }

  #isWanted(place: Place | undefined): boolean {
    return (
      place !== undefined &&
      this.#names.get(place.path.raw.toString('latin1'))?.has(place.name.toString('latin1')) === true
    );
  }

  open(directory: HandleKey, path: ResolvedPath): number | 'gone' | 'elsewhere' {
    return this.#tree.open(directory, path);
  }

  isAt(directory: number, name: Buffer, key: HandleKey): boolean {
    return this.#tree.isAt(directory, name, key);
  }

  leadsTo(path: Buffer, key: HandleKey): boolean {
    return this.#tree.leadsTo(path, key);
  }

  isAlive(key: HandleKey): boolean | undefined {
    return this.#tree.isAlive(key);
  }

  taken(): void {
    this.#tree.taken();
  }

  isIdle(): boolean {
    return this.#tree.isIdle();
  }

  pathOf(directory: HandleKey): ResolvedPath | undefined {
    return this.#tree.pathOf(directory);
  }

  isInside(): boolean {
    return false;
  }

  excludes(): boolean {
    return false;
  }

  ref(): void {
    this.#tree.ref();
  }

  unref(): void {
    this.#tree.unref();
  }

  async close(): Promise<void> {
    await this.#tree.close();
  }
}

function nameOf(path: Buffer): string {
  return path.subarray(path.lastIndexOf(0x2f) + 1).toString('latin1');
}

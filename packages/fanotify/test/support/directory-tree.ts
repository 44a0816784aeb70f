// A tree of directories on a real file system and a model of it that knows the true path of everything at every moment, for
// holding the paths of events against.

import { closeSync, mkdirSync, openSync, renameSync, rmdirSync, rmSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { AT_FDCWD } from '../../src/abi/index.ts';
import { linuxKernel } from '../../src/kernel/index.ts';
import { exchange } from './exchange.ts';

/** One step; numbers choose among what there is when the step is taken, so that any sequence of steps makes sense. */
export type Step =
  | { readonly op: 'mkdir'; readonly in: number; readonly name: number }
  | { readonly op: 'rename'; readonly dir: number; readonly to: number; readonly name: number }
  | { readonly op: 'back'; readonly dir: number }
  | { readonly op: 'exchange'; readonly dir: number; readonly other: number }
  | { readonly op: 'rmdir'; readonly dir: number }
  | { readonly op: 'file'; readonly in: number }
  | { readonly op: 'read'; readonly reads: number };

const index = fc.nat(1000);
const name = fc.nat(3);

export const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ op: fc.constant('mkdir' as const), in: index, name }) },
    { weight: 5, arbitrary: fc.record({ op: fc.constant('rename' as const), dir: index, to: index, name }) },
    { weight: 3, arbitrary: fc.record({ op: fc.constant('back' as const), dir: index }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('exchange' as const), dir: index, other: index }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('rmdir' as const), dir: index }) },
    { weight: 6, arbitrary: fc.record({ op: fc.constant('file' as const), in: index }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('read' as const), reads: fc.integer({ min: 1, max: 3 }) }) },
  ),
  { minLength: 1, maxLength: 80, size: 'max' },
);

interface Directory {
  readonly handle: string;
  parent: Directory | undefined;
  name: string;
  /** Where it was before its last rename. */
  before: { parent: Directory; name: string } | undefined;
}

/** What happened to a file or directory, and the paths that it had then. */
export interface Truth {
  /** By name of file, each of which exists once: its path when it was made, and its directory. */
  readonly files: Map<string, { readonly path: string; readonly directory: Directory }>;
  /** By handle of directory. */
  readonly made: Map<string, string>;
  readonly renamed: Map<string, { readonly from: string; readonly to: string }[]>;
}

export class DirectoryTree {
  readonly truth: Truth = { files: new Map(), made: new Map(), renamed: new Map() };
  readonly #root: Directory;
  readonly #rootPath: string;
  #directories: Directory[] = [];
  #files = 0;
  /** Called with the path of each directory that is made. */
  onMade: ((path: string) => void) | undefined;

  constructor(rootPath: string) {
    this.#rootPath = rootPath;
    this.#root = { handle: handleOf(rootPath), parent: undefined, name: '', before: undefined };
  }

  /** The path of a directory now; undefined when it is gone. */
  pathOf(directory: Directory): string | undefined {
    if (directory === this.#root) return this.#rootPath;
    const parent = directory.parent && this.pathOf(directory.parent);
    return parent === undefined ? undefined : `${parent}/${directory.name}`;
  }

  /** The paths of all directories there are, parents first. */
  directories(): string[] {
    const paths = [this.#root, ...this.#directories].map((directory) => this.#path(directory));
    return paths.sort((a, b) => a.length - b.length);
  }

  /** Takes a step; false when it makes no sense now. */
  take(step: Exclude<Step, { op: 'read' }>): boolean {
    switch (step.op) {
      case 'mkdir':
        return this.#mkdir(this.#any(step.in, true), `d${step.name}`);
      case 'file':
        return this.#file(this.#any(step.in, true));
      case 'rmdir':
        return this.#rmdir(this.#any(step.dir, false));
      case 'rename':
        return this.#rename(this.#any(step.dir, false), this.#any(step.to, true), `d${step.name}`);
      case 'back': {
        const directory = this.#any(step.dir, false);
        if (!directory?.before) return false;
        return this.#rename(directory, directory.before.parent, directory.before.name);
      }
      case 'exchange':
        return this.#exchange(this.#any(step.dir, false), this.#any(step.other, false));
    }
  }

  #any(number: number, orRoot: boolean): Directory | undefined {
    const choices = orRoot ? [this.#root, ...this.#directories] : this.#directories;
    return choices[number % choices.length];
  }

  #path(directory: Directory): string {
    const path = this.pathOf(directory);
    if (path === undefined) throw new Error('a directory that is gone');
    return path;
  }

  #mkdir(parent: Directory | undefined, name: string): boolean {
    if (!parent || this.#child(parent, name) || this.#depth(parent) > 6) return false;
    const path = `${this.#path(parent)}/${name}`;
    mkdirSync(path);
    const directory: Directory = { handle: handleOf(path), parent, name, before: undefined };
    this.#directories.push(directory);
    this.truth.made.set(directory.handle, path);
    this.onMade?.(path);
    return true;
  }

  #file(directory: Directory | undefined): boolean {
    if (!directory) return false;
    const name = `f${this.#files++}`;
    const path = `${this.#path(directory)}/${name}`;
    closeSync(openSync(path, 'w'));
    unlinkSync(path);
    this.truth.files.set(name, { path, directory });
    return true;
  }

  #rmdir(directory: Directory | undefined): boolean {
    if (!directory || this.#directories.some(({ parent }) => parent === directory)) return false;
    rmdirSync(this.#path(directory));
    this.#gone(directory);
    return true;
  }

  #rename(directory: Directory | undefined, parent: Directory | undefined, name: string): boolean {
    if (!directory || !parent || this.pathOf(parent) === undefined || this.#isWithin(parent, directory)) return false;
    if (this.#depth(parent) > 6) return false;
    const there = this.#child(parent, name);
    if (there === directory) return false;
    if (there && this.#directories.some((other) => other.parent === there)) return false;
    const from = this.#path(directory);
    const to = `${this.#path(parent)}/${name}`;
    renameSync(from, to);
    if (there) this.#gone(there);
    this.#moved(directory, parent, name, from, to);
    return true;
  }

  #exchange(a: Directory | undefined, b: Directory | undefined): boolean {
    if (!a || !b || this.#isWithin(a, b) || this.#isWithin(b, a) || !a.parent || !b.parent) return false;
    const [pathA, pathB] = [this.#path(a), this.#path(b)];
    if (!exchange(pathA, pathB)) return false;
    const [parent, name] = [b.parent, b.name];
    this.#moved(b, a.parent, a.name, pathB, pathA);
    this.#moved(a, parent, name, pathA, pathB);
    return true;
  }

  #moved(directory: Directory, parent: Directory, name: string, from: string, to: string): void {
    if (directory.parent) directory.before = { parent: directory.parent, name: directory.name };
    directory.parent = parent;
    directory.name = name;
    const renamed = this.truth.renamed.get(directory.handle) ?? [];
    renamed.push({ from, to });
    this.truth.renamed.set(directory.handle, renamed);
  }

  #gone(directory: Directory): void {
    this.#directories = this.#directories.filter((other) => other !== directory);
    directory.parent = undefined;
  }

  #child(parent: Directory, name: string): Directory | undefined {
    return this.#directories.find((directory) => directory.parent === parent && directory.name === name);
  }

  #isWithin(directory: Directory | undefined, ancestor: Directory): boolean {
    for (let at = directory; at; at = at.parent) if (at === ancestor) return true;
    return false;
  }

  #depth(directory: Directory): number {
    return directory.parent ? 1 + this.#depth(directory.parent) : 0;
  }

  /** Removes everything. */
  clear(): void {
    for (const directory of this.#directories.filter(({ parent }) => parent === this.#root)) {
      rmSync(join(this.#rootPath, directory.name), { recursive: true });
    }
    this.#directories = [];
  }
}

/** An object's `struct file_handle` as hexadecimal text. */
export function handleOf(path: string): string {
  return linuxKernel().nameToHandleAt(AT_FDCWD, path, 0).handle.subarray(8).toString('hex');
}

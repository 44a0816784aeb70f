// The machine that this runs on, for sequences: as LinuxMachine, but the other processes and the file system stay from one
// sequence to the next, and groups are closed beside the next one.

import { close, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { AT_FDCWD, AT_HANDLE_FID } from '../../src/abi/index.ts';
import type { Kernel } from '../../src/kernel/index.ts';
import type { Fixture, Operation, Outcome } from '../conformance/case.ts';
import { mountScratch, type ScratchFilesystem } from '../conformance/filesystems.ts';
import { withLimit } from '../conformance/limit.ts';
import type { ChildRun, Machine } from '../conformance/machine.ts';
import { Operator, setEffectiveUid } from '../conformance/operations.mjs';
import { smallestProgram } from '../conformance/program.ts';
import { mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { type OtherProcess, OtherProcesses } from './other-processes.ts';
import { NOT_OPEN, STRANGER } from './world.ts';

// close(2) of a group waits for a grace period of SRCU, which costs no time of a processor: as many at once as libuv has threads.
const MOST_CLOSING = 24;

export class FastMachine implements Machine {
  readonly kernel: Kernel;
  readonly filesystem: string;
  /** A tmpfs under everything: should a sequence unmount what it happens on, its marks are on this and hold nobody else. */
  readonly #floor: ScratchMount = mountTmpfs(256 * 1024 * 1024);
  readonly #scratch: ScratchFilesystem;
  readonly #program: string = join(this.#floor.path, 'program');
  readonly #operator = new Operator(NOT_OPEN);
  readonly #others: OtherProcesses;
  readonly #named = new Map<string, OtherProcess>();
  readonly #placeholders: ReadonlyArray<readonly [string, string]>;
  readonly #mountId: number;
  #mayHaveMounts = false;
  #closing = 0;
  #onClosed: (() => void) | undefined;

  constructor(kernel: Kernel, filesystem: string) {
    this.kernel = kernel;
    this.filesystem = filesystem;
    this.#scratch = mountScratch(filesystem, this.#floor.path);
    this.#mountId = this.#rootMountId();
    writeFileSync(this.#program, smallestProgram());
    this.#others = new OtherProcesses(kernel, this.#floor.path);
    this.#placeholders = [
      ['$M', this.#scratch.path],
      ['$B', this.#scratch.bindPath],
      ['$T', this.#scratch.tmpfsPath],
    ];
  }

  missing(): string | undefined {
    return undefined;
  }

  begin(fixture: readonly Fixture[]): void {
    const { path, tmpfsPath } = this.#scratch;
    const make = fixture.flatMap((item) => this.#make(item));
    const wipe = [path, tmpfsPath].map((place) => ({ op: 'wipe', path: place }));
    const unmount = this.#mayHaveMounts ? [{ op: 'unmountBelow', path: dirname(path) }] : [];
    this.#mayHaveMounts = false;
    const operations: Operation[] = [{ op: 'reset' }, ...wipe, ...make];
    this.#other('B').run([{ op: 'reset' }, ...unmount]);
    if (this.#rootMountId() !== this.#mountId) throw new Error('a sequence has unmounted what it happened on');
    const outcomes = this.#other('A').run(operations);
    const wrong = outcomes.findIndex((outcome) => outcome !== 'ok');
    if (wrong !== -1) throw new Error(`${JSON.stringify(operations[wrong])}: ${outcomes[wrong]}`);
  }

  end(): void {
    setEffectiveUid(0);
    this.#operator.closeAll();
  }

  #rootMountId(): number {
    return this.kernel.nameToHandleAt(AT_FDCWD, this.#scratch.path, AT_HANDLE_FID).mountId;
  }

  dispose(): void {
    this.end();
    for (const other of this.#named.values()) other.kill();
    this.#others.stop();
    this.#scratch.unmount();
    this.#floor.unmount();
  }

  resolve(path: string): string {
    if (!path.includes('$')) return path;
    let resolved = path;
    for (const [placeholder, place] of this.#placeholders) resolved = resolved.replaceAll(placeholder, place);
    return resolved;
  }

  label(path: string): string {
    for (const [placeholder, place] of this.#placeholders) {
      if (path === place || path.startsWith(`${place}/`)) return placeholder + path.slice(place.length);
    }
    return path;
  }

  operate(operation: Operation): Outcome {
    this.#note(operation);
    return this.#operator.run(operation);
  }

  descriptor(name: string): number {
    return this.#operator.descriptor(name);
  }

  startChild(operations: readonly Operation[], _userns?: unknown, name = 'A'): ChildRun {
    const other = this.#other(name);
    for (const operation of operations) this.#note(operation);
    other.start(operations);
    return other;
  }

  #note({ op }: Operation): void {
    if (op === 'mountTmpfs' || op === 'bind' || op === 'bindSelf') this.#mayHaveMounts = true;
  }

  setEffectiveUid(uid: number | string): void {
    setEffectiveUid(0);
    setEffectiveUid(typeof uid === 'number' ? uid : STRANGER);
  }

  limitDescriptors(): void {
    throw new Error('no sequence limits descriptors');
  }

  withLimit<T>(name: string, value: number, call: () => T): T {
    return withLimit(this.kernel, name, value, call);
  }

  /** Closes a group without marks and held accesses, sometime soon. */
  closeLater(fd: number): void {
    this.#closing++;
    close(fd, () => {
      this.#closing--;
      this.#onClosed?.();
    });
  }

  /** Between sequences: lets groups be closed. */
  async rest(): Promise<void> {
    while (this.#closing > MOST_CLOSING) {
      await new Promise<void>((resolve) => {
        this.#onClosed = resolve;
      });
    }
    await new Promise((resolve) => setImmediate(resolve));
  }

  #other(name: string): OtherProcess {
    const before = this.#named.get(name);
    if (before?.isAlive) return before;
    const other = this.#others.start();
    this.#named.set(name, other);
    return other;
  }

  #make({ kind, path, to, size, mode }: Fixture): Operation[] {
    const target = this.resolve(path);
    const chmod = mode === undefined ? [] : [{ op: 'chmod', path: target, mode }];
    switch (kind) {
      case 'dir':
        return [{ op: 'mkdir', path: target }, ...chmod];
      case 'file':
        return [{ op: 'fill', path: target, size: size ?? 1 }, ...chmod];
      case 'link':
        return [{ op: 'link', path: this.resolve(to ?? ''), to: target }];
      case 'symlink':
        return [{ op: 'symlink', path: target, to: this.resolve(to ?? '') }];
      case 'program':
        return [{ op: 'copy', from: this.#program, path: target }, ...chmod];
      default:
        throw new Error(`no sequence has a ${kind}`);
    }
  }
}

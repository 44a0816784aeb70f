// The machine that this runs on: a scratch file system mounted for it, and other processes that are Node's own.

import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type { Kernel } from '../../src/kernel/index.ts';
import type { Fixture, Operation, Outcome } from './case.ts';
import type { ScratchFilesystem } from './filesystems.ts';
import { withLimit } from './limit.ts';
import type { ChildRun, Machine } from './machine.ts';
import { getDescriptorLimit, Operator, pageSize, setDescriptorLimit, setEffectiveUid } from './operations.mjs';
import { OtherProcess } from './other-process.ts';
import { smallestProgram } from './program.ts';

export class LinuxMachine implements Machine {
  readonly kernel: Kernel;
  readonly filesystem: string;
  readonly #scratch: ScratchFilesystem;
  readonly #operator = new Operator();
  /** Processes that have done nothing yet: each child of a case is one of its own, as its events would merge otherwise. */
  #idle: OtherProcess[] = [];
  #used: OtherProcess[] = [];
  /** Those that have names in the case. */
  readonly #processes = new Map<string, OtherProcess>();
  readonly #placeholders: ReadonlyArray<readonly [string, string]>;
  #descriptorLimit: bigint | undefined;
  #uid: number | undefined;
  readonly #named = new Map<string, number>();

  constructor(kernel: Kernel, scratch: ScratchFilesystem) {
    this.kernel = kernel;
    this.filesystem = scratch.type;
    this.#scratch = scratch;
    this.#placeholders = [
      ['$M', scratch.path],
      ['$B', scratch.bindPath],
      ['$T', scratch.tmpfsPath],
    ];
    this.#ensureIdle(2);
  }

  missing(requirement: string): string | undefined {
    const [word, argument = ''] = requirement.split(':', 2);
    switch (word) {
      case 'drop_caches':
        return writable('/proc/sys/vm/drop_caches') ? undefined : 'needs a writable /proc/sys/vm/drop_caches';
      case 'trigger_fs_error':
        return writable(this.resolve('/sys/fs/ext4/$D/trigger_fs_error')) ? undefined : 'needs trigger_fs_error';
      case 'userns':
        return this.#scratch.hasUserNamespaces ? undefined : 'needs user namespaces';
      case 'default_limits':
        return this.#limit('max_queued_events') === 16_384 && this.#limit('max_user_groups') <= 1024
          ? undefined
          : 'needs the default limits of /proc/sys/fs/fanotify';
      case 'page_4096':
        return pageSize() === 4096 ? undefined : 'needs pages of 4096 bytes';
      case 'path':
        return argument.startsWith('$') || existsSync(argument) ? undefined : `needs ${argument}`;
      default:
        return `needs ${requirement}, which this replayer does not know`;
    }
  }

  #limit(name: string): number {
    return Number(readFileSync(`/proc/sys/fs/fanotify/${name}`, 'utf8'));
  }

  begin(fixture: readonly Fixture[], children: number): void {
    this.end();
    this.#scratch.wipe();
    for (const item of fixture) this.#make(item);
    this.#ensureIdle(children);
    // Those that are to be used have started before any group is there for them to inherit.
    for (const other of this.#idle) other.ready();
  }

  end(): void {
    if (this.#uid !== undefined) setEffectiveUid(this.#uid);
    this.#uid = undefined;
    if (this.#descriptorLimit !== undefined) setDescriptorLimit(this.#descriptorLimit);
    this.#descriptorLimit = undefined;
    this.#operator.closeAll();
    for (const other of this.#used) if (!other.reset()) other.stop();
    this.#idle.push(...this.#used.filter((other) => other.alive));
    this.#used = [];
    this.#processes.clear();
    // A replacement starts while the next cases run.
    this.#ensureIdle(1);
  }

  /** Ends the other processes. The machine is of no use after it. */
  dispose(): void {
    this.end();
    for (const other of this.#idle) other.stop();
    this.#idle = [];
  }

  resolve(path: string): string {
    let resolved = path.replaceAll('$D', this.#scratch.device ?? '$D');
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
    return this.#operator.run(operation);
  }

  descriptor(name: string): number {
    return this.#operator.descriptor(name);
  }

  startChild(operations: readonly Operation[], userns?: Readonly<Record<string, number>>, name?: string): ChildRun {
    const before = name === undefined ? undefined : this.#processes.get(name);
    if (before?.alive) {
      before.start(operations);
      return before;
    }
    const other = userns === undefined ? this.#idle.shift() : new OtherProcess(this.kernel, userns);
    if (other === undefined) throw new Error('more children than begin() was told of');
    this.#used.push(other);
    other.ready();
    other.start(operations);
    if (name !== undefined) this.#processes.set(name, other);
    other.isWaitedFor = name !== undefined;
    return other;
  }

  setEffectiveUid(uid: number | string): void {
    this.#uid ??= process.geteuid?.() ?? 0;
    // Only by way of the user that it really is can it become a second other one.
    setEffectiveUid(this.#uid);
    setEffectiveUid(typeof uid === 'number' ? uid : this.#stranger(uid));
  }

  /** A user of this process alone: limits are per user, and other tests may run at the same time. */
  #stranger(name: string): number {
    const index = this.#named.get(name) ?? this.#named.size;
    this.#named.set(name, index);
    return 1_500_000_000 + process.pid * 8 + index;
  }

  withLimit<T>(name: string, value: number, call: () => T): T {
    return withLimit(this.kernel, name, value, call);
  }

  limitDescriptors(spare: number): void {
    this.#descriptorLimit ??= getDescriptorLimit();
    setDescriptorLimit(this.#descriptorLimit);
    // RLIMIT_NOFILE bounds the number of a new descriptor, not how many there are: find the one after `spare` free ones.
    const open = Array.from({ length: spare + 1 }, () => openSync('/dev/null', 'r'));
    for (const fd of open) closeSync(fd);
    setDescriptorLimit(BigInt(open.at(-1) ?? 0));
  }

  #ensureIdle(count: number): void {
    while (this.#idle.length < count) this.#idle.push(new OtherProcess(this.kernel));
  }

  #make({ kind, path, to, size, mode, count }: Fixture): void {
    for (let i = 0; i < (count ?? 1); i++) {
      const target = this.resolve(path).replace('%d', String(i));
      if (kind === 'symlink') {
        symlinkSync(this.resolve(to ?? ''), target);
        continue;
      }
      if (kind === 'link') {
        linkSync(this.resolve(to ?? ''), target);
        continue;
      }
      const isDirectory = kind === 'dir' || kind === 'dirs';
      if (isDirectory) mkdirSync(target, { recursive: true });
      else if (kind === 'exec') copyFileSync('/bin/true', target);
      else if (kind === 'program') writeFileSync(target, smallestProgram());
      else writeFileSync(target, '1'.repeat(size ?? 1));
      // Whatever the umask.
      const bits = typeof mode === 'string' ? Number.parseInt(mode, 8) : mode;
      chmodSync(target, bits ?? (isDirectory || kind === 'exec' || kind === 'program' ? 0o755 : 0o644));
    }
  }
}

function writable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

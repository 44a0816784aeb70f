// A held access as rules see it: each thing is looked up when a rule first asks for it, and once.

import { AT_EMPTY_PATH, AT_FDCWD, O_CLOEXEC, O_PATH } from '../../abi/index.ts';
import type { ProcessStat, ProcFiles } from '../../identity/proc-files.ts';
import { type Kernel, KernelError } from '../../kernel/index.ts';
import type { PermissionEventName } from '../verdict.ts';
import type { FoundPlace, PlaceFinder } from './places.ts';
import type { FileFacts, Place, Subject } from './subject.ts';

const DEEPEST = 64;

/** What the kernel has told of an access. */
export interface Held {
  readonly fd: number;
  readonly pid: number;
  readonly kind: PermissionEventName;
}

/** Where subjects look things up. */
export interface SubjectSight {
  readonly kernel: Kernel;
  readonly files: ProcFiles;
  readonly places: PlaceFinder;
}

/** A program that a process runs, or none that can be told. */
const NO_PROGRAM: FoundPlace = { place: { state: 'unknown', path: null }, raw: null, deleted: false };

export class AccessSubject implements Subject {
  readonly #sight: SubjectSight;
  readonly #access: Held;
  #foundPlace: FoundPlace | undefined;
  #foundFile: FileFacts | null | undefined;
  #foundExe: FoundPlace | undefined;
  #foundUser: Subject['user'] | null;
  #foundAncestors: readonly FoundPlace[] | undefined;
  #foundContainer: { readonly value: Subject['container'] } | undefined;
  #foundStat: { readonly value: ProcessStat | undefined } | undefined;
  sha256: string | null | undefined = undefined;

  constructor(sight: SubjectSight, access: Held) {
    this.#sight = sight;
    this.#access = access;
  }

  get kind(): PermissionEventName {
    return this.#access.kind;
  }

  get pid(): number {
    return this.#access.pid;
  }

  get place(): Place {
    return this.foundPlace.place;
  }

  get foundPlace(): FoundPlace {
    this.#foundPlace ??= this.#sight.places.find(this.#access.fd, this.#access.pid);
    return this.#foundPlace;
  }

  get file(): FileFacts | undefined {
    if (this.#foundFile === undefined) this.#foundFile = this.#readFile();
    return this.#foundFile ?? undefined;
  }

  get exe(): Place {
    return this.foundExe.place;
  }

  get foundExe(): FoundPlace {
    this.#foundExe ??= this.#programOf(this.#access.pid);
    return this.#foundExe;
  }

  get user(): Subject['user'] {
    if (this.#foundUser === undefined) this.#foundUser = this.#sight.files.credentials(this.#access.pid) ?? null;
    return this.#foundUser ?? undefined;
  }

  get ancestors(): readonly Place[] {
    return this.foundAncestors.map(({ place }) => place);
  }

  get foundAncestors(): readonly FoundPlace[] {
    this.#foundAncestors ??= this.#readAncestors();
    return this.#foundAncestors;
  }

  get container(): Subject['container'] {
    this.#foundContainer ??= { value: this.#readContainer() };
    return this.#foundContainer.value;
  }

  /** Its name; undefined when it cannot be told. */
  get comm(): Buffer | undefined {
    return this.stat?.rawComm;
  }

  /** Undefined when there is none that could be told of, as of a process in another PID namespace. */
  get stat(): ProcessStat | undefined {
    const { pid } = this.#access;
    this.#foundStat ??= { value: pid > 0 ? this.#sight.files.stat(pid) : undefined };
    return this.#foundStat.value;
  }

  #readFile(): FileFacts | null {
    try {
      const { uid, gid, mode, sizeBytes } = this.#sight.kernel.statAt(this.#access.fd, '', AT_EMPTY_PATH);
      return { uid, gid, mode, sizeBytes: Number(sizeBytes) };
    } catch (error) {
      if (error instanceof KernelError) return null;
      throw error;
    }
  }

  #programOf(pid: number): FoundPlace {
    const { kernel, files, places } = this.#sight;
    if (pid <= 0 || !files.isOwn) return NO_PROGRAM;
    let fd = -1;
    try {
      fd = kernel.openAt(AT_FDCWD, `/proc/${pid}/exe`, O_PATH | O_CLOEXEC);
      return places.find(fd, pid);
    } catch (error) {
      if (error instanceof KernelError) return NO_PROGRAM;
      throw error;
    } finally {
      if (fd >= 0) kernel.close(fd);
    }
  }

  #readAncestors(): readonly FoundPlace[] {
    const ancestors: FoundPlace[] = [];
    // Whose parent cannot be told may be anybody's child.
    if (!this.stat) return [NO_PROGRAM];
    for (let young = this.stat; young.ppid > 0 && ancestors.length < DEEPEST; ) {
      const stat = this.#sight.files.stat(young.ppid);
      // Whoever has the number and is younger than the child is not its parent.
      if (!stat || stat.startedMs > young.startedMs) break;
      ancestors.push(this.#programOf(young.ppid));
      young = stat;
    }
    return ancestors;
  }

  #readContainer(): Subject['container'] {
    const { container } = this.#sight.files.origin(this.#access.pid);
    return container ? { id: container.id, runtime: container.runtime } : container;
  }
}

/** A subject by another name. */
export class RenamedSubject implements Subject {
  readonly place: Place;
  readonly #subject: Subject;

  constructor(subject: Subject, place: Place) {
    this.#subject = subject;
    this.place = place;
  }

  get kind(): PermissionEventName {
    return this.#subject.kind;
  }

  get file(): FileFacts | undefined {
    return this.#subject.file;
  }

  get exe(): Place {
    return this.#subject.exe;
  }

  get user(): Subject['user'] {
    return this.#subject.user;
  }

  get ancestors(): readonly Place[] {
    return this.#subject.ancestors;
  }

  get container(): Subject['container'] {
    return this.#subject.container;
  }

  get sha256(): string | null | undefined {
    return this.#subject.sha256;
  }
}

// What handles and mounts are called: by where they were made, else by when they were first seen.

import { AT_FDCWD, AT_HANDLE_FID, AT_HANDLE_MNT_ID_UNIQUE, type Fsid } from '../../src/abi/index.ts';
import type { ExpectedEvent, ExpectedRecord, Operation } from '../conformance/case.ts';
import type { Machine } from '../conformance/machine.ts';
import { handleName, newVocabulary, UNNAMED, type Vocabulary } from '../conformance/observe.ts';
import { isRefusal } from './refusal.ts';
import { WORLD } from './world.ts';

const PLACES = ['$M', '$B', '$T'];

export class Naming {
  readonly words: Vocabulary = newVocabulary();
  readonly #machine: Machine;
  readonly #unnamed = new Map<string, string>();
  readonly #times = new Map<string, number>();
  #fsids = new Map<string, Fsid>();

  constructor(machine: Machine) {
    this.#machine = machine;
    for (const place of PLACES) this.#nameMount(place);
    for (const { kind, path } of WORLD) if (kind !== 'link') this.#nameObject(path);
  }

  /** Names what these operations have made, as far as it is still there. */
  made(operations: readonly Operation[]): void {
    for (const { op, path, to, flags } of operations) {
      switch (op) {
        case 'open':
        case 'openclose':
          if (flags?.includes('O_CREAT')) this.#nameObject(path);
          break;
        case 'mkdir':
        case 'mknod':
        case 'symlink':
        case 'put':
          this.#nameObject(path);
          break;
        case 'mountTmpfs':
        case 'bindSelf':
          this.#nameMount(path);
          break;
        case 'bind':
          this.#nameMount(to);
          break;
      }
    }
  }

  /** An event in which whatever has no name is numbered. */
  event(event: ExpectedEvent): ExpectedEvent {
    if (event.path !== undefined) return { ...event, path: event.path.replace(/\/#\d+ \(deleted\)$/, '/# (deleted)') };
    if (event.info === undefined) return event;
    return { ...event, info: event.info.map((record) => this.#record(record)) };
  }

  #record(record: ExpectedRecord): ExpectedRecord {
    // d_tmpfile: a file without a name is called by its number.
    if (record.name !== undefined && /^#\d+$/.test(record.name)) return this.#record({ ...record, name: '#' });
    if (record.object?.startsWith(UNNAMED)) return { ...record, object: this.#number(record.object) };
    if (record.mount?.startsWith(UNNAMED)) return { ...record, mount: this.#number(record.mount) };
    return record;
  }

  #number(text: string): string {
    const known = this.#unnamed.get(text);
    if (known !== undefined) return known;
    const name = `${UNNAMED} ${this.#unnamed.size + 1}`;
    this.#unnamed.set(text, name);
    return name;
  }

  #nameMount(label: string | undefined): void {
    if (label === undefined) return;
    const { kernel } = this.#machine;
    const path = this.#machine.resolve(label);
    try {
      const { mountId } = kernel.nameToHandleAt(AT_FDCWD, path, AT_HANDLE_FID | AT_HANDLE_MNT_ID_UNIQUE);
      if (this.words.mounts.has(BigInt(mountId))) return;
      const name = this.#unique(label);
      this.words.mounts.set(BigInt(mountId), name);
      // Anything below may now be on another file system.
      this.#fsids = new Map();
      this.#nameObject(label);
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
  }

  #nameObject(label: string | undefined): void {
    if (label === undefined) return;
    const path = this.#machine.resolve(label);
    try {
      const { handle, mountId } = this.#machine.kernel.nameToHandleAt(AT_FDCWD, path, AT_HANDLE_FID);
      const name = handleName(this.#fsid(mountId, path), { type: handle.readInt32LE(4), bytes: handle.subarray(8) });
      if (!this.words.handles.has(name)) this.words.handles.set(name, this.#unique(label));
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
  }

  #fsid(mountId: number, path: string): Fsid {
    const known = this.#fsids.get(`${mountId}`);
    if (known !== undefined) return known;
    const { fsid } = this.#machine.kernel.statfs(path);
    this.#fsids.set(`${mountId}`, fsid);
    return fsid;
  }

  /** The second at the same place is called '$M/f (2)'. */
  #unique(label: string): string {
    const times = (this.#times.get(label) ?? 0) + 1;
    this.#times.set(label, times);
    return times === 1 ? label : `${label} (${times})`;
  }
}

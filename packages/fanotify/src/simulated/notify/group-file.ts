// A group as an open file: what its descriptor can do.

import { FAN_EVENT_METADATA_LEN, FAN_NONBLOCK } from '../../abi/constants.ts';
import { O_NONBLOCK, O_RDWR } from '../../abi/fcntl.ts';
import type { OpenFile, SpecialOperations } from '../files/objects.ts';
import { makeSpecialFile } from '../files/open-file.ts';
import type { System } from '../system.ts';
import type { Blocking } from '../wait.ts';
import type { EventDescriptors } from './event-descriptors.ts';
import { fdinfoOf } from './fdinfo.ts';
import type { Group } from './group.ts';
import { destroyMarksOfGroup } from './mark-life.ts';
import { allowAll } from './permission.ts';
import { readGroup } from './read.ts';
import { respond } from './response.ts';

const POLLIN = 1;

export class GroupOperations implements SpecialOperations {
  readonly label = 'anon_inode:[fanotify]';
  readonly group: Group;
  readonly #system: System;
  readonly #descriptors: EventDescriptors;

  constructor(system: System, group: Group, descriptors: EventDescriptors) {
    this.group = group;
    this.#system = system;
    this.#descriptors = descriptors;
  }

  read(buffer: Uint8Array, isBlocking: boolean): Blocking<number> {
    return readGroup(this.#system, this.group, this.#descriptors, buffer, isBlocking);
  }

  // biome-ignore lint/correctness/useYield: an answer never waits, but write(2) may.
  *write(bytes: Uint8Array): Blocking<number> {
    return respond(this.#system, this.group, bytes);
  }

  poll(): number {
    return this.group.queue.first === undefined ? 0 : POLLIN;
  }

  /** The records are not counted. */
  waitingBytes(): number {
    return this.group.queue.length * FAN_EVENT_METADATA_LEN;
  }

  fdinfo(): string {
    return fdinfoOf(this.group);
  }

  /** fanotify_release: what is held goes on, and the marks go. */
  release(): void {
    const { group } = this;
    group.queue.shut();
    allowAll(this.#system, group);
    destroyMarksOfGroup(group);
    group.counts.remove(group.user, 'groups');
  }
}

/** The open file of a new group. */
export function openGroup(system: System, group: Group, descriptors: EventDescriptors): OpenFile {
  const flags = O_RDWR | ((group.flags & FAN_NONBLOCK) === 0 ? 0 : O_NONBLOCK);
  return makeSpecialFile(system, flags, new GroupOperations(system, group, descriptors));
}

/** The group that an open file is; undefined for any other file. */
export function groupOf({ operations }: OpenFile): Group | undefined {
  return operations instanceof GroupOperations ? operations.group : undefined;
}

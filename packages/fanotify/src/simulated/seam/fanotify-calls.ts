// fanotify_init(2) and fanotify_mark(2) as a task makes them: notify/ does them, with descriptors and paths from here.

import { FAN_CLOEXEC } from '../../abi/constants.ts';
import { O_CLOEXEC } from '../../abi/fcntl.ts';
import { breakLease } from '../files/lease.ts';
import { closeFile, openQuietly } from '../files/open-file.ts';
import { walk } from '../files/walk.ts';
import type { EventDescriptors } from '../notify/event-descriptors.ts';
import type { Fsnotify } from '../notify/fsnotify.ts';
import { fanotifyInit } from '../notify/init.ts';
import { fanotifyMark } from '../notify/mark-call.ts';
import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import {
  addDescriptor,
  close,
  fileOf,
  findDescriptor,
  installDescriptor,
  reserveDescriptor,
  unreserveDescriptor,
} from '../tasks/descriptors.ts';
import { pidfdFile } from '../tasks/pidfd.ts';

export class FanotifyCalls {
  readonly #system: System;
  readonly #fsnotify: Fsnotify;
  readonly #descriptors: EventDescriptors;

  constructor(system: System, fsnotify: Fsnotify) {
    this.#system = system;
    this.#fsnotify = fsnotify;
    this.#descriptors = {
      *openQuietly(path, flags) {
        const fd = reserveDescriptor(system);
        let isOpen = false;
        try {
          const { inode } = path.dentry;
          if (inode.leases !== undefined) yield* breakLease(system, inode, flags);
          installDescriptor(system, fd, openQuietly(path, flags), (flags & O_CLOEXEC) !== 0);
          isOpen = true;
          return fd;
        } finally {
          if (!isOpen) unreserveDescriptor(system, fd);
        }
      },
      openPidfd: (process) => addDescriptor(system, pidfdFile(system, process), true),
      close: (fd) => close(system, fd),
    };
  }

  init(flags: number, eventFlags: number): number {
    const file = fanotifyInit(this.#fsnotify, flags, eventFlags, this.#descriptors);
    try {
      return addDescriptor(this.#system, file, (flags & FAN_CLOEXEC) !== 0);
    } catch (error) {
      closeFile(this.#system, file);
      throw error;
    }
  }

  mark(fd: number, flags: number, mask: bigint, dirfd: number, path: string | null): void {
    const system = this.#system;
    fanotifyMark(system, findDescriptor(system.current.process, fd)?.file, flags, mask, (how) => {
      if (path === null) {
        // AT_FDCWD is none, whatever fanotify_mark(2) says, nor is one of O_PATH.
        const { path: place } = fileOf(system, dirfd);
        if (how.onlyDirectory && place.dentry.inode.type !== 'directory') refuse('ENOTDIR');
        return place;
      }
      return walk(system, dirfd, path, { follows: how.followsLinks, onlyDirectory: how.onlyDirectory });
    });
  }
}

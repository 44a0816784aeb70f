// The system calls of Unix sockets: which descriptor is which socket, where one is bound, and what goes along with messages.

import type { PeekedMessage, ReceivedMessage } from '../../kernel/kernel.ts';
import { chmod } from '../files/attributes.ts';
import { makeEntry } from '../files/create.ts';
import { AT_FDCWD, O_NONBLOCK, O_RDWR } from '../files/flags.ts';
import type { Inode, OpenFile } from '../files/objects.ts';
import { closeFile, makeSpecialFile } from '../files/open-file.ts';
import { capable, isPermitted, MAY_WRITE } from '../files/permission.ts';
import { makeInode, makeRoot } from '../files/superblock.ts';
import { walk, walkToParent } from '../files/walk.ts';
import { Refusal, refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { addDescriptor, fileOf, fileOrPathOf } from '../tasks/descriptors.ts';
import { type Received, type SocketCredentials, type SocketType, UnixSocket } from './unix-socket.ts';
import type { Wakeups } from './wakeups.ts';

const BACKLOG = 1024;
/** unix(7): sun_path without the zero at its end. */
const MOST_SUN_PATH = 107;

export class UnixCalls {
  readonly #system: System;
  readonly #wakeups: Wakeups;
  readonly #bound = new WeakMap<Inode, UnixSocket>();
  /** By user: open files that are in messages. */
  readonly #inFlight = new Map<number, number>();

  constructor(system: System, wakeups: Wakeups) {
    this.#system = system;
    this.#wakeups = wakeups;
  }

  pair(): readonly [number, number] {
    const one = this.#make('seqpacket', this.#credentials());
    const other = this.#make('seqpacket', this.#credentials());
    one.join(other);
    const fd = this.#install(one, 0);
    try {
      return [fd, this.#install(other, 0)];
    } catch (error) {
      closeFile(this.#system, fileOf(this.#system, fd));
      throw error;
    }
  }

  connect(path: string, type: SocketType): number {
    checkLength(path);
    const from = this.#make(type, this.#credentials(), true);
    const to = this.#listening(path);
    to.connect(from, this.#make(type, to.credentials));
    return this.#install(from, O_NONBLOCK);
  }

  listen(path: string, mode: number): number {
    checkLength(path);
    const system = this.#system;
    const socket = this.#make('seqpacket', this.#credentials());
    const walker = walkToParent(system, AT_FDCWD, path);
    if (walker.kind !== 'normal' || walker.lookup() !== undefined) refuse('EADDRINUSE');
    const dentry = makeEntry(system, walker.here(), walker.last, 'socket', { mode: 0o777 });
    this.#bound.set(dentry.inode, socket);
    chmod(system, path, mode);
    socket.listen(BACKLOG);
    return this.#install(socket, O_NONBLOCK);
  }

  accept(fd: number): number {
    const socket = this.#socketOf(fd);
    return this.#install(socket.accept(), O_NONBLOCK);
  }

  /** Nobody has a datagram socket on this machine: whatever is at the path takes none. */
  sendDatagram(path: string): void {
    checkLength(path);
    // A name in the abstract namespace.
    if (path.charCodeAt(0) === 0) refuse('ECONNREFUSED');
    this.#listening(path);
    refuse('EPROTOTYPE');
  }

  peerOf(fd: number): SocketCredentials {
    // As getsockopt(2) of one that is not connected: pid 0, and nobody's ids.
    return this.#socketOf(fd).peer ?? { pid: 0, uid: 0xffff_ffff, gid: 0xffff_ffff, groups: [] };
  }

  unsentBytes(fd: number): number {
    return this.#socketOf(fd).unsentBytes;
  }

  send(fd: number, bytes: Uint8Array, descriptors: readonly number[]): number {
    const system = this.#system;
    const socket = this.#socketOf(fd);
    const files = descriptors.map((descriptor) => fileOrPathOf(system, descriptor));
    this.#count(files.length);
    for (const file of files) file.references++;
    try {
      return socket.send(bytes, files, this.#credentials());
    } catch (error) {
      for (const file of files) this.#drop(file, this.#system.current.credentials.uid);
      throw error;
    }
  }

  receive(fd: number, buffer: Uint8Array, closesOnExec: boolean): ReceivedMessage {
    const { bytes, files, uid, sender } = this.#receive(fd, buffer, false);
    const descriptors: number[] = [];
    for (const file of files) {
      this.#uncount(uid);
      if (bytes > buffer.byteLength || !this.#give(file, closesOnExec, descriptors)) closeFile(this.#system, file);
    }
    if (bytes > buffer.byteLength) refuse('EMSGSIZE');
    if (sender === undefined) return { bytes, descriptors };
    return { bytes, descriptors, sender: { pid: sender.pid, uid: sender.uid, gid: sender.gid } };
  }

  /** False when there is no number for it: it is left out, with those behind it. */
  #give(file: OpenFile, closesOnExec: boolean, descriptors: number[]): boolean {
    try {
      descriptors.push(addDescriptor(this.#system, file, closesOnExec));
      return true;
    } catch (error) {
      if (error instanceof Refusal) return false;
      throw error;
    }
  }

  receiveBytes(fd: number, buffer: Uint8Array, stays: boolean): number {
    const { bytes, files, uid } = this.#receive(fd, buffer, stays);
    if (!stays) for (const file of files) this.#drop(file, uid);
    return bytes;
  }

  peek(fd: number, buffer: Uint8Array): PeekedMessage {
    const { bytes, files } = this.#receive(fd, buffer, true);
    return { bytes, hasDescriptors: files.length > 0 };
  }

  #receive(fd: number, buffer: Uint8Array, stays: boolean): Received {
    return this.#socketOf(fd).receive(buffer, stays);
  }

  #socketOf(fd: number): UnixSocket {
    const { operations } = fileOf(this.#system, fd);
    return operations instanceof UnixSocket ? operations : refuse('ENOTSOCK');
  }

  /** The socket that is bound to a path. */
  #listening(path: string): UnixSocket {
    const { inode } = walk(this.#system, AT_FDCWD, path).dentry;
    if (!isPermitted(this.#system.current.credentials, inode, MAY_WRITE)) refuse('EACCES');
    return this.#bound.get(inode) ?? refuse('ECONNREFUSED');
  }

  #make(type: SocketType, credentials: SocketCredentials, wantsCredentials = false): UnixSocket {
    const { superblock } = this.#system.files.sockets;
    const inode = makeInode(this.#system, superblock, 'socket', { mode: 0o777 });
    const parts = { wakeups: this.#wakeups, drop: (file: OpenFile, uid: number) => this.#drop(file, uid) };
    return new UnixSocket(parts, type, inode, credentials, wantsCredentials);
  }

  #install(socket: UnixSocket, flags: number): number {
    const system = this.#system;
    const path = { mount: system.files.sockets, dentry: makeRoot(socket.inode) };
    const file = makeSpecialFile(system, O_RDWR | flags, socket, path);
    try {
      return addDescriptor(system, file, true);
    } catch (error) {
      closeFile(system, file);
      throw error;
    }
  }

  #credentials(): SocketCredentials {
    const { process, credentials } = this.#system.current;
    return { pid: process.pid, uid: credentials.euid, gid: credentials.egid, groups: credentials.groups };
  }

  /** too_many_unix_fds: without privilege no more than one may have open. */
  #count(files: number): void {
    if (files === 0) return;
    const { credentials, process } = this.#system.current;
    const before = this.#inFlight.get(credentials.uid) ?? 0;
    const isPrivileged = capable(credentials, 'CAP_SYS_RESOURCE') || capable(credentials, 'CAP_SYS_ADMIN');
    if (before > process.descriptorLimit && !isPrivileged) refuse('ETOOMANYREFS');
    this.#inFlight.set(credentials.uid, before + files);
  }

  #uncount(uid: number): void {
    this.#inFlight.set(uid, Math.max(0, (this.#inFlight.get(uid) ?? 0) - 1));
  }

  #drop(file: OpenFile, uid: number): void {
    this.#uncount(uid);
    closeFile(this.#system, file);
  }
}

function checkLength(path: string): void {
  if (path.length > MOST_SUN_PATH) refuse('ENAMETOOLONG');
}

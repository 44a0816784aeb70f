// struct fanotify_event and its kinds: what waits in a group's queue. Objects stand for their handles: the bytes are made when it is read.

import type { Inode, Path } from '../files/objects.ts';
import type { Task } from '../tasks/task.ts';
import type { Wait } from '../wait.ts';
import { PERMISSION_EVENTS } from './bits.ts';

export type Fsid = readonly [number, number];

/** What is the same for all. */
export interface EventHead {
  /** FAN_*, of all that was merged into it. */
  mask: number;
  /** Who did it; undefined of an overflow. */
  readonly task: Task | undefined;
  /** Equal for whatever could be merged: the bucket to look in. */
  readonly hash: number;
  /** Its neighbours in the queue. */
  next: Event | undefined;
  previous: Event | undefined;
  /** Its neighbours in its bucket, the newest first. */
  newer: Event | undefined;
  older: Event | undefined;
}

/** A place, of which the listener gets a descriptor. */
export interface PathEvent extends EventHead {
  readonly kind: 'path';
  readonly path: Path;
}

/** An object, by its handle. */
export interface FidEvent extends EventHead {
  readonly kind: 'fid';
  readonly fsid: Fsid;
  readonly object: Inode | undefined;
}

/** A directory, mostly with a name in it; of a rename, one or two of both. */
export interface NameEvent extends EventHead {
  readonly kind: 'name';
  readonly fsid: Fsid;
  readonly directory: Inode | undefined;
  readonly name: string;
  /** Where it is now: of FAN_RENAME. */
  readonly newDirectory: Inode | undefined;
  readonly newName: string;
  /** What has that name. */
  readonly child: Inode | undefined;
}

/** An error that a file system has found in itself. */
export interface ErrorEvent extends EventHead {
  readonly kind: 'error';
  readonly fsid: Fsid;
  /** undefined: the file system as a whole. */
  readonly object: Inode | undefined;
  /** The first. */
  readonly errno: number;
  count: number;
}

/** A mount that came or went. */
export interface MountEvent extends EventHead {
  readonly kind: 'mount';
  /** Its unique id. */
  readonly mountId: number;
}

/** What a permission event has come to. */
export type AnswerState = 'queued' | 'reported' | 'answered' | 'canceled';

/** Somebody is held until it is answered. */
export interface PermissionEvent extends EventHead {
  readonly kind: 'permission';
  readonly path: Path;
  /** The bytes that are about to be used, in whole pages: of FAN_PRE_ACCESS where it knows them. */
  readonly range: { readonly offset: number; readonly count: number } | undefined;
  readonly wait: Wait;
  state: AnswerState;
  /** The word of struct fanotify_response. */
  response: number;
  /** The descriptor that the reader got: what answers refer to. */
  fd: number;
}

/** The queue was full. */
export interface OverflowEvent extends EventHead {
  readonly kind: 'overflow';
}

export type Event = PathEvent | FidEvent | NameEvent | ErrorEvent | MountEvent | PermissionEvent | OverflowEvent;

export function isPermission(mask: number): boolean {
  return (mask & PERMISSION_EVENTS) !== 0;
}

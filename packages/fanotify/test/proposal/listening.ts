// What the tests of the three faces share: how a refusal reads, and what a group tells before a deadline.

import { readlinkSync } from 'node:fs';
import { FAN_NOFD, FAN_NONBLOCK, O_CLOEXEC, O_LARGEFILE, O_RDONLY } from 'fanotify/abi';
import { FANOTIFY_OPTIONS, FANOTIFY_TIMEOUT, getsockopt, SOL_FANOTIFY, setsockopt } from 'fanotify/socket';
import { CallError, close, fanotify_init, POLLIN, poll, read } from 'fanotify/syscalls';
import { onTestFinished } from 'vitest';

const DEADLINE_MS = 8_000;
/** For how long it is quiet when nothing comes any more: what is told comes within a few milliseconds. */
const QUIET_MS = 250;
/** For a global listener it may never be quiet. */
const SOON_MS = 2_000;

export const READING: number = O_RDONLY | O_LARGEFILE | O_CLOEXEC;

/** The error of a call that has to be refused. */
export function refusal(call: () => unknown): CallError {
  try {
    call();
  } catch (error) {
    if (error instanceof CallError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

/** Closes a group when the test is over, if that has not been done: its number may be somebody else's then. */
export function closing(fd: number): number {
  onTestFinished(() => {
    if (isGroup(fd)) close(fd);
  });
  return fd;
}

function isGroup(fd: number): boolean {
  try {
    getsockopt(fd, SOL_FANOTIFY, FANOTIFY_OPTIONS);
    return true;
  } catch (error) {
    if (error instanceof CallError) return false;
    throw error;
  }
}

/** A directed listener that does not wait in read(). Whoever waits for it is let in after three seconds. */
export function directed(priority = 0): number {
  const group = closing(fanotify_init(FAN_NONBLOCK, READING, 0n, priority));
  setsockopt(group, SOL_FANOTIFY, FANOTIFY_TIMEOUT, { ms: 3_000, response: 1 });
  return group;
}

export interface Told {
  readonly mask: bigint;
  readonly path: string;
  readonly pid: number;
  readonly cookie: bigint;
}

/** Reads until what is wanted was told, or the deadline is over: everything that was told. */
export function toldUntil(group: number, wanted: (told: Told) => boolean): Told[] {
  const all: Told[] = [];
  const end = performance.now() + DEADLINE_MS;
  while (!all.some(wanted)) {
    const leftMs = Math.ceil(end - performance.now());
    if (leftMs <= 0 || poll([{ fd: group, events: POLLIN, revents: 0 }], leftMs) === 0) break;
    all.push(...waiting(group));
  }
  return all;
}

/** Reads until it is quiet, but as many events as are due: everything that was told. */
export function toldSoon(group: number, due = 0): Told[] {
  const all: Told[] = [];
  const start = performance.now();
  for (;;) {
    const isDue = all.length < due;
    const leftMs = Math.ceil(start + (isDue ? DEADLINE_MS : SOON_MS) - performance.now());
    if (leftMs <= 0) return all;
    if (poll([{ fd: group, events: POLLIN, revents: 0 }], isDue ? leftMs : QUIET_MS) === 0) return all;
    all.push(...waiting(group));
  }
}

/** The paths of what was told, each once. */
export function pathsOf(told: readonly Told[]): string[] {
  return [...new Set(told.map(({ path }) => path))];
}

function waiting(group: number): Told[] {
  return read(group).map(({ mask, fd, pid, cookie }) => {
    if (fd === FAN_NOFD) return { mask, path: '', pid, cookie };
    const path = readlinkSync(`/proc/self/fd/${fd}`);
    close(fd);
    return { mask, path, pid, cookie };
  });
}

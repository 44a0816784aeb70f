// The descriptors of a process (fs/file.c): numbers for open files, the lowest free one first.

import type { OpenFile } from '../files/objects.ts';
import { closeFile } from '../files/open-file.ts';
import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import type { Descriptor, DescriptorTable, Process } from './task.ts';

const O_PATH = 0o1000_0000;

export function newDescriptorTable(): DescriptorTable {
  return { slots: [], lowestFree: 0 };
}

/** Takes the lowest free number for an open(2) on its way. EMFILE. */
export function reserveDescriptor(system: System, atLeast = 0): number {
  system.faults.at('descriptor');
  const { descriptors, descriptorLimit } = system.current.process;
  const { slots } = descriptors;
  let fd = Math.max(descriptors.lowestFree, atLeast);
  while (slots[fd] !== undefined) fd++;
  if (fd >= descriptorLimit) refuse('EMFILE');
  // No holes, so that the array stays a dense one.
  while (slots.length < fd) slots.push(undefined);
  slots[fd] = null;
  if (atLeast <= descriptors.lowestFree) descriptors.lowestFree = fd + 1;
  return fd;
}

/** Gives back a number that {@link reserveDescriptor} took. */
export function unreserveDescriptor(system: System, fd: number): void {
  free(system.current.process.descriptors, fd);
}

/** Puts an open file at a number that was reserved. The file's reference becomes the descriptor's. */
export function installDescriptor(system: System, fd: number, file: OpenFile, closesOnExec: boolean): void {
  system.current.process.descriptors.slots[fd] = { file, closesOnExec };
}

/** A descriptor for an open file whose reference it takes over: all at once. EMFILE leaves the file to the caller. */
export function addDescriptor(system: System, file: OpenFile, closesOnExec: boolean): number {
  const fd = reserveDescriptor(system);
  installDescriptor(system, fd, file, closesOnExec);
  return fd;
}

function free(table: DescriptorTable, fd: number): void {
  table.slots[fd] = undefined;
  if (fd < table.lowestFree) table.lowestFree = fd;
}

export function findDescriptor(process: Process, fd: number): Descriptor | undefined {
  return process.descriptors.slots[fd] ?? undefined;
}

/** The open file behind a descriptor, one of O_PATH too. EBADF. */
export function fileOrPathOf(system: System, fd: number): OpenFile {
  const descriptor = system.current.process.descriptors.slots[fd];
  if (descriptor === undefined || descriptor === null) refuse('EBADF');
  return descriptor.file;
}

/** The open file behind a descriptor. EBADF, for one of O_PATH too. */
export function fileOf(system: System, fd: number): OpenFile {
  const file = fileOrPathOf(system, fd);
  if ((file.flags & O_PATH) !== 0) refuse('EBADF');
  return file;
}

/** close(2). */
export function close(system: System, fd: number): void {
  const { descriptors } = system.current.process;
  const descriptor = descriptors.slots[fd];
  if (descriptor === undefined || descriptor === null) refuse('EBADF');
  free(descriptors, fd);
  closeFile(system, descriptor.file);
}

/** dup(2), and fcntl(2) F_DUPFD. */
export function duplicate(system: System, fd: number, atLeast = 0, closesOnExec = false): number {
  const file = fileOrPathOf(system, fd);
  if (atLeast < 0 || atLeast >= system.current.process.descriptorLimit) refuse('EINVAL');
  const copy = reserveDescriptor(system, atLeast);
  file.references++;
  installDescriptor(system, copy, file, closesOnExec);
  return copy;
}

/** dup3(2): at this number, whatever was there. */
export function duplicateTo(system: System, fd: number, to: number, closesOnExec = false): number {
  if (fd === to) refuse('EINVAL');
  const file = fileOrPathOf(system, fd);
  const { process } = system.current;
  if (to < 0 || to >= process.descriptorLimit) refuse('EBADF');
  const { slots } = process.descriptors;
  const before = slots[to];
  if (before === null) refuse('EBUSY');
  while (slots.length < to) slots.push(undefined);
  file.references++;
  slots[to] = { file, closesOnExec };
  if (before !== undefined) closeFile(system, before.file);
  return to;
}

/** FD_CLOEXEC. */
export function setClosesOnExec(system: System, fd: number, closesOnExec: boolean): void {
  fileOrPathOf(system, fd);
  const descriptor = findDescriptor(system.current.process, fd);
  if (descriptor !== undefined) descriptor.closesOnExec = closesOnExec;
}

/** fork(2): the same open files at the same numbers. */
export function copyDescriptors(table: DescriptorTable): DescriptorTable {
  const slots = table.slots.map((descriptor) => {
    if (descriptor === undefined || descriptor === null) return undefined;
    descriptor.file.references++;
    return { file: descriptor.file, closesOnExec: descriptor.closesOnExec };
  });
  return { slots, lowestFree: 0 };
}

/** Of a process that ends, or execs: takes away those descriptors that `which` says. Their open files, in order, for the caller to close. */
export function takeDescriptors(table: DescriptorTable, which: (descriptor: Descriptor) => boolean): OpenFile[] {
  const files: OpenFile[] = [];
  for (let fd = 0; fd < table.slots.length; fd++) {
    const descriptor = table.slots[fd];
    if (descriptor === undefined || descriptor === null || !which(descriptor)) continue;
    free(table, fd);
    files.push(descriptor.file);
  }
  return files;
}

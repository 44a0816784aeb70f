// What /proc tells of a contestant while it runs.

import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';

/** A process and those that descend from it: a guard's responder is a child of its owner. */
export function treeOf(pid: number): number[] {
  const parents = entriesOf('/proc')
    .map(Number)
    .filter((one) => one > 0)
    // "pid (comm) state ppid …", and comm may hold anything: proc_pid_stat(5).
    .map((one) => [one, Number(/^\d+ \(.*\) \S (\d+)/s.exec(textOf(`/proc/${one}/stat`))?.[1])] as const);
  const tree = [pid];
  for (const parent of tree) tree.push(...parents.filter(([, ppid]) => ppid === parent).map(([child]) => child));
  return tree;
}

/** Whether a process has a mark: of fanotify, or a watch of inotify. proc_pid_fdinfo(5). */
export function hasMark(pid: number): boolean {
  return entriesOf(`/proc/${pid}/fd`).some((fd) => {
    if (!linkOf(`/proc/${pid}/fd/${fd}`).includes('notify')) return false;
    return /^(fanotify (ino|mnt_id|sdev):|inotify wd:)/m.test(textOf(`/proc/${pid}/fdinfo/${fd}`));
  });
}

/** CPU of all of a process's threads that run now, in nanoseconds. It may be behind by a moment. */
function cpuNs(pid: number): number {
  return entriesOf(`/proc/${pid}/task`)
    .map((thread) => Number(textOf(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[0]))
    .reduce((sum, ns) => sum + ns, 0);
}

/** The same of a process and its descendants. */
export function treeCpuNs(pid: number): number {
  return treeOf(pid).reduce((sum, one) => sum + cpuNs(one), 0);
}

/** Resident memory now, in KiB. */
export function residentKib(pid: number): number {
  return Number(/^VmRSS:\s*(\d+)/m.exec(textOf(`/proc/${pid}/status`))?.[1] ?? 0);
}

/** What a process adds to the memory in use, in KiB: what it shares with others is counted in equal parts. smaps_rollup, Linux 4.14. */
export function proportionalKib(pid: number): number {
  return Number(/^Pss:\s*(\d+)/m.exec(textOf(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0);
}

/** The most resident memory there ever was, in KiB. */
export function peakKib(pid: number): number {
  return Number(/^VmHWM:\s*(\d+)/m.exec(textOf(`/proc/${pid}/status`))?.[1] ?? 0);
}

/**
 * What the kernel keeps for the marks of fanotify and watches of inotify of a process, in bytes: of each one a mark, and what connects
 * it with what is marked. Inodes that are in memory only for it are not counted.
 */
export function markBytes(pid: number): number {
  const connector = slabObjectBytes('fsnotify_mark_connector');
  const kinds = [
    { line: /^fanotify (ino|mnt_id|sdev):/gm, bytes: connector + slabObjectBytes('fanotify_mark') },
    { line: /^inotify wd:/gm, bytes: connector + slabObjectBytes('inotify_inode_mark') },
  ];
  const bytesOf = (fd: string) => {
    if (!linkOf(`/proc/${pid}/fd/${fd}`).includes('notify')) return 0;
    const info = textOf(`/proc/${pid}/fdinfo/${fd}`);
    return kinds.reduce((sum, { line, bytes }) => sum + (info.match(line)?.length ?? 0) * bytes, 0);
  };
  return entriesOf(`/proc/${pid}/fd`).reduce((sum, fd) => sum + bytesOf(fd), 0);
}

/** The names of the kernel's slabs: Documentation/ABI/testing/sysfs-kernel-slab. Root. */
function slabObjectBytes(name: string): number {
  return Number(textOf(`/sys/kernel/slab/${name}/slab_size`));
}

/** Space on disk of the files that are open for writing and are no program's output: temporary ones, also those without a name. */
export function openFileBytes(pid: number): number {
  return entriesOf(`/proc/${pid}/fd`).reduce((sum, fd) => {
    // proc_pid_fdinfo(5): flags in octal, of which the last digit is how it is open.
    const isWritten = /^flags:\s*\d*[12]$/m.test(textOf(`/proc/${pid}/fdinfo/${fd}`));
    return isWritten ? sum + fileBytes(`/proc/${pid}/fd/${fd}`) : sum;
  }, 0);
}

/** How many descriptors are open. */
export function descriptorCount(pid: number): number {
  return entriesOf(`/proc/${pid}/fd`).length;
}

// Threads, descriptors and the process itself may be gone at any moment.

function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function fileBytes(path: string): number {
  try {
    const stats = statSync(path);
    return stats.isFile() ? stats.blocks * 512 : 0;
  } catch {
    return 0;
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

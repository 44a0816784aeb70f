// Leases (fs/locks.c): who wants to know before somebody else opens the file. A conflicting open waits until the lease is given up.

import { ERRNO } from '../../kernel/error.ts';
import { Refusal, refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { type Blocking, Wait } from '../wait.ts';
import { O_ACCMODE, O_NONBLOCK, O_RDONLY } from './flags.ts';
import type { Inode, Lease, OpenFile } from './objects.ts';
import { capable } from './permission.ts';

export const F_RDLCK = 0;
export const F_WRLCK = 1;
export const F_UNLCK = 2;

/** /proc/sys/fs/lease-break-time: after that the kernel takes the lease away. */
const BREAK_TIME_MS = 45_000;

/** F_SETLEASE. EAGAIN when somebody has the file open in a way that conflicts; EACCES for others' files. */
export function setLease(system: System, file: OpenFile, type: number): void {
  const { inode } = file.path.dentry;
  if (type !== F_RDLCK && type !== F_WRLCK && type !== F_UNLCK) refuse('EINVAL');
  const { credentials } = system.current;
  if (credentials.fsuid !== inode.uid && !capable(credentials, 'CAP_LEASE')) refuse('EACCES');
  if (inode.type !== 'file') refuse('EINVAL');
  if (type === F_UNLCK) {
    if (!inode.leases?.some((lease) => lease.file === file)) refuse('EAGAIN');
    removeLeases(system, inode, file);
    return;
  }
  const others = (inode.leases ?? []).filter((lease) => lease.file !== file);
  if (type === F_RDLCK) {
    // check_conflicting_open: any writer, also through a mapping.
    if (inode.writers > 0 || others.some((lease) => lease.type === 'write')) refuse('EAGAIN');
    if ((file.flags & O_ACCMODE) !== O_RDONLY) refuse('EAGAIN');
  } else if (inode.opens > 1 || others.length > 0) refuse('EAGAIN');
  const before = inode.leases?.find((lease) => lease.file === file);
  const lease: Lease = {
    file,
    type: type === F_RDLCK ? 'read' : 'write',
    breaking: 'none',
    waits: before?.waits ?? [],
  };
  inode.leases = [...others, lease];
  if (before !== undefined) endWaits(before);
}

/** F_GETLEASE: F_RDLCK, F_WRLCK or F_UNLCK; while it is being broken, what it has to become. */
export function getLease(file: OpenFile): number {
  const lease = file.path.dentry.inode.leases?.find((each) => each.file === file);
  if (lease === undefined || lease.breaking === 'unlocked') return F_UNLCK;
  return lease.breaking === 'read' || lease.type === 'read' ? F_RDLCK : F_WRLCK;
}

/** Of one open file: whoever waits for it goes on. */
export function removeLeases(_system: System, inode: Inode, file: OpenFile): void {
  const { leases = [] } = inode;
  const kept = leases.filter((lease) => lease.file !== file);
  inode.leases = kept.length === 0 ? undefined : kept;
  for (const lease of leases) if (lease.file === file) endWaits(lease);
}

function endWaits(lease: Lease): void {
  for (const wait of lease.waits.splice(0)) wait.end();
}

/** break_lease: before an open, or a truncation. EAGAIN at once with O_NONBLOCK. */
export function* breakLease(system: System, inode: Inode, flags: number): Blocking<void> {
  const isWriting = (flags & O_ACCMODE) !== O_RDONLY;
  for (;;) {
    const lease = inode.leases?.find((each) => isWriting || each.type === 'write');
    if (lease === undefined) return;
    lease.breaking = isWriting ? 'unlocked' : 'read';
    if ((flags & O_NONBLOCK) !== 0) throw new Refusal(ERRNO.EAGAIN);
    const wait = new Wait(`the lease of inode ${inode.number}`);
    lease.waits.push(wait);
    const cancel = system.clock.after(BREAK_TIME_MS, () => removeLeases(system, inode, lease.file));
    try {
      yield wait;
    } finally {
      cancel();
    }
  }
}

// read(2) of a group: as many events as there are and fit, each with the descriptors that it comes with.

import {
  FAN_DENY,
  FAN_EPIDFD,
  FAN_EVENT_METADATA_LEN,
  FAN_NOFD,
  FAN_NOPIDFD,
  FAN_REPORT_FD_ERROR,
  FAN_REPORT_PIDFD,
  FAN_REPORT_TID,
  FANOTIFY_METADATA_VERSION,
} from '../../abi/constants.ts';
import { EVENT, HOST_IS_LITTLE_ENDIAN as LE } from '../../abi/layout.ts';
import { ERRNO } from '../../kernel/error.ts';
import { releasePath } from '../files/paths.ts';
import { Refusal, refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { pidIn } from '../tasks/process.ts';
import type { Task } from '../tasks/task.ts';
import type { Blocking } from '../wait.ts';
import { OUTGOING } from './bits.ts';
import type { Event } from './event.ts';
import type { EventDescriptors } from './event-descriptors.ts';
import type { Group } from './group.ts';
import { finish } from './permission.ts';
import { type Measured, measure, writeRecords } from './records.ts';

const { EBADF, ESRCH } = ERRNO;

/** fanotify_read. EINVAL when the first event does not fit. */
export function* readGroup(
  system: System,
  group: Group,
  descriptors: EventDescriptors,
  buffer: Uint8Array,
  isBlocking: boolean,
): Blocking<number> {
  let at = 0;
  for (;;) {
    const event = group.queue.first;
    if (event === undefined) {
      if (at > 0) return at;
      if (!isBlocking) refuse('EAGAIN');
      yield group.queue.arrival();
      continue;
    }
    const measured = measure(event, group.flags);
    if (measured.length > buffer.length - at) {
      if (at > 0) return at;
      refuse('EINVAL');
    }
    group.queue.remove(event);
    if (event.kind === 'permission') event.state = 'reported';
    try {
      yield* takeEvent(system, group, descriptors, event, measured, buffer, at);
      if (event.kind === 'path') releasePath(system, event.path);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (event.kind === 'path') releasePath(system, event.path);
      // The event is lost, and whoever waits for its answer is denied. Those before it have their descriptors: they are read.
      if (event.kind === 'permission') finish(system, event, FAN_DENY);
      if (at > 0) return at;
      throw error;
    }
    at += measured.length;
  }
}

/** copy_event_to_user, and what comes of a permission event with it. */
function* takeEvent(
  system: System,
  group: Group,
  descriptors: EventDescriptors,
  event: Event,
  measured: Measured,
  buffer: Uint8Array,
  at: number,
): Blocking<void> {
  const fd = yield* descriptorOf(group, descriptors, event);
  const pid = pidOf(system, group, event.task);
  let pidfd: number | undefined;
  try {
    if ((group.flags & FAN_REPORT_PIDFD) !== 0) pidfd = pidfdOf(group, descriptors, event.task, pid);
  } catch (error) {
    if (fd >= 0) descriptors.close(fd);
    throw error;
  }

  const reportsErrors = (group.flags & FAN_REPORT_FD_ERROR) !== 0;
  const view = new DataView(buffer.buffer, buffer.byteOffset + at, FAN_EVENT_METADATA_LEN);
  view.setUint32(EVENT.eventLen, measured.length, LE);
  view.setUint8(EVENT.vers, FANOTIFY_METADATA_VERSION);
  view.setUint8(EVENT.vers + 1, 0);
  view.setUint16(EVENT.metadataLen, FAN_EVENT_METADATA_LEN, LE);
  // The mask has 64 bits, of which the lower are used.
  view.setUint32(EVENT.mask + (LE ? 0 : 4), event.mask & OUTGOING, LE);
  view.setUint32(EVENT.mask + (LE ? 4 : 0), 0, LE);
  view.setInt32(EVENT.fd, fd >= 0 || reportsErrors ? fd : FAN_NOFD, LE);
  view.setInt32(EVENT.pid, pid, LE);
  writeRecords(buffer, at + FAN_EVENT_METADATA_LEN, event, measured, pidfd);

  if (event.kind !== 'permission') return;
  event.fd = fd;
  // Nobody could name it in an answer.
  if (fd < 0) finish(system, event, FAN_DENY);
  else group.asked.push(event);
}

/** create_fd: negative is the errno that there is none for. @throws Refusal where the group cannot be told that. */
function* descriptorOf(group: Group, descriptors: EventDescriptors, event: Event): Blocking<number> {
  if ((event.kind !== 'path' && event.kind !== 'permission') || group.isUnprivileged) return -EBADF;
  try {
    return yield* descriptors.openQuietly(event.path, group.eventFlags);
  } catch (error) {
    if (!(error instanceof Refusal) || (group.flags & FAN_REPORT_FD_ERROR) === 0) throw error;
    return -error.errno;
  }
}

/** What `pid` of the event is to whoever reads it: 0 for those that their PID namespace, or an unprivileged group, does not have. */
function pidOf(system: System, group: Group, task: Task | undefined): number {
  if (task === undefined) return 0;
  const reader = system.current.process;
  if (group.isUnprivileged && task.process !== reader) return 0;
  const { pidNamespace } = reader;
  return (group.flags & FAN_REPORT_TID) === 0
    ? pidIn(task.process, pidNamespace)
    : (task.numbers.get(pidNamespace) ?? 0);
}

/** Of a process that has not been waited for; else, or where it cannot be made, what says so. */
function pidfdOf(group: Group, descriptors: EventDescriptors, task: Task | undefined, pid: number): number {
  const reportsErrors = (group.flags & FAN_REPORT_FD_ERROR) !== 0;
  const errno = task === undefined || pid === 0 || isGone(task, group) ? ESRCH : undefined;
  if (errno !== undefined) return reportsErrors ? -errno : FAN_NOPIDFD;
  try {
    return descriptors.openPidfd((task as Task).process);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return reportsErrors ? -error.errno : FAN_EPIDFD;
  }
}

/** pid_has_task(PIDTYPE_TGID): a thread that leads no process has none either. */
function isGone({ process, tid }: Task, group: Group): boolean {
  return process.isReaped || ((group.flags & FAN_REPORT_TID) !== 0 && tid !== process.pid);
}

// fcntl(2) with a whole number as its argument, as far as the seam is asked for it.

import { O_APPEND, O_NONBLOCK } from '../files/flags.ts';
import { getLease, setLease } from '../files/lease.ts';
import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { duplicate, fileOf, fileOrPathOf, findDescriptor, setClosesOnExec } from '../tasks/descriptors.ts';

const F_DUPFD = 0;
const F_GETFD = 1;
const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;
const F_SETLEASE = 1024;
const F_GETLEASE = 1025;
const F_DUPFD_CLOEXEC = 1030;
const FD_CLOEXEC = 1;
const O_DIRECT = 0o40000;
const O_ASYNC = 0o20000;
const O_NOATIME = 0o1000000;
/** setfl() changes these alone. */
const SETTABLE = O_APPEND | O_NONBLOCK | O_DIRECT | O_ASYNC | O_NOATIME;
const O_CLOEXEC = 0o2000000;

export function fcntl(system: System, fd: number, command: number, argument: number): number {
  switch (command) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
      return duplicate(system, fd, argument, command === F_DUPFD_CLOEXEC);
    case F_GETFD:
      fileOrPathOf(system, fd);
      return findDescriptor(system.current.process, fd)?.closesOnExec ? FD_CLOEXEC : 0;
    case F_SETFD:
      setClosesOnExec(system, fd, (argument & FD_CLOEXEC) !== 0);
      return 0;
    case F_GETFL:
      return fileOrPathOf(system, fd).flags & ~O_CLOEXEC;
    case F_SETFL: {
      const file = fileOf(system, fd);
      file.flags = (file.flags & ~SETTABLE) | (argument & SETTABLE);
      return 0;
    }
    case F_SETLEASE:
      setLease(system, fileOf(system, fd), argument);
      return 0;
    case F_GETLEASE:
      return getLease(fileOf(system, fd));
    default:
      fileOrPathOf(system, fd);
      return refuse('EINVAL');
  }
}

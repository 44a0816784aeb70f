// Finds the file of an event below a directory, as a user reaches it, and opens it as that user could.

import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  O_APPEND,
  O_CLOEXEC,
  O_DIRECTORY,
  O_DSYNC,
  O_LARGEFILE,
  O_NOATIME,
  O_NONBLOCK,
  O_PATH,
  O_RDWR,
  O_SYNC,
  O_WRONLY,
} from '../abi/index.ts';
import { mountIdOf } from '../identity/handle-at.ts';
import type { FileStatus, Identity } from '../kernel/index.ts';
import { attempt, linkOf, type User } from './user.ts';

// fcntl.h
const F_GETFL = 3;
const F_SETFL = 4;
const O_NOCTTY = 0o400;
/** What an event's descriptor may be opened with: fanotify_init(2). Nothing that makes, empties, or leads elsewhere. */
const EVENT_FLAGS = O_WRONLY | O_RDWR | O_APPEND | O_DSYNC | O_SYNC | O_NOATIME | O_NONBLOCK | O_LARGEFILE;
/** How often a file that is renamed meanwhile is looked for. */
const MOST_LOOKS = 3;
const SLASH = 0x2f;

/** The event's file: O_PATH, or the root's own descriptor where it is that; undefined where the user does not reach it. This is the user then. */
export function findEventFile(user: User, identity: Identity, root: number, event: number): number | undefined {
  const { dev, ino, btimeNs } = user.statusOf(event);
  const isIt = (status: FileStatus) => status.dev === dev && status.ino === ino && status.btimeNs === btimeNs;
  const rootStatus = user.statusOf(root);
  if (isIt(rootStatus)) {
    user.be(identity);
    return root;
  }
  if (rootStatus.dev !== dev) return undefined;
  const place = placeOf(user, root, event);
  try {
    // A path is a guess: what is found there tells.
    let path = pathBelow(user, root, place);
    for (let looks = 0; path && looks < MOST_LOOKS; looks++) {
      const guess = path;
      user.be(identity);
      const fd = attempt(() => user.openBelow(root, guess, 0));
      if (fd !== null) {
        if (isIt(user.statusOf(fd))) return fd;
        user.kernel.close(fd);
      }
      path = pathBelow(user, root, place);
      if (path?.equals(guess)) return undefined;
    }
    return undefined;
  } finally {
    if (place !== event) user.kernel.close(place);
  }
}

/** The same file by the root's mount, which the event may not have come by. O_PATH, or the event's own descriptor. */
function placeOf(user: User, root: number, event: number): number {
  const { kernel } = user;
  const mountId = mountIdOf(kernel, root);
  if (mountId !== undefined && mountId === mountIdOf(kernel, event)) return event;
  user.be(null);
  const { handle } = kernel.nameToHandleAt(event, '', AT_EMPTY_PATH);
  // It takes no O_PATH for a mount.
  const mount = kernel.openAt(root, '.', O_DIRECTORY | O_CLOEXEC);
  try {
    return kernel.openByHandleAt(mount, handle, O_PATH | O_CLOEXEC);
  } finally {
    kernel.close(mount);
  }
}

/** Where a descriptor's file is below another's, as far as their paths tell. */
function pathBelow({ kernel }: User, root: number, fd: number): Buffer | undefined {
  const above = kernel.readlink(linkOf(root));
  const path = kernel.readlink(linkOf(fd));
  const length = above.length === 1 ? 0 : above.length;
  if (above[0] !== SLASH || path[length] !== SLASH || path.length === length + 1) return undefined;
  return path.subarray(0, length).equals(above.subarray(0, length)) ? path.subarray(length + 1) : undefined;
}

/** Opens what was found; null where the user may not. Nobody is waited for: no writer of a FIFO, no holder of a lease. */
export function reopen({ kernel }: User, fd: number, given: number): number | null {
  const flags = given & EVENT_FLAGS;
  const opened = attempt(() => kernel.openAt(AT_FDCWD, linkOf(fd), flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (opened !== null && (flags & O_NONBLOCK) === 0) {
    kernel.fcntl(opened, F_SETFL, kernel.fcntl(opened, F_GETFL, 0) & ~O_NONBLOCK);
  }
  return opened;
}

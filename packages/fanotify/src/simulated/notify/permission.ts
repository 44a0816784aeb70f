// fanotify_get_response: whoever does it is held until the group has answered, closed, or could not be asked.

import { FAN_ALLOW, FAN_DENY, FAN_ERRNO_MASK, FAN_ERRNO_SHIFT } from '../../abi/constants.ts';
import { ERRNO } from '../../kernel/error.ts';
import { releasePath } from '../files/paths.ts';
import type { System } from '../system.ts';
import type { Blocking } from '../wait.ts';
import type { PermissionEvent } from './event.ts';
import type { Group } from './group.ts';

const { EPERM } = ERRNO;

/** Asks a group. Returns the errno that its answer is: 0 to go on. The event is in its queue. */
export function* answerOf(system: System, group: Group, event: PermissionEvent): Blocking<number> {
  try {
    if (event.state !== 'answered') yield event.wait;
  } finally {
    // Whoever was held was killed: there is no one to answer any more. An event that was read stays until it is answered all the same.
    if (event.state === 'reported') event.state = 'canceled';
    else {
      if (event.state === 'queued') group.queue.remove(event);
      releasePath(system, event.path);
    }
  }
  return errnoOf(event.response);
}

/** finish_permission_event. */
export function finish(system: System, event: PermissionEvent, response: number): void {
  if (event.state === 'canceled') {
    releasePath(system, event.path);
    return;
  }
  event.response = response;
  event.state = 'answered';
  event.wait.end();
}

/** fanotify_release: all that is held may go on. */
export function allowAll(system: System, group: Group): void {
  for (const event of group.asked.splice(0)) finish(system, event, FAN_ALLOW);
  for (let { first } = group.queue; first !== undefined; first = group.queue.first) {
    group.queue.remove(first);
    if (first.kind === 'permission') finish(system, first, FAN_ALLOW);
    else if (first.kind === 'path') releasePath(system, first.path);
  }
}

/** fanotify_get_response_errno: the highest bits of a denial, of groups that may say it. */
export function deniedErrno(response: number): number {
  return (response >>> FAN_ERRNO_SHIFT) & FAN_ERRNO_MASK;
}

function errnoOf(response: number): number {
  const access = response & (FAN_ALLOW | FAN_DENY);
  if (access === FAN_ALLOW) return 0;
  return (access === FAN_DENY && deniedErrno(response)) || EPERM;
}

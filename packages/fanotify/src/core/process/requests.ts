// What a group can be asked for once it is bound, whoever serves it.

import type { Core } from '../core.ts';
import { CallError } from '../errors.ts';
import type { CoreGroup } from '../group.ts';
import type { Attached } from '../marks.ts';
import { REQUEST, type RequestReader } from './wire.ts';

/**
 * Does it.
 *
 * @param target Of a mark: a descriptor of what it is of.
 * @param attached Put with a mark that is new.
 * @returns What there is to say.
 * @throws CallError what is refused.
 */
export function requestOf(
  core: Core,
  group: CoreGroup,
  request: RequestReader,
  target: number | undefined,
  attached?: Attached,
): string {
  switch (request.type) {
    case REQUEST.addMark:
      core.addMark(group, targetOf(target), request.mark, attached);
      return '';
    case REQUEST.removeMark:
      core.removeMark(group, targetOf(target), request.mark);
      return '';
    case REQUEST.clearMarks:
      core.clearMarks(group);
      return '';
    case REQUEST.respond:
      core.respond(group, request.response.cookie, request.response.response);
      return '';
    case REQUEST.ignoreType:
      core.ignoreType(group, request.filesystemType);
      return '';
    case REQUEST.ignoreFsid:
      core.ignoreFsid(group, request.fsid);
      return '';
    case REQUEST.setTimeout:
      core.setTimeout(group, request.timeout.deadlineMs, request.timeout.onTimeout);
      return '';
    case REQUEST.statistics:
      return JSON.stringify(group.statistics);
    default:
      throw new CallError('EOPNOTSUPP', `there is no request ${request.type}`);
  }
}

function targetOf(target: number | undefined): number {
  if (target === undefined) throw new CallError('EBADF', 'a mark takes a descriptor');
  return target;
}

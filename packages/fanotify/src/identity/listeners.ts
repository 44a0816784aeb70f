// Who listens on this machine: every fanotify group that some process holds, as /proc/pid/fdinfo tells it (proc_pid_fdinfo(5)).

import {
  FAN_ACCESS_PERM,
  FAN_CLASS_CONTENT,
  FAN_CLASS_PRE_CONTENT,
  FAN_OPEN_EXEC_PERM,
  FAN_OPEN_PERM,
  FAN_PRE_ACCESS,
  FAN_UNLIMITED_MARKS,
} from '../abi/index.ts';
import type { Kernel } from '../kernel/index.ts';
import { type GroupMark, parseMarks } from './marks.ts';
import { commOf, lookAt, processIds, type RunningProcess, statusOf } from './running.ts';

const PERMISSION_EVENTS = FAN_OPEN_PERM | FAN_ACCESS_PERM | FAN_OPEN_EXEC_PERM | FAN_PRE_ACCESS;

/** A group in the hands of a process. */
export interface ListeningGroup {
  readonly process: RunningProcess;
  /** The real user of the process: whose limits the group counts for, if that process opened it. */
  readonly uid: number;
  readonly fd: number;
  /** content and preContent groups can hold accesses. */
  readonly class: 'notification' | 'content' | 'preContent';
  /** Whether its marks hear permission events: then accesses wait for this process. */
  readonly holdsAccesses: boolean;
  readonly hasUnlimitedMarks: boolean;
  /** How many marks of each scope. */
  readonly marks: Readonly<Record<GroupMark['scope'], number>>;
  /** The devices of filesystem marks, as `major:minor`. */
  readonly devices: readonly string[];
}

/** All groups that this process may see, its own left out, and how many processes it may not look into. */
export function readListeners(kernel: Pick<Kernel, 'readFile' | 'readDirectory' | 'readlink' | 'pid'>): {
  groups: ListeningGroup[];
  hidden: number;
} {
  const groups: ListeningGroup[] = [];
  let hidden = 0;
  for (const pid of processIds(kernel)) {
    if (pid === kernel.pid) continue;
    const descriptors = lookAt(() => kernel.readDirectory(`/proc/${pid}/fd`));
    // Its own user may list the descriptors of a process that is otherwise out of reach, as from a user namespace.
    let isHidden = descriptors === 'hidden';
    for (const { name } of typeof descriptors === 'string' ? [] : descriptors) {
      const fd = Number(name.toString('latin1'));
      const group = lookAt(() => readGroup(kernel, pid, fd));
      if (typeof group === 'object') groups.push(group);
      isHidden ||= group === 'hidden';
    }
    if (isHidden) hidden++;
  }
  return { groups, hidden };
}

const GROUP_LINK = Buffer.from('anon_inode:[fanotify]');

function readGroup(kernel: Pick<Kernel, 'readFile' | 'readlink'>, pid: number, fd: number): ListeningGroup | undefined {
  if (!kernel.readlink(`/proc/${pid}/fd/${fd}`).equals(GROUP_LINK)) return undefined;
  const text = kernel.readFile(`/proc/${pid}/fdinfo/${fd}`).toString('latin1');
  const process = { pid, comm: commOf(kernel, pid) };
  const uid = Number(statusOf(kernel, pid).get('Uid')?.split(/\s+/)[0]);
  return { process, uid, fd, ...parseGroup(text) };
}

/** What an fdinfo file says of a group: its flags and its marks in sum. */
export function parseGroup(text: string): Omit<ListeningGroup, 'process' | 'uid' | 'fd'> {
  const flags = Number.parseInt(/^fanotify flags:([0-9a-f]+)/m.exec(text)?.[1] ?? '0', 16);
  const { few, inodes } = apart(text);
  const others = parseMarks(few);
  const count = (scope: GroupMark['scope']) => others.filter((mark) => mark.scope === scope).length;
  return {
    class: flags & FAN_CLASS_PRE_CONTENT ? 'preContent' : flags & FAN_CLASS_CONTENT ? 'content' : 'notification',
    holdsAccesses: inodes.holdsAccesses || others.some(({ mask }) => (mask & PERMISSION_EVENTS) !== 0n),
    hasUnlimitedMarks: (flags & FAN_UNLIMITED_MARKS) !== 0,
    marks: {
      inode: inodes.count,
      mount: count('mount'),
      filesystem: count('filesystem'),
      mountNamespace: count('mountNamespace'),
    },
    devices: others.flatMap(({ scope, device }) => (scope === 'filesystem' && device ? [deviceName(device)] : [])),
  };
}

/** One group can have 200,000 inode marks, of which only the number and the mask count: they are not parsed one by one. */
function apart(text: string): { few: string; inodes: { count: number; holdsAccesses: boolean } } {
  let few = '';
  let count = 0;
  let holdsAccesses = false;
  for (const line of text.split('\n')) {
    if (!line.startsWith('fanotify ino:')) {
      few += `${line}\n`;
      continue;
    }
    count++;
    const start = line.indexOf(' mask:') + ' mask:'.length;
    // Masks have 32 bits today.
    const mask = Number.parseInt(line.slice(start, line.indexOf(' ', start)), 16);
    holdsAccesses ||= (mask & PERMISSION_BITS) !== 0;
  }
  return { few, inodes: { count, holdsAccesses } };
}

const PERMISSION_BITS = Number(PERMISSION_EVENTS);

/** The kernel's own numbering (linux/kdev_t.h, 20 bits of minor) as mountinfo writes it. */
function deviceName(device: number): string {
  return `${device >>> 20}:${device & 0xf_ffff}`;
}

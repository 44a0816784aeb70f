// /proc/pid: what there is to see of a process, and for whom.

import type { OpenFile, Path } from '../../files/objects.ts';
import { pathText } from '../../files/paths.ts';
import { capable } from '../../files/permission.ts';
import { refuse } from '../../refusal.ts';
import type { System } from '../../system.ts';
import { findDescriptor } from '../../tasks/descriptors.ts';
import type { Process, Task } from '../../tasks/task.ts';
import { mountinfoText, openedMountinfo, pollMountinfo } from './mountinfo.ts';
import { type AnyNamespace, namespaceLabel, namespaceOf, namespacePlace } from './namespaces.ts';
import { cmdlineText, limitsText, type ProcessView, statText, statusText } from './process-text.ts';
import type { DirectoryNode, FileNode, LinkNode, Node } from './tree.ts';

/** The directory of a process, for as long as it has not been waited for. */
export function processDirectory(process: Process): DirectoryNode {
  const leader = leaderOf(process);
  const owner = { uid: leader.credentials.euid, gid: leader.credentials.egid };
  const file = (text: (system: System, view: ProcessView) => string): FileNode => ({
    kind: 'file',
    owner,
    text: (system) => text(system, viewOf(system, process, leader)),
  });
  const entries: Readonly<Record<string, Node>> = {
    cgroup: file(() => '0::/\n'),
    cmdline: file((_system, view) => cmdlineText(view)),
    comm: file(() => `${process.comm}\n`),
    cwd: link(process, owner, () => leader.filesystem.workingDirectory),
    exe: link(process, owner, () => process.executable?.path),
    fd: descriptors(process, owner, 'fd'),
    fdinfo: descriptors(process, owner, 'fdinfo'),
    limits: file(() => limitsText(process)),
    mountinfo: mountinfo(process, leader, owner),
    ns: namespaces(process, leader, owner),
    root: link(process, owner, () => leader.filesystem.root),
    stat: file((_system, view) => statText(view)),
    status: file((_system, view) => statusText(view)),
  };
  return {
    kind: 'directory',
    of: process,
    owner,
    child: (_system, name) => (Object.hasOwn(entries, name) ? entries[name] : undefined),
    names: () => Object.entries(entries).map(([name, { kind }]) => [name, kind] as const),
  };
}

function leaderOf(process: Process): Task {
  const [leader] = process.threads;
  if (leader === undefined) throw new Error(`process ${process.pid} has no thread`);
  return leader;
}

function viewOf(system: System, process: Process, leader: Task): ProcessView {
  const namespace = system.tasks.initialPidNamespace;
  return {
    process,
    leader,
    isZombie: process.ended !== undefined,
    parentPid: process.parent?.pid ?? 0,
    image: process.executable === undefined ? 0 : imageOf(system, process.executable),
    numberIn: (task) => task.numbers.get(namespace) ?? 0,
  };
}

/** Which executables each machine has been seen to run, in their order. */
const images = new WeakMap<System, { last: number; readonly of: WeakMap<OpenFile, number> }>();

function imageOf(system: System, executable: OpenFile): number {
  const seen = images.get(system) ?? { last: 0, of: new WeakMap() };
  images.set(system, seen);
  const image = seen.of.get(executable) ?? ++seen.last;
  seen.of.set(executable, image);
  return image;
}

/** ptrace_may_access: of one's own, or with CAP_SYS_PTRACE. EACCES. */
export function requireTracing(system: System, process: Process): void {
  const { current } = system;
  if (current.process === process) return;
  const { fsuid, fsgid } = current.credentials;
  const { uid, euid, suid, gid, egid, sgid } = leaderOf(process).credentials;
  if (fsuid === uid && fsuid === euid && fsuid === suid && fsgid === gid && fsgid === egid && fsgid === sgid) return;
  if (!capable(current.credentials, 'CAP_SYS_PTRACE')) refuse('EACCES');
}

type Owner = Node['owner'];

/** A link that leads to a place: the kernel goes there itself. */
function link(process: Process, owner: Owner, placeOf: () => Path | undefined): LinkNode {
  const place = (system: System): Path => {
    requireTracing(system, process);
    return (process.ended === undefined ? placeOf() : undefined) ?? refuse('ENOENT');
  };
  return {
    kind: 'link',
    owner,
    text: (system) => pathText(place(system), system.current.filesystem.root),
    follow: place,
  };
}

function descriptors(process: Process, owner: Owner, kind: 'fd' | 'fdinfo'): DirectoryNode {
  const has = (fd: number) => process.ended === undefined && findDescriptor(process, fd) !== undefined;
  return {
    kind: 'directory',
    owner,
    mode: kind === 'fd' ? 0o500 : 0o555,
    // proc_fd_permission: a process may always look at its own.
    permits: ({ current }) => current.process === process,
    child: (_system, name) => {
      if (!/^(0|[1-9]\d*)$/.test(name) || !has(Number(name))) return undefined;
      return kind === 'fd'
        ? descriptorLink(process, owner, Number(name))
        : descriptorInfo(process, owner, Number(name));
    },
    *names() {
      for (const fd of process.descriptors.slots.keys()) {
        if (has(fd)) yield [String(fd), kind === 'fd' ? 'link' : 'file'] as const;
      }
    },
  };
}

function fileBehind(system: System, process: Process, fd: number): OpenFile {
  requireTracing(system, process);
  return findDescriptor(process, fd)?.file ?? refuse('ENOENT');
}

function descriptorLink(process: Process, owner: Owner, fd: number): LinkNode {
  return {
    kind: 'link',
    owner,
    mode: 0o700,
    text: (system) => descriptorText(system, fileBehind(system, process, fd)),
    follow: (system) => fileBehind(system, process, fd).path,
  };
}

/** What /proc/pid/fd says of an open file. */
export function descriptorText(system: System, file: OpenFile): string {
  if (file.operations !== undefined) return file.operations.label;
  const named = namespaceOf(file);
  if (named !== undefined) return namespaceLabel(system, named);
  return pathText(file.path, system.current.filesystem.root);
}

function descriptorInfo(process: Process, owner: Owner, fd: number): FileNode {
  return {
    kind: 'file',
    owner,
    text: (system) => {
      const { path, flags, offset, operations } = fileBehind(system, process, fd);
      const closes = findDescriptor(process, fd)?.closesOnExec ? 0o2000000 : 0;
      const of = [
        `pos:\t${offset}\n`,
        `flags:\t0${((flags & ~0o2000000) | closes).toString(8)}\n`,
        `mnt_id:\t${path.mount.id}\n`,
        `ino:\t${path.dentry.inode.number}\n`,
      ];
      return of.join('') + (operations?.fdinfo?.() ?? '');
    },
  };
}

function mountinfo(process: Process, leader: Task, owner: Owner): FileNode {
  return {
    kind: 'file',
    owner,
    // One that has ended has left its mount namespace.
    text: () => (process.ended === undefined ? mountinfoText(leader) : refuse('EINVAL')),
    open: (_system, file) => openedMountinfo(file, leader.mountNamespace),
    poll: (_system, file) => pollMountinfo(file, leader.mountNamespace),
  };
}

function namespaces(process: Process, leader: Task, owner: Owner): DirectoryNode {
  const of: Readonly<Record<string, () => AnyNamespace>> = {
    mnt: () => ({ kind: 'mnt', namespace: leader.mountNamespace }),
    pid: () => ({ kind: 'pid', namespace: process.pidNamespace }),
    user: () => ({ kind: 'user', namespace: leader.credentials.userNamespace }),
  };
  return {
    kind: 'directory',
    owner,
    child: (_system, name) => {
      const namespace = Object.hasOwn(of, name) ? of[name] : undefined;
      return namespace && namespaceLink(process, owner, namespace);
    },
    names: () => Object.keys(of).map((name) => [name, 'link'] as const),
  };
}

function namespaceLink(process: Process, owner: Owner, of: () => AnyNamespace): LinkNode {
  const look = (system: System): AnyNamespace => {
    requireTracing(system, process);
    return process.ended === undefined ? of() : refuse('ENOENT');
  };
  return {
    kind: 'link',
    owner,
    text: (system) => namespaceLabel(system, look(system)),
    follow: (system) => namespacePlace(system, look(system)),
  };
}

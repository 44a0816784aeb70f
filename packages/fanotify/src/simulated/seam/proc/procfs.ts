// The proc file system: processes, and the settings of fs.fanotify and its like.

import type { Superblock } from '../../files/objects.ts';
import { makeSuperblock } from '../../files/superblock.ts';
import { MOUNTABLE, proc } from '../../files/types.ts';
import { refuse } from '../../refusal.ts';
import type { System } from '../../system.ts';
import type { Process } from '../../tasks/task.ts';
import { processDirectory } from './process-directory.ts';
import { type DirectoryNode, type FileNode, fixed, type LinkNode, type Node, operationsOf, setting } from './tree.ts';

/** /proc/sys/kernel/pid_max. */
const MOST_PIDS = 4_194_304;
/** /proc/sys/fs/file-max, less than what stands for none. */
const MOST_FILES = 1_000_000;

/** What of the machine the settings of proc reach beside what every part of it sees. */
export interface ProcHooks {
  /** Something was written to /proc/sys/vm/drop_caches. */
  dropCaches(): void;
}

/** A proc file system, of the initial PID namespace. */
export function makeProc(system: System, hooks: ProcHooks): Superblock {
  const fixedEntries: Readonly<Record<string, Node>> = {
    self,
    filesystems,
    loadavg,
    sys: settings(hooks),
  };
  const root: DirectoryNode = {
    kind: 'directory',
    child: ({ tasks }, name) => {
      if (Object.hasOwn(fixedEntries, name)) return fixedEntries[name];
      const process = /^[1-9]\d*$/.test(name) ? tasks.processes.get(Number(name)) : undefined;
      return process && directoryOf(process);
    },
    *names({ tasks }) {
      for (const [name, { kind }] of Object.entries(fixedEntries)) yield [name, kind];
      for (const pid of [...tasks.processes.keys()].sort((a, b) => a - b)) yield [String(pid), 'directory'];
    },
  };
  return makeSuperblock(system, proc, { rootMode: 0o555, rootOperations: operationsOf(root) });
}

const directories = new WeakMap<Process, DirectoryNode>();

function directoryOf(process: Process): DirectoryNode {
  const before = directories.get(process);
  if (before !== undefined) return before;
  const directory = processDirectory(process);
  directories.set(process, directory);
  return directory;
}

const self: LinkNode = { kind: 'link', text: ({ current }) => String(current.process.pid) };

/** Those that mount(2) knows, and which need no disk. */
const filesystems: FileNode = {
  kind: 'file',
  text: () => [...MOUNTABLE.values()].map(({ name, isOnDisk }) => `${isOnDisk ? '' : 'nodev'}\t${name}\n`).join(''),
};

/** Nothing is ever loaded here; the last number given to a process ends it. */
const loadavg: FileNode = {
  kind: 'file',
  text: ({ tasks }) => {
    const { processes, initialPidNamespace } = tasks;
    return `0.00 0.00 0.00 1/${processes.size} ${initialPidNamespace.lastPid}\n`;
  },
};

function settings({ dropCaches }: ProcHooks): DirectoryNode {
  const limit = (name: keyof System['limits']) =>
    setting(
      ({ limits }) => limits[name],
      ({ limits }, value) => {
        if (value < 0) refuse('EINVAL');
        limits[name] = value;
      },
    );
  const ofNamespace = (name: 'maxFanotifyGroups' | 'maxFanotifyMarks') =>
    setting(
      ({ current }) => current.credentials.userNamespace.limits[name],
      ({ current }, value) => {
        if (value < 0) refuse('EINVAL');
        current.credentials.userNamespace.limits[name] = value;
      },
    );
  return fixed({
    fs: fixed({
      fanotify: fixed({
        max_queued_events: limit('maxQueuedEvents'),
        max_user_groups: limit('maxUserGroups'),
        max_user_marks: limit('maxUserMarks'),
        // Nobody who is held here waits for long by a clock that stands still.
        watchdog_timeout: setting(() => 0),
      }),
      'file-nr': { kind: 'file', text: (system) => `${filesOpen(system)}\t0\t${MOST_FILES}\n` },
    }),
    kernel: fixed({
      ns_last_pid: setting(
        ({ current }) => current.process.pidNamespace.lastPid,
        ({ current }, value) => {
          if (value < 0 || value >= MOST_PIDS) refuse('EINVAL');
          current.process.pidNamespace.lastPid = value;
        },
      ),
      pid_max: setting(() => MOST_PIDS),
    }),
    user: fixed({
      max_fanotify_groups: ofNamespace('maxFanotifyGroups'),
      max_fanotify_marks: ofNamespace('maxFanotifyMarks'),
    }),
    vm: fixed({
      drop_caches: setting(
        () => 0,
        (_system, value) => {
          if (value < 1 || value > 7) refuse('EINVAL');
          // 1 is for pages alone.
          if ((value & 2) !== 0) dropCaches();
        },
      ),
    }),
  });
}

function filesOpen({ tasks }: System): number {
  const files = new Set<object>();
  for (const { descriptors } of tasks.processes.values()) {
    for (const descriptor of descriptors.slots) if (descriptor) files.add(descriptor.file);
  }
  return files.size;
}

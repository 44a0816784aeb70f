// A simulated machine begins: an empty file system as its root, and the first process in it.

import type { FilesystemType } from './files/filesystem-type.ts';
import { newMount } from './files/mount.ts';
import { newMountNamespace } from './files/mount-namespace.ts';
import type { FilesState } from './files/state.ts';
import { makeSuperblock } from './files/superblock.ts';
import { anonymousInodes, nsfs, pidfs, pipefs, sockfs, tmpfs } from './files/types.ts';
import type { FsnotifyHooks } from './notify/hooks.ts';
import type { System } from './system.ts';
import { SimulatedClock } from './tasks/clock.ts';
import { credentialsOf } from './tasks/credentials.ts';
import { ScheduledFaults } from './tasks/faults.ts';
import { beginInit, newPidNamespace } from './tasks/process.ts';
import type { TaskState } from './tasks/state.ts';
import type { UserNamespace } from './tasks/task.ts';

/** A machine, with what of it can be turned by hand. */
export interface Machine extends System {
  readonly clock: SimulatedClock;
  readonly faults: ScheduledFaults;
}

export interface BootOptions {
  /** Who answers the hooks of the file system: notify/. */
  readonly fsnotify: (system: System) => FsnotifyHooks;
  /** Of the root directory. tmpfs unless it says so. */
  readonly rootType?: FilesystemType;
  /** Called when something that poll(2) waits for may have changed. */
  readonly onReadiness?: () => void;
}

// linux/nsfs.h and the initial namespaces: MNT_NS_INIT_INO, PID_NS_INIT_INO. As seen in /proc/self/ns.
const INITIAL_MOUNT_NAMESPACE = 4_026_531_841;
const INITIAL_PID_NAMESPACE = 4_026_531_836;
const FIRST_NAMESPACE = 4_026_532_000;
/** /dev/sda1. */
const ROOT_DEVICE = 0x801;

/** The first process is `current`. */
export function boot({ fsnotify, rootType = tmpfs, onReadiness }: BootOptions): Machine {
  const initialUserNamespace: UserNamespace = {
    parent: undefined,
    ownerUid: 0,
    mappedIds: undefined,
    limits: { maxFanotifyGroups: 128, maxFanotifyMarks: 204_992 },
  };
  const tasks: TaskState = {
    initialPidNamespace: newPidNamespace(INITIAL_PID_NAMESPACE, undefined),
    initialUserNamespace,
    processes: new Map(),
  };
  const files: FilesState = {
    superblocks: new Set(),
    mounts: new Map(),
    mountNamespaces: new Set(),
    anonymous: undefined as never,
    pipes: undefined as never,
    sockets: undefined as never,
    pidfds: undefined as never,
    namespaces: undefined as never,
    nextDevice: 1,
    // MNT_UNIQUE_ID_OFFSET in fs/namespace.c: no number below is mistaken for one of the old kind.
    nextMountUniqueId: 2 ** 31 + 1,
    nextNamespaceId: INITIAL_MOUNT_NAMESPACE,
    nextGeneration: 1,
  };
  const machine: { -readonly [K in keyof Machine]: Machine[K] } = {
    current: undefined as never,
    fsnotify: undefined as never,
    files,
    tasks,
    clock: new SimulatedClock(),
    faults: new ScheduledFaults(),
    readiness: { changed: onReadiness ?? (() => {}) },
    limits: { maxQueuedEvents: 16_384, maxUserGroups: 128, maxUserMarks: 204_992 },
  };
  machine.fsnotify = fsnotify(machine);
  const internal = (type: FilesystemType) => {
    const superblock = makeSuperblock(machine, type);
    const mount = newMount(machine, superblock, superblock.root, type.name);
    // In no namespace, and never gone.
    mount.references++;
    return mount;
  };
  files.sockets = internal(sockfs);
  files.pipes = internal(pipefs);
  files.anonymous = internal(anonymousInodes);
  files.pidfds = internal(pidfs);
  files.namespaces = internal(nsfs);
  const rootfs = makeSuperblock(machine, rootType, {
    rootMode: 0o755,
    ...(rootType.isOnDisk && { device: ROOT_DEVICE }),
  });
  const root = newMount(machine, rootfs, rootfs.root, rootType.isOnDisk ? '/dev/sda1' : rootType.name);
  const mountNamespace = newMountNamespace(machine, root);
  files.nextNamespaceId = FIRST_NAMESPACE;
  const credentials = credentialsOf(0, 0, initialUserNamespace);
  machine.current = beginInit(machine, credentials, { mount: root, dentry: root.root }, mountNamespace);
  return machine;
}

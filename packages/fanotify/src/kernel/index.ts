// The face of the seam to the operating system: `fanotify/kernel`.

/**
 * `fanotify/kernel`: the system calls, one for one, what this kernel can do, and kernels that act as older ones.
 *
 * @module kernel
 */

export { ERRNO, type ErrnoName, errnoName, KernelError, KernelUnavailableError } from './error.ts';
export { forwarding } from './forward.ts';
export type {
  ChildChange,
  Credentials,
  DirectoryEntry,
  FileStatus,
  FilesystemStatus,
  Identity,
  Kernel,
  KernelPath,
  NamedHandle,
  PeekedMessage,
  Peer,
  PollEntry,
  Readiness,
  ReceivedMessage,
  SimulatedChild,
  Simulation,
} from './kernel.ts';
export { MARK_SUBTREE } from './kernel.ts';
export { KERNEL_BEHAVIOURS, limitKernel } from './limit.ts';
export { LinuxKernel, linuxKernel } from './linux.ts';
export { type Answer, type Capabilities, type EventBit, probe, type RecordType } from './probe.ts';

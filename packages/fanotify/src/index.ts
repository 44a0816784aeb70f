// The public face: re-exports, nothing else.

/**
 * See every file access on Linux: groups, marks and typed events. Start with {@link Group}; docs/guide.md leads through it.
 *
 * @module fanotify
 */

export {
  GroupClosedError,
  InvalidOptionsError,
  LimitError,
  NoSuchPathError,
  NotDirectoryError,
  NotMarkedError,
  NotPermittedError,
  UnknownEventError,
  UnsupportedError,
  UnsupportedFilesystemError,
} from './group/errors.ts';
export type {
  CausedByProcess,
  EventBase,
  EventJson,
  FileEvent,
  FilesystemErrorEvent,
  GroupEvent,
  GroupMode,
  Located,
  MountEvent,
  ObjectHandle,
  OverflowEvent,
  RenameEvent,
} from './group/events.ts';
export { Group } from './group/group.ts';
export {
  type AccessEventName,
  EVENT_BITS,
  type EventName,
  type FileEventName,
  isEventName,
  type MountEventName,
} from './group/names.ts';
export type {
  DescriptorGroupOptions,
  FilesystemMarkOptions,
  GroupOptions,
  HandleGroupOptions,
  HandleReport,
  InodeMarkOptions,
  MarkOptions,
  MarkScope,
  ModeOf,
  MountGroupOptions,
  MountMarkOptions,
  MountNamespaceMarkOptions,
  ObjectEventName,
  ObjectMarkOptions,
} from './group/options.ts';
export type { GroupCounters, GroupSource, MarkTarget, UnmarkOptions } from './group/source.ts';
export type { Container, ContainerRuntime } from './identity/cgroup.ts';
export type { GroupMark } from './identity/marks.ts';
export type { PathAsOf } from './identity/path.ts';
export type { ProcessDepth, ProcessInfo, ProcessJson } from './identity/process.ts';

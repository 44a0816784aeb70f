// The public face: re-exports, nothing else.

/**
 * See every file access on Linux: groups, marks and typed events. Start with {@link Group}; docs/guide.md leads through it.
 *
 * @module fanotify
 */

export { type WatchOptions, watch } from './client/watch.ts';
export type {
  FilesystemCoverage,
  GuardCoverage,
  GuardedSubtree,
  NotHeldReason,
} from './decision/coverage.ts';
export {
  AlreadyAnsweredError,
  DecideError,
  DecideModuleError,
  GuardClosedError,
  RequestSettledError,
  ResponderDiedError,
  ScannerError,
} from './decision/errors.ts';
export { type Guard, type GuardEvents, guard, type KernelDenied, type TimeoutNotice } from './decision/guard.ts';
export type { LatencyQuantiles } from './decision/latencies.ts';
export type {
  Decide,
  DecideNow,
  Decision,
  DenyOptions,
  Exemption,
  GuardOptions,
  GuardTarget,
  PermissionEvent,
  PermissionRequest,
  VerdictOptions,
} from './decision/options.ts';
export type { Accounts } from './decision/policy/accounts.ts';
export type {
  CompiledGlob,
  CompiledGlobs,
  CompiledNumbers,
  CompiledPolicy,
  CompiledRule,
  ContainerTest,
  ModeBits,
  PolicyAction,
  PolicyLog,
} from './decision/policy/compiled.ts';
export { PolicyEvaluator } from './decision/policy/evaluate.ts';
export { loadPolicy, type ParsePolicyOptions, type Policy, parsePolicy } from './decision/policy/policy.ts';
export { PolicyError, type PolicyProblem } from './decision/policy/problem.ts';
export type { FileFacts, Place as PolicyPlace, Subject as PolicySubject } from './decision/policy/subject.ts';
export type { DecidedBy, DecisionRecord, RecordedPlace } from './decision/record.ts';
export type { ScanOptions } from './decision/scan/options.ts';
export { type ScanGuardOptions, scan } from './decision/scan/scan.ts';
export type { ScannerStatus } from './decision/scan/status.ts';
export type { GuardStatus } from './decision/status.ts';
export type { DenyErrno, PermissionEventName, Verdict } from './decision/verdict.ts';
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
export {
  DirectedListener,
  type ListenEvent,
  type ListenOptions,
  listen,
  type SubtreeCoverage,
} from './scope/directed-listener.ts';
export type { SystemExclusions } from './scope/exclusions.ts';
export type { FoundEvent, FoundJson } from './scope/found.ts';
export {
  GlobalListener,
  type ListenEverywhereEvent,
  type ListenEverywhereOptions,
  listenEverywhere,
} from './scope/global-listener.ts';
export type { GoneEvent, GoneJson } from './scope/gone.ts';
export type { ListenerOptions } from './scope/listener-options.ts';
export type { MountBelow, MountChange } from './scope/mounts-below.ts';
export type {
  RunCategory,
  RunCount,
  RunCoverage,
  RunDenied,
  RunFile,
  RunProcess,
  RunRename,
  RunReport,
} from './scope/run-report.ts';
export type { Subtree } from './scope/subtree.ts';
export type {
  BlindSpot,
  HeardFilesystem,
  SystemCoverage,
  SystemCoverageChange,
  UnheardFilesystem,
  WhyNotHeard,
} from './scope/system-coverage.ts';
export type {
  Change,
  ChangeBase,
  ChangedEntry,
  EntryChange,
  EntryType,
  RenameChange,
  RescanChange,
} from './watch/change.ts';
export { BaselineError, SnapshotError } from './watch/errors.ts';
export { NoFallbackError } from './watch/fallback/errors.ts';
export type { BaselineKind } from './watch/options.ts';
export type { Hearing, WatchCounters, Watcher, WhyInodes } from './watch/watcher.ts';

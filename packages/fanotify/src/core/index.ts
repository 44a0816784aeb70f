// The face `fanotify/core`: re-exports, nothing else.

/**
 * `fanotify/core`: groups with numeric priority over as few kernel groups as there are classes in use: what the kernel of the 2009
 * proposal would have done.
 *
 * @module core
 */

export { Channel, type ChannelClass } from './channel.ts';
export { Core, type CoreParts, type Feed, type Seen } from './core.ts';
export { Dispatcher, type Happening } from './dispatch.ts';
export { CallError } from './errors.ts';
export { CoreGroup, type GroupBounds, type HeldAccess } from './group.ts';
export type { Holdings } from './holdings.ts';
export { Listener } from './listener.ts';
export type { HeldEvent, ListenerEvent, LostEvent, NotificationEvent } from './listener-events.ts';
export type { HeldEventName, ListenerEventName, ListenerMark, ListenerOptions } from './listener-options.ts';
export { type Attached, Filesystem, type Mark, Marked, MarkedObject, type MarkOwner, Subtree } from './marks.ts';
export type { CoreEvent, GroupSettings, GroupStatistics, MarkChange, MarkScope } from './types.ts';

// The face `fanotify/parcel-watcher`: re-exports, nothing else.

/**
 * `fanotify/parcel-watcher`: the calls of @parcel/watcher 2, so that a program that uses it changes one import.
 *
 * @module parcel-watcher
 */

import { getEventsSince, writeSnapshot } from './watch/parcel/snapshots.ts';
import { subscribe, unsubscribe } from './watch/parcel/subscriptions.ts';
import type * as types from './watch/parcel/types.ts';

export { SnapshotError } from './watch/errors.ts';
export { NoFallbackError } from './watch/fallback/errors.ts';
export { EventsLostError } from './watch/parcel/errors.ts';
export { getEventsSince, writeSnapshot } from './watch/parcel/snapshots.ts';
export { subscribe, unsubscribe } from './watch/parcel/subscriptions.ts';
export type {
  AsyncSubscription,
  BackendType,
  Event,
  EventType,
  Options,
  SubscribeCallback,
} from './watch/parcel/types.ts';

/** All in one, as `import watcher from '@parcel/watcher'` has it. */
const ParcelWatcher = { getEventsSince, subscribe, unsubscribe, writeSnapshot };

/** The types, as `watcher.Event` and the like. */
declare namespace ParcelWatcher {
  export type AsyncSubscription = types.AsyncSubscription;
  export type BackendType = types.BackendType;
  export type Event = types.Event;
  export type EventType = types.EventType;
  export type Options = types.Options;
  export type SubscribeCallback = types.SubscribeCallback;
}

// biome-ignore lint/style/noDefaultExport: the original has one.
export default ParcelWatcher;

// A program that is written against the types of @parcel/watcher compiles against its face: never run, only compiled.

import type original from '@parcel/watcher';
import * as all from '../src/parcel-watcher.ts';
import watcher, {
  type AsyncSubscription,
  type BackendType,
  type Event,
  type EventType,
  getEventsSince,
  type Options,
  type SubscribeCallback,
  subscribe,
  unsubscribe,
  writeSnapshot,
} from '../src/parcel-watcher.ts';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Same<A, B>): void => {};

// What takes one takes the other.
const replacing: typeof original = watcher;
const replacingAll: typeof original = all;
same<Parameters<typeof writeSnapshot>['length'], 2 | 3>(true);
same<keyof typeof original, 'subscribe' | 'unsubscribe' | 'writeSnapshot' | 'getEventsSince'>(true);

// The types, by name and through the default export.
same<Event, original.Event>(true);
same<EventType, original.EventType>(true);
same<BackendType, original.BackendType>(true);
same<AsyncSubscription, original.AsyncSubscription>(true);
same<SubscribeCallback, original.SubscribeCallback>(true);
same<Event, watcher.Event>(true);
same<Options, watcher.Options>(true);
same<AsyncSubscription, watcher.AsyncSubscription>(true);
const theirs: original.Options = { ignore: ['a', /b/], backend: 'inotify' };
const options: Options = theirs;

// As its README has it.
const subscription = await watcher.subscribe(process.cwd(), (error, events) => {
  same<typeof error, Error | null>(true);
  for (const { type, path } of events) console.log(type === 'create' ? path.length : 0);
});
await subscription.unsubscribe();
const fn: SubscribeCallback = async (_error, events) => events.length;
await subscribe('/tmp', fn, options);
await unsubscribe('/tmp', fn, options);
const path: string = await writeSnapshot('/tmp', '/snapshot', { ignore: ['a'] });
const events: Event[] = await getEventsSince('/tmp', path);

// What is ours alone.
await subscribe('/tmp', fn, { fallback: false });

// @ts-expect-error there is no such backend
await subscribe('/tmp', fn, { backend: 'fanotify' });
// @ts-expect-error a callback is needed
await subscribe('/tmp');

export { events, replacing, replacingAll };

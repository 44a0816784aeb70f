// The types of @parcel/watcher 2, so that what is written against them compiles against these.

/** What happened to an entry. A rename is a `delete` and a `create`. */
export type EventType = 'create' | 'update' | 'delete';

/** Something happened to a file or directory. */
export interface Event {
  /** Absolute, below the directory as it was named. Bytes that are not valid UTF-8 are replaced. */
  path: string;
  type: EventType;
}

/** Names that @parcel/watcher gives to what it hears with. They matter here only where there is no fanotify. */
export type BackendType = 'fs-events' | 'watchman' | 'inotify' | 'windows' | 'brute-force';

/** What every call takes. */
export interface Options {
  /**
   * What to leave out, with all below it: paths (absolute, or relative to the directory), globs (compared with the whole path
   * relative to the directory, as picomatch does), and regular expressions without flags (searched for in that path).
   */
  ignore?: (string | RegExp)[];
  /** Taken as it is, and of no matter: only @parcel/watcher has a choice, where there is no fanotify. */
  backend?: BackendType;
  /**
   * What to do where the system refuses fanotify: to take @parcel/watcher instead (default), which may lose events in silence,
   * or with `false` to reject. Not in @parcel/watcher.
   */
  fallback?: boolean;
}

/** Told what happened, in one call for many changes at a time; or what went wrong, and then no events. */
export type SubscribeCallback = (err: Error | null, events: Event[]) => unknown;

/** What {@link subscribe} gives. */
export interface AsyncSubscription {
  /** Resolves when nothing is told any more. Safe to call twice. */
  unsubscribe(): Promise<void>;
}

// What goes wrong behind the face of @parcel/watcher, beside what goes wrong with watch().

/**
 * Events were lost, and what had been told could not be compared with what is on disk: list what you need again. The subscription goes
 * on. The message ends as @parcel/watcher's own, which programs look for.
 *
 * @example
 * import { mkdtemp } from 'node:fs/promises';
 * import { EventsLostError, subscribe } from 'fanotify/parcel-watcher';
 * const directory = await mkdtemp('/tmp/parcel-');
 * const subscription = await subscribe(directory, (error, events) => {
 *   if (error instanceof EventsLostError) console.log(`list ${error.path} again`);
 *   else if (error) console.error('nothing more comes:', error.message);
 *   else console.log(events.length);
 * });
 * await subscription.unsubscribe();
 */
export class EventsLostError extends Error {
  static {
    EventsLostError.prototype.name = 'EventsLostError';
  }
  readonly code = 'EVENTS_LOST';
  /** What was watched. */
  readonly path: string;
  constructor(path: string) {
    super(
      `Events of ${JSON.stringify(path)} were lost before it had been listed for the first time. File system must be re-scanned.`,
    );
    this.path = path;
  }
}

// What the events of a group's queue say of the places of directories: told to the paths as each is delivered, and kept of
// those that are read and not yet delivered.

import { FAN_CREATE, FAN_DELETE, FAN_ONDIR } from '../abi/index.ts';
import type { DirectoryPaths, HandleKey } from '../identity/directories.ts';
import type { Location } from '../identity/locator.ts';
import type { KernelEvent } from './kernel-event.ts';
import { RoundRenames } from './renames.ts';

const ONDIR = Number(FAN_ONDIR);
const CREATE = Number(FAN_CREATE);
const DELETE = Number(FAN_DELETE);

/** A change of a directory's place. */
interface Change {
  readonly from: Location | 'elsewhere';
  /** How many overflows were read before it. */
  readonly overflows: number;
}

/** Changes of place, of events that are read and of events that are delivered. */
export class PlaceChanges {
  readonly #paths: DirectoryPaths;
  /** By directory: each change of its place that is read and not delivered, in the queue's order. */
  readonly #ahead = new Map<HandleKey, Change[]>();
  readonly #renames = new RoundRenames();
  /** How many overflows were read, and how many delivered. */
  #overflowsRead = 0;
  #overflowsDelivered = 0;
  #round = 0;
  /** The round in which events were lost: until it is over, more may be, of which nothing tells as long as the overflow itself is queued. */
  #lostIn: number | undefined;

  constructor(paths: DirectoryPaths) {
    this.#paths = paths;
  }

  /** An event is read: remembers where the directory was before it. */
  read(event: KernelEvent): void {
    if (event.kind === 'overflow') this.#overflowsRead++;
    if (!endsPlace(event)) return;
    const key = event.keyOf(event.fidRecord);
    const from = locationIn(event, event.kind === 'rename' ? event.oldDfidRecord : event.dfidRecord) ?? 'elsewhere';
    const change: Change = { from, overflows: this.#overflowsRead };
    const changes = this.#ahead.get(key);
    if (changes) changes.push(change);
    else this.#ahead.set(key, [change]);
  }

  /** Whether events are lost between what is delivered and what was read last. */
  get hasLossAhead(): boolean {
    return this.#overflowsRead !== this.#overflowsDelivered;
  }

  before(key: HandleKey): Location | 'elsewhere' | undefined {
    const change = this.#ahead.get(key)?.[0];
    // A change behind an overflow is not the first one.
    return change?.overflows === this.#overflowsDelivered ? change.from : undefined;
  }

  suspects(key: HandleKey): readonly Location[] | undefined {
    return this.#renames.suspects(key);
  }

  /** What is delivered from now on is of this round. */
  startRound(round: number): void {
    const suspects = this.#renames.startRound(round);
    const hasLost = this.#lostIn !== undefined && round > this.#lostIn;
    if (hasLost) this.#lostIn = undefined;
    this.#round = round;
    if (suspects === 'all' || hasLost) this.#paths.forget();
    else for (const [key, places] of suspects) this.#paths.uncertain(key, places);
  }

  /** Events were lost here. */
  lost(): void {
    this.#overflowsDelivered++;
    this.#lostIn = this.#round;
    this.#paths.forget();
    this.#renames.suspectAll();
  }

  /** An event is delivered: learns from it where a directory is now, for the events behind it. */
  delivered(event: KernelEvent): void {
    if (!event.directory || event.fidRecord === 0) return;
    const isRename = event.kind === 'rename';
    if (!isRename && (event.maskLow & (CREATE | DELETE)) === 0) return;
    const key = event.keyOf(event.fidRecord);
    if (endsPlace(event)) this.#forgetChange(key);
    const to = locationIn(event, event.dfidRecord);
    if (isRename) {
      this.#renames.add(key, locationIn(event, event.oldDfidRecord), to);
      this.#paths.moved(key, to, true);
    } else if ((event.maskLow & CREATE) !== 0 && to) {
      this.#paths.moved(key, to, false);
    }
  }

  #forgetChange(key: HandleKey): void {
    const changes = this.#ahead.get(key);
    changes?.shift();
    if (changes?.length === 0) this.#ahead.delete(key);
  }
}

/** Whether after an event a directory is no longer where it was. */
function endsPlace(event: KernelEvent): boolean {
  if ((event.maskLow & ONDIR) === 0 || event.fidRecord === 0) return false;
  return event.kind === 'rename' || ((event.maskLow & DELETE) !== 0 && event.dfidRecord !== 0);
}

/** The place that a record of an event names. */
function locationIn(event: KernelEvent, record: number): Location | undefined {
  return record === 0 ? undefined : { parent: event.keyOf(record), name: Buffer.from(event.nameIn(record)) };
}

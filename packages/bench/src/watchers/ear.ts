// The consumer of a watcher: applies what it is told to a model, counts, and takes the time of changes whose name says when they were
// made. The same for all watchers, so that what they tell is what differs.

import { type Kind, kindAt, Model, walk } from '../model.ts';

/** A file named so was made then: nanoseconds of CLOCK_MONOTONIC, as c/steady.c names them. */
const TIMED = /\/t(\d{6,})$/;

export class Ear {
  readonly model: Model;
  /** How many events came, of whatever kind. */
  events = 0;
  /** Why nothing more will be told. */
  ended: string | undefined;
  /** From when a file was made to when it was told, in microseconds. */
  readonly latenciesUs: number[] = [];
  readonly #listened = new Map<string, (heard: true) => void>();

  constructor(root: string) {
    this.model = new Model(root);
  }

  /** It came, or changed. `kind`: as it was told. */
  told(path: string, kind: Kind): void {
    this.events++;
    if (this.model.set(path, kind)) this.#news(path);
  }

  /**
   * It came, or changed, and what it is was not told: looks, as who uses such a watcher has to. A directory that is new is listed,
   * since not every watcher tells what was in it.
   */
  look(path: string, moved = false): void {
    this.events++;
    const kind = kindAt(path);
    if (kind === undefined) {
      this.model.delete(path);
      return;
    }
    const isNews = this.model.set(path, kind);
    if (isNews) this.#news(path);
    if (kind === 'd' && (isNews || moved)) this.list(path);
  }

  /** It went. */
  gone(path: string): void {
    this.events++;
    this.model.delete(path);
  }

  /** It has another path. Returns whether it was known. */
  moved(from: string, to: string): boolean {
    this.events++;
    const isKnown = this.model.move(from, to);
    if (isKnown) this.#news(to);
    return isKnown;
  }

  /** Takes what is below a directory as it is on disk. */
  list(directory: string): void {
    walk(directory, (path, kind) => {
      if (this.model.set(path, kind)) this.#news(path);
    });
  }

  /** Forgets what was told of it and takes it as it is on disk. */
  relist(directory: string): void {
    this.events++;
    this.model.delete(directory);
    const kind = kindAt(directory);
    if (kind === undefined) return;
    this.model.set(directory, kind);
    if (kind === 'd') this.list(directory);
  }

  /** Resolves when it was told of. */
  listenFor(path: string): Promise<true> {
    if (this.model.has(path)) return Promise.resolve(true);
    return new Promise((resolve) => this.#listened.set(path, resolve));
  }

  #news(path: string): void {
    const made = TIMED.exec(path)?.[1];
    if (made !== undefined) this.latenciesUs.push(Number(process.hrtime.bigint() - BigInt(made)) / 1000);
    this.#listened.get(path)?.(true);
    this.#listened.delete(path);
  }
}

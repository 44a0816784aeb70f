// What watch() can be asked for.

import type { ProcessDepth } from '../identity/process.ts';
import type { Kernel } from '../kernel/index.ts';

/** What watch() knows of the tree, to compare with after events were lost. */
export type BaselineKind = 'none' | 'memory' | 'file';

export interface WatchOptions {
  /** All that is below the paths, or (false) only them and their entries. Default true. */
  readonly recursive?: boolean | undefined;
  /**
   * Globs (picomatch) of what to leave out, with all below it. Without '/' a glob is compared with each name below the root, with '/'
   * with the path relative to the root, one that starts with '/' with the absolute path. A function is asked about paths relative to
   * the root, name by name on the way down. What is left out is never looked at.
   */
  readonly ignore?: readonly (string | ((relative: string) => boolean))[] | undefined;
  /** Tell what is there already, as `create` with `found: 'initial'`, before `ready`. Default false. */
  readonly initial?: boolean | undefined;
  /** A snapshot's path: tells first what has changed since it was written, with `found: 'snapshot'`. */
  readonly since?: string | undefined;
  /**
   * What to compare with after a loss. `file` (default): a listing in a temporary file, made in the background; little memory, however
   * large the tree. `memory`: the same in memory, faster. `none`: nothing; ready at once, and a loss is told with `complete: false`.
   */
  readonly baseline?: BaselineKind | undefined;
  /** How long changes are gathered at most before they are told, in milliseconds; several of one entry become one. Default 20. */
  readonly delayMs?: number | undefined;
  /** Whether file systems mounted below the paths belong to them. Default true. */
  readonly crossMounts?: boolean | undefined;
  /** How much `by` says of processes; false: nothing. Default `name`, where the kernel tells (root). */
  readonly by?: ProcessDepth | false | undefined;
  /**
   * What to do where the system refuses fanotify (another OS, Linux before 5.13 without root, a container's seccomp profile): hear
   * through @parcel/watcher if that is installed, with a warning (FANOTIFY_FALLBACK), since it may lose events in silence; or (false)
   * fail. Default true.
   */
  readonly fallback?: boolean | undefined;
  /** Told each batch, in order; a promise that it gives is waited for. Without, iterate. */
  readonly onChanges?: ((changes: readonly import('./change.ts').Change[]) => void | Promise<void>) | undefined;
  /**
   * Told what has ended a watch with `onChanges` after it was ready, `onChanges` throwing among it. Without, that is thrown as an
   * uncaught exception. That it could not begin only {@link Watcher.ready} tells.
   */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** Ends the watch; iteration then throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** The kernel to ask. Default: Linux. */
  readonly kernel?: Kernel | undefined;
}

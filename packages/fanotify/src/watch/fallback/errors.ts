// What goes wrong where the system refuses fanotify.

/**
 * The system refuses fanotify, and what would be taken instead cannot be had: @parcel/watcher is not installed, or does not load.
 * `cause` is why fanotify is refused, `fallbackCause` why the other cannot be had.
 *
 * @example
 * import { NoFallbackError, watch } from 'fanotify';
 * const watcher = watch('/tmp', { recursive: false, baseline: 'none' });
 * try {
 *   await watcher.ready;
 * } catch (error) {
 *   if (!(error instanceof NoFallbackError)) throw error;
 *   console.error(error.code, error.message);
 * }
 * await watcher.close();
 */
export class NoFallbackError extends Error {
  static {
    NoFallbackError.prototype.name = 'NoFallbackError';
  }
  readonly code = 'NO_FALLBACK';
  readonly fallbackCause: unknown;
  constructor(refusal: Error, fallbackCause: unknown) {
    const isMissing = (fallbackCause as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND';
    const why = isMissing ? 'is not installed' : `does not load (${(fallbackCause as Error).message})`;
    super(
      `fanotify is refused here (${refusal.message}), and @parcel/watcher, which would be taken instead, ${why}: make fanotify possible, or 'npm install @parcel/watcher'`,
      { cause: refusal },
    );
    this.fallbackCause = fallbackCause;
  }
}

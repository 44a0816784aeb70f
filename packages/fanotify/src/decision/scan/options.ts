// How files are scanned.

import type { Verdict } from '../verdict.ts';

/** How files are scanned by clamd, ClamAV's daemon. */
export interface ScanOptions {
  /** The absolute path of its socket: LocalSocket in clamd.conf, on Debian /run/clamav/clamd.ctl. */
  readonly clamd: string;
  /**
   * Larger files are not scanned, in bytes. Default 104,857,600 (100 MiB), as clamd's MaxFileSize. More is no use: what is beyond its own
   * limits clamd calls clean, without a look at it (unless it has `AlertExceedsMax yes`).
   */
  readonly maxBytes?: number | undefined;
  /** What files get that are larger. Default `allow`. */
  readonly onTooLarge?: Verdict | undefined;
  /** How long one scan may take, once clamd has the file, in milliseconds: then it gets `onTimeout`. Default: no limit but the guard's `deadlineMs`. */
  readonly timeoutMs?: number | undefined;
  /**
   * For how long what was found clean is not scanned again at most, in milliseconds. It is scanned again within some ten seconds anyway when clamd's version or the memory that
   * its signatures take has changed; a few signatures of your own may show in neither. Default 600,000 (ten minutes).
   */
  readonly keepMs?: number | undefined;
  /** How many scans are under way at a time; clamd has threads for as many as MaxThreads says. More wait their turn. Default 16. */
  readonly concurrency?: number | undefined;
}

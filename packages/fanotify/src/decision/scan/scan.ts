// scan(): a guard that lets clamd decide.

import { type Guard, guard } from '../guard.ts';
import type { GuardOptions, GuardTarget } from '../options.ts';
import type { ScanOptions } from '../scan/options.ts';

/** What {@link scan} is asked for: how to scan, and what a guard can be asked for besides. */
export type ScanGuardOptions = ScanOptions & Omit<GuardOptions, 'decide' | 'policy' | 'scan'>;

/**
 * Holds opens until clamd, ClamAV's daemon, has scanned the file: what it finds something in is denied. An execution opens the program
 * and its libraries, so that it is held by `open`, too.
 *
 * The file's descriptor goes to clamd, not its path or content; several are scanned at a time. Clean files that root alone can
 * write to are not scanned again while they are unchanged. clamd itself is let in. While it is away, or slow, the failure policy of
 * the guard holds; it is asked again by itself when it is back. docs/scanning.md has more.
 *
 * Since Linux 5.13. Privilege: root (CAP_SYS_ADMIN).
 *
 * @throws ScannerError when clamd cannot be asked, and what {@link guard} throws. Nothing is held then.
 * @example
 * import { existsSync } from 'node:fs';
 * import { scan } from 'fanotify';
 * const clamd = '/run/clamav/clamd.ctl';
 * if (existsSync(clamd) && process.getuid() === 0) {
 *   const gate = await scan('/srv/uploads', { clamd, scope: 'subtree', records: true }).catch((error) => console.error(error.message));
 *   gate?.on('decision', ({ signature, file }) => signature && console.log(signature, file.path));
 *   await gate?.close();
 * }
 */
export function scan(target: GuardTarget, options: ScanGuardOptions): Promise<Guard> {
  const { clamd, maxBytes, onTooLarge, timeoutMs, keepMs, concurrency, ...rest } = options ?? {};
  return guard(target, {
    records: 'denied',
    ...rest,
    scan: { clamd, maxBytes, onTooLarge, timeoutMs, keepMs, concurrency },
  });
}

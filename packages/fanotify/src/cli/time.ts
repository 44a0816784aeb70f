// `--timefmt`: the time of an event, by a format of strftime(3).

import { strftime } from '../kernel/strftime.ts';
import { UserError } from './failure.ts';

/** ISO 8601 with the zone's offset: sorts, and says which hour it is in the night when there are two of it. */
export const DEFAULT_TIME_FORMAT = '%Y-%m-%dT%H:%M:%S%z';

// Flags, a width, a modifier and a conversion: strftime(3). The C library would print what it does not know as it is.
const CONVERSION = /%(?:[_^#0-]*\d*[EO]?[aAbBcCdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ%]|(.?))/gsu;

/**
 * Makes a function from milliseconds since 1970 to local time.
 *
 * @throws UserError for what strftime(3) does not know.
 */
export function compileTime(format: string): (timeMs: number) => string {
  for (const [, unknown] of format.matchAll(CONVERSION)) {
    if (unknown === undefined) continue;
    const what = unknown === '' ? 'it ends in a lone %' : `there is no %${unknown}`;
    throw new UserError(
      `--timefmt ${JSON.stringify(format)}: ${what}: write %% for a percent sign, else see strftime(3)`,
    );
  }
  const text = (timeMs: number): string => {
    const made = strftime(format, timeMs);
    if (made !== undefined) return made;
    throw new UserError(`--timefmt ${JSON.stringify(format)}: the C library makes nothing of it: see strftime(3)`);
  };
  // Before anything is watched.
  text(Date.now());
  let second = Number.NaN;
  let last = '';
  return (timeMs) => {
    const now = Math.floor(timeMs / 1000);
    if (now !== second) last = text(timeMs);
    second = now;
    return last;
  };
}

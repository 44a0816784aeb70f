// How a command that prints events ends: with which status, and which last words.

import { constants } from 'node:os';
import { reasonOf, UserError } from './failure.ts';
import type { OutputError } from './output.ts';
import type { Screen } from './screen.ts';
import type { Stopping } from './stopping.ts';
import type { Ending } from './surroundings.ts';

/** How many events were written, and how many were read and not written. */
export interface Written {
  written: number;
  unwritten: number;
}

/** Ends well when the reader of the output has gone. @throws UserError for any other failure to write. */
export function outputFailure(error: OutputError, count: Written): Ending {
  if (error.code === 'EPIPE') return { status: 0 };
  throw new UserError(`${error.message}: ${reasonOf(error.cause)}; ${count.written} events are in it${missing(count)}`);
}

/** The ending of a command that was not ended by an error. */
export function endingOf(why: Stopping['why'], count: Written, overflows: number, screen: Screen): Ending {
  if (why === undefined || why === 'timeout') return { status: 0 };
  const lost = overflows === 0 ? 'none lost' : `events lost ${overflows === 1 ? 'once' : `${overflows} times`}`;
  screen.say(`${count.written} ${count.written === 1 ? 'event' : 'events'}, ${lost}${missing(count)}`);
  return why === 'quit' ? { status: 0 } : { status: 128 + constants.signals[why], signal: why };
}

function missing({ unwritten }: Written): string {
  if (unwritten === 0) return '';
  return unwritten === 1 ? ', and 1 that was read is not' : `, and ${unwritten} that were read are not`;
}

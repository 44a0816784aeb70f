// What listeners of both scopes can be asked for, and what is refused before anything is opened.

import { InvalidOptionsError } from '../group/errors.ts';
import { assertEventName, assertKnown } from '../group/flags.ts';
import type { HandleGroupOptions } from '../group/options.ts';

/** What a listener takes as {@link Group.open} does: see {@link HandleGroupOptions}. */
export type ListenerOptions = Pick<
  HandleGroupOptions,
  'queue' | 'marks' | 'ownEvents' | 'who' | 'signal' | 'bufferBytes' | 'maxDirectories' | 'kernel'
>;

const GROUP_OPTIONS = [
  'queue',
  'marks',
  'ownEvents',
  'who',
  'signal',
  'bufferBytes',
  'maxDirectories',
  'kernel',
] as const;

/** The part of a listener's options that is its group's. */
export function groupOptionsOf(options: ListenerOptions): HandleGroupOptions {
  return Object.fromEntries(GROUP_OPTIONS.map((name) => [name, options[name]]));
}

/** @throws InvalidOptionsError, UnknownEventError */
export function assertListenOptions(
  call: string,
  options: ListenerOptions & { readonly events: readonly string[] },
  others: readonly string[],
): void {
  assertKnown(call, options, ['events', 'onCoverage', ...others, ...GROUP_OPTIONS]);
  if (!Array.isArray(options.events) || options.events.length === 0) {
    throw new InvalidOptionsError(`${call} needs events, as in { events: ['create'] }`);
  }
  for (const name of options.events) assertEventName(name);
}

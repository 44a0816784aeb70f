// The options of listeners of the core, and their checks.

import {
  FAN_ACCESS_PERM,
  FAN_EVENT_ON_CHILD,
  FAN_ONDIR,
  FAN_OPEN_EXEC_PERM,
  FAN_OPEN_PERM,
  FAN_PRE_ACCESS,
  type Fsid,
} from '../abi/index.ts';
import { InvalidOptionsError, UnknownEventError } from '../group/errors.ts';
import { type AccessEventName, EVENT_BITS } from '../group/names.ts';
import { nearest } from '../group/nearest.ts';
import type { MarkTarget } from '../group/source.ts';
import type { MarkScope } from './types.ts';

/** What is asked before it happens: the opposite of the events of the same names without `Perm`, and `preAccess` (Linux 6.14). */
export type HeldEventName = 'openPerm' | 'openExecPerm' | 'accessPerm' | 'preAccess';

/** What a listener of the core hears: what happens to open files, and what is asked before. */
export type ListenerEventName = AccessEventName | HeldEventName;

/** The bit of each event of a listener. */
export const LISTENER_BITS: Readonly<Record<ListenerEventName, bigint>> = {
  access: EVENT_BITS.access,
  modify: EVENT_BITS.modify,
  closeWrite: EVENT_BITS.closeWrite,
  closeNowrite: EVENT_BITS.closeNowrite,
  open: EVENT_BITS.open,
  openExec: EVENT_BITS.openExec,
  openPerm: FAN_OPEN_PERM,
  openExecPerm: FAN_OPEN_EXEC_PERM,
  accessPerm: FAN_ACCESS_PERM,
  preAccess: FAN_PRE_ACCESS,
};

/** How a listener is opened. */
export interface ListenerOptions {
  /** From 0 to 4,294,967,295: the higher is asked first, equal ones in order of creation. @defaultValue 0 */
  readonly priority?: number | undefined;
  /** What to hear of the whole system: a global listener. Left out, it hears what it marks: a directed one. */
  readonly events?: readonly ListenerEventName[] | undefined;
  /** Whether a global listener hears of directories, too. @defaultValue false */
  readonly directories?: boolean | undefined;
  /** Types of file systems that a global listener leaves out: `f_type` of statfs(2), as `stat -f -c 0x%t PATH` prints it. */
  readonly excludeTypes?: readonly number[] | undefined;
  /** Single file systems that it leaves out: the two 32-bit numbers of the fsid. */
  readonly excludeFilesystems?: readonly Fsid[] | undefined;
  /** For how long an access waits for this listener, in milliseconds: from 1 to 3,600,000. @defaultValue 5000 */
  readonly deadlineMs?: number | undefined;
  /** What an access gets then. @defaultValue 'allow' */
  readonly onTimeout?: 'allow' | 'deny' | undefined;
  /** `preContent` hears `preAccess`, and is asked before other programs' groups of class `content`. @defaultValue 'content' */
  readonly class?: 'content' | 'preContent' | undefined;
  /** Ends the listener. */
  readonly signal?: AbortSignal | undefined;
}

/** What a mark hears, and what it leaves out. */
export interface ListenerMark {
  /** What to hear. */
  readonly events?: readonly ListenerEventName[] | undefined;
  /** What not to hear of it, though another mark or the global mask would tell it. */
  readonly ignore?: readonly ListenerEventName[] | undefined;
  /** The object itself, everything on its file system, or a directory with all that is below. @defaultValue 'inode' */
  readonly scope?: MarkScope | undefined;
  /** Of a directory: its direct entries, too. @defaultValue true */
  readonly children?: boolean | undefined;
  /** What happens to directories, too. @defaultValue false */
  readonly directories?: boolean | undefined;
  /** `ignore` stays when the file is modified. @defaultValue false */
  readonly survivesModify?: boolean | undefined;
}

const OPTIONS = [
  'priority',
  'events',
  'directories',
  'excludeTypes',
  'excludeFilesystems',
  'deadlineMs',
  'onTimeout',
  'class',
  'signal',
] as const;
const UNMARK_OPTIONS = ['events', 'ignore', 'scope'] as const;
const MARK_OPTIONS = [...UNMARK_OPTIONS, 'children', 'directories', 'survivesModify'] as const;
const U32 = 2 ** 32;
const LONGEST_MS = 3_600_000;

/** @throws InvalidOptionsError, UnknownEventError. */
export function checkListenerOptions(options: ListenerOptions): void {
  assertKnown('a listener', options, OPTIONS);
  whole('priority', options.priority, 0, U32 - 1);
  whole('deadlineMs', options.deadlineMs, 1, LONGEST_MS);
  oneOf('onTimeout', options.onTimeout, ['allow', 'deny']);
  oneOf('class', options.class, ['content', 'preContent']);
  eventNames('events', options.events, options.class);
  yesOrNo('directories', options.directories);
  if (options.events?.length === 0) {
    throw new InvalidOptionsError(
      'events: name what to hear of the whole system, or leave it out and mark what to hear',
    );
  }
  const narrows = options.excludeTypes ?? options.excludeFilesystems ?? options.directories;
  if (!options.events && narrows !== undefined) {
    throw new InvalidOptionsError('excludeTypes, excludeFilesystems and directories go with events: a global listener');
  }
  listOf('excludeTypes', options.excludeTypes, is32Bits, 'a magic number, as in [0x9fa0]');
  listOf('excludeFilesystems', options.excludeFilesystems, isFsid, 'a pair of 32-bit numbers, as in [[1, 2]]');
  if (options.signal !== undefined && !(options.signal instanceof AbortSignal)) {
    throw new InvalidOptionsError(`signal: ${shown(options.signal)} is no AbortSignal`);
  }
}

/** @throws InvalidOptionsError, UnknownEventError. */
export function checkListenerMark(target: MarkTarget, mark: ListenerMark, ofClass: ListenerOptions['class']): void {
  assertKnown('a mark', mark, MARK_OPTIONS);
  yesOrNo('children', mark.children);
  yesOrNo('directories', mark.directories);
  yesOrNo('survivesModify', mark.survivesModify);
  checkMarked(target, mark, ofClass);
}

/** @throws InvalidOptionsError, UnknownEventError. */
export function checkListenerUnmark(target: MarkTarget, mark: ListenerMark): void {
  assertKnown('unmark()', mark, UNMARK_OPTIONS);
  checkMarked(target, mark, 'preContent');
}

function checkMarked(target: MarkTarget, mark: ListenerMark, ofClass: ListenerOptions['class']): void {
  oneOf('scope', mark.scope, ['inode', 'filesystem', 'subtree']);
  eventNames('events', mark.events, ofClass);
  eventNames('ignore', mark.ignore, ofClass);
  if ((mark.events ?? []).length === 0 && (mark.ignore ?? []).length === 0) {
    throw new InvalidOptionsError("a mark needs events to hear, or to ignore: { events: ['open'] }");
  }
  if (typeof target === 'string' || target instanceof Uint8Array) return;
  const isDescriptor = typeof target === 'object' && target !== null && 'fd' in target;
  if (!isDescriptor || !Number.isInteger(target.fd) || target.fd < 0) {
    throw new InvalidOptionsError('what is marked is a path, as a string or bytes, or an open descriptor: { fd }');
  }
}

/** The mask of some events that are {@link eventNames checked}, with the bits that say where else they are heard. */
export function listenerMask(
  events: readonly ListenerEventName[] | undefined,
  { directories = false, children = false }: Pick<ListenerMark, 'directories' | 'children'>,
): bigint {
  if (!events || events.length === 0) return 0n;
  let mask = 0n;
  for (const name of events) mask |= LISTENER_BITS[name];
  return mask | (directories ? FAN_ONDIR : 0n) | (children ? FAN_EVENT_ON_CHILD : 0n);
}

const NAMES = Object.entries(LISTENER_BITS) as readonly (readonly [ListenerEventName, bigint])[];

export function listenerNames(mask: bigint): ListenerEventName[] {
  return NAMES.filter(([, bit]) => (mask & bit) !== 0n).map(([name]) => name);
}

function assertKnown(what: string, options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new InvalidOptionsError(`${what} takes an object of options: ${known.join(', ')}`);
  }
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const meant = nearest(unknown, known);
  throw new InvalidOptionsError(
    `${what} has no option ${JSON.stringify(unknown)}: ${meant === undefined ? `it has ${known.join(', ')}` : `did you mean ${JSON.stringify(meant)}?`}`,
  );
}

function oneOf(name: string, value: unknown, known: readonly string[]): void {
  if (value === undefined || known.includes(value as string)) return;
  throw new InvalidOptionsError(`${name}: ${shown(value)} is none of ${known.join(', ')}`);
}

function yesOrNo(name: string, value: unknown): void {
  if (value === undefined || typeof value === 'boolean') return;
  throw new InvalidOptionsError(`${name}: ${shown(value)} is neither true nor false`);
}

/** On the wire a number that does not fit would become another. */
function whole(name: string, value: unknown, least: number, most: number): void {
  if (value === undefined) return;
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) return;
  throw new InvalidOptionsError(`${name}: ${shown(value)} is no whole number from ${least} to ${most}`);
}

function listOf(name: string, value: unknown, isOne: (item: unknown) => boolean, what: string): void {
  if (value === undefined) return;
  if (!Array.isArray(value)) throw new InvalidOptionsError(`${name}: ${shown(value)} is no list: each is ${what}`);
  const other: unknown = value.find((item) => !isOne(item));
  if (other !== undefined || !value.every(isOne)) {
    throw new InvalidOptionsError(`${name}: ${shown(other)} is not ${what}`);
  }
}

function eventNames(name: string, events: unknown, ofClass: ListenerOptions['class']): void {
  listOf(name, events, (item) => typeof item === 'string', "the name of an event, as in ['open']");
  for (const event of (events ?? []) as readonly string[]) {
    if (!Object.hasOwn(LISTENER_BITS, event)) {
      const known = Object.keys(LISTENER_BITS);
      throw new UnknownEventError(event, nearest(event, known), known);
    }
    if (event === 'preAccess' && ofClass !== 'preContent') {
      throw new InvalidOptionsError(`${name}: preAccess takes a listener that is opened with class: 'preContent'`);
    }
  }
}

function isFsid(value: unknown): boolean {
  return Array.isArray(value) && value.length === 2 && value.every(is32Bits);
}

/** Signed or not, it is the same. */
function is32Bits(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= -U32 / 2 && (value as number) < U32;
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(shown).join(', ')}]`;
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

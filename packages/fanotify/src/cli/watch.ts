// `fanotify watch`: prints what happens to files and directories, one line an event.

import { Command, InvalidArgumentError } from 'commander';
import { type FileEventName, Group, UnsupportedError } from '../index.ts';
import { markSubtrees, type Subtrees } from '../scope/subtree.ts';
import { parseEvents } from './events.ts';
import { reasonOf } from './failure.ts';
import { jsonLine, textFormat } from './lines.ts';
import { OutputError } from './output.ts';
import type { Ending, Surroundings } from './run.ts';
import { Screen } from './screen.ts';
import { shown } from './text.ts';

interface WatchOptions {
  readonly recursive?: true;
  readonly events?: FileEventName[];
  readonly exclude?: string[];
  readonly json?: true;
  readonly count?: number;
  readonly timeout?: number;
}

const HELP = `
Events:
  create delete rename modify attrib closeWrite closeNowrite open openExec access
  movedFrom movedTo deleteSelf moveSelf, and close, move, all for several.
  Names of the kernel (FAN_CLOSE_WRITE) and of inotifywait (close_write) will do.
  Without -e: create, modify, attrib, delete, rename.

Globs:
  Without '/', a glob is compared with each name below PATH; with '/', with the path
  relative to PATH. What is below something left out is left out too.

Exit status:
  0 after --count events, 1 on an error, 2 at the time-out.

As root, -r puts one mark on the file system and sees which process did it (pid).
Without root it marks each directory, and pid is '-' (0 in JSON): the kernel does not
tell it.`;

/** The command. `ended` is told how it ended. */
export function watchCommand(surroundings: Surroundings, ended: (ending: Ending) => void): Command {
  const collect = <T>(parse: (text: string) => T[]) => {
    return (text: string, before: T[] = []): T[] => [...before, ...parse(text)];
  };
  return new Command('watch')
    .summary('print what happens to files, as it happens')
    .description('Print what happens to files and directories, one line an event. Ctrl-C ends it.')
    .argument('<path...>', 'files or directories; of a directory, its entries too')
    .option('-r, --recursive', 'watch all that is below, too')
    .option('-e, --events <list>', 'which events, comma-separated; can be repeated', collect(parseEvents))
    .option(
      '--exclude <glob>',
      'leave out what matches; can be repeated',
      collect((glob) => [glob]),
    )
    .option('--json', 'print one JSON object a line')
    .option('--count <n>', 'end after so many events', wholeNumber)
    .option('--timeout <seconds>', 'end after so many seconds, with exit status 2', seconds)
    .addHelpText('after', HELP)
    .showHelpAfterError("Try 'fanotify help watch'.")
    .action(async (paths: string[], options: WatchOptions) => ended(await watch(paths, options, surroundings)));
}

function wholeNumber(text: string): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(number) || number < 1) {
    throw new InvalidArgumentError('It has to be a whole number of at least 1.');
  }
  return number;
}

// setTimeout takes 31 bits of milliseconds.
const LONGEST_SECONDS = 2 ** 31 / 1000 - 1;

function seconds(text: string): number {
  const number = Number(text);
  if (!/^\d*\.?\d+$/.test(text) || number <= 0 || number > LONGEST_SECONDS) {
    throw new InvalidArgumentError(`It has to be a number of seconds above 0, at most ${Math.floor(LONGEST_SECONDS)}.`);
  }
  return number;
}

const DEFAULT_EVENTS: readonly FileEventName[] = ['create', 'modify', 'attrib', 'delete', 'rename'];
const BEFORE_RENAME: readonly FileEventName[] = ['create', 'modify', 'attrib', 'delete', 'movedFrom', 'movedTo'];

type Stop = NodeJS.Signals | 'timeout' | 'count';

async function watch(paths: readonly string[], options: WatchOptions, surroundings: Surroundings): Promise<Ending> {
  const kernel = surroundings.kernel();
  const output = surroundings.openOutput();
  const screen = new Screen(output, surroundings.say);
  let stop: Stop | undefined;
  const group = await Group.open({ ownEvents: false, kernel });
  const end = (why: Stop) => {
    stop ??= why;
    void group.close();
  };
  const off = endings(end, options.timeout, surroundings.abort);
  let subtrees: Subtrees | undefined;
  let written = 0;
  let unwritten = 0;
  try {
    subtrees = await mark(group, paths, options);
    announce(subtrees, options, screen);
    const terminal = output.terminal;
    const format = options.json
      ? jsonLine
      : textFormat(terminal?.hasColours ?? false, () => (terminal ? terminal.columns : 0));
    const left = () => (options.count === undefined ? Number.POSITIVE_INFINITY : options.count - written);
    for await (const batch of subtrees.batches()) {
      const events = batch.length > left() ? batch.slice(0, left()) : batch;
      unwritten = events.length;
      await screen.print(events.map(format), group.counters.overflows, (lines) => {
        written += lines;
        unwritten -= lines;
      });
      if (left() <= 0) end('count');
    }
  } catch (error) {
    if (!(error instanceof OutputError)) throw error;
    if (error.code === 'EPIPE') return { status: 0 };
    const lost = unwritten === 1 ? '1 event that was read is' : `${unwritten} events that were read are`;
    surroundings.say(
      `fanotify: standard output cannot be written: ${reasonOf(error.cause)}; ${lost} not in it, after ${written} that are`,
    );
    return { status: 1 };
  } finally {
    off();
    await screen.close();
    await group.close();
  }
  const { overflows } = group.counters;
  if (stop === undefined) {
    screen.say(
      `fanotify: ${subtrees.roots.map(({ path }) => shown(path)).join(', ')} is gone: nothing is left to watch`,
    );
    return { status: 1 };
  }
  if (stop === 'timeout') return { status: 2 };
  if (stop === 'count') return { status: 0 };
  screen.say(
    `${written} ${written === 1 ? 'event' : 'events'}, ${overflows === 0 ? 'none lost' : `lost ${overflows} times`}`,
  );
  return { status: 128 + (stop === 'SIGINT' ? 2 : stop === 'SIGTERM' ? 15 : 1), signal: stop };
}

/** Marks, without renames where the kernel has none and nobody asked for them. */
async function mark(group: Group<'handle'>, paths: readonly string[], options: WatchOptions): Promise<Subtrees> {
  const subtree = {
    recursive: options.recursive === true,
    exclude: options.exclude ?? [],
    rootEvents: options.events ? [] : (['deleteSelf', 'moveSelf'] as const),
  };
  try {
    return await markSubtrees(group, paths, { ...subtree, events: options.events ?? DEFAULT_EVENTS });
  } catch (error) {
    if (!(error instanceof UnsupportedError) || options.events) throw error;
    return await markSubtrees(group, paths, { ...subtree, events: BEFORE_RENAME });
  }
}

/** Tells what is watched, and how; and what is not heard. */
function announce(subtrees: Subtrees, { recursive }: WatchOptions, screen: Screen): void {
  const roots = subtrees.roots;
  const names = roots.map(({ path }) => shown(path)).join(', ');
  const marked = subtrees.markedDirectories;
  const how = !recursive
    ? ''
    : ` and below (${
        marked === 0
          ? 'by a mark on the file system'
          : `${marked} ${marked === 1 ? 'directory' : 'directories'} marked one by one, as without root`
      })`;
  screen.say(`watching ${names}${how}`);
  const { unreadable } = subtrees;
  const [first] = unreadable;
  if (first !== undefined) {
    const others = unreadable.size === 1 ? '' : ` and ${unreadable.size - 1} more directories`;
    screen.say(`fanotify: ${shown(first)}${others} cannot be read by this user: what happens there is not seen`);
  }
  if (subtrees.unheard.length > 0) {
    screen.say(
      `fanotify: not seen, since these file systems cannot be marked: ${subtrees.unheard.map(shown).join(', ')}`,
    );
  }
}

/** Calls `end` at the first signal or the time-out; the result undoes it. */
function endings(end: (why: Stop) => void, timeoutSeconds?: number, abort?: AbortSignal): () => void {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const listeners = signals.map((signal) => [signal, () => end(signal)] as const);
  for (const [signal, listener] of listeners) process.once(signal, listener);
  const timer = timeoutSeconds === undefined ? undefined : setTimeout(() => end('timeout'), timeoutSeconds * 1000);
  const onAbort = () => end('SIGINT');
  abort?.addEventListener('abort', onAbort, { once: true });
  return () => {
    for (const [signal, listener] of listeners) process.removeListener(signal, listener);
    clearTimeout(timer);
    abort?.removeEventListener('abort', onAbort);
  };
}

// `fanotify watch`: prints what happens to files and directories, one line an event.

import { Command, Option } from 'commander';
import { MountWatch } from '../identity/mount-watch.ts';
import {
  type FileEventName,
  Group,
  GroupClosedError,
  NotPermittedError,
  type ProcessDepth,
  UnsupportedError,
} from '../index.ts';
import type { Kernel } from '../kernel/index.ts';
import { markSubtrees, type Subtree, type Subtrees } from '../scope/subtree.ts';
import { hearExecutions } from '../scope/system.ts';
import { seconds, WHO_DEPTHS, wholeNumber } from './arguments.ts';
import { askedKernel } from './asked-kernel.ts';
import { BASELINES, type ChangesOptions, checkChanges, printChanges } from './changes.ts';
import { endingOf, outputFailure, type Written } from './ending.ts';
import { parseEvents } from './events.ts';
import { UserError } from './failure.ts';
import { compileFormat, FORMAT_HELP } from './format.ts';
import { type Format, jsonLine, textFormat } from './lines.ts';
import { type Output, OutputError } from './output.ts';
import { Screen } from './screen.ts';
import { Stopping } from './stopping.ts';
import type { Ending, Surroundings } from './surroundings.ts';
import { shown } from './text.ts';
import { Unseen } from './unseen.ts';
import { WATCH_HELP } from './watch-help.ts';

interface WatchOptions extends ChangesOptions {
  readonly recursive?: true;
  readonly events?: FileEventName[];
  readonly exclude?: string[];
  readonly json?: true;
  readonly format?: string;
  readonly timefmt?: string;
  readonly newline: boolean;
  readonly who?: ProcessDepth;
  readonly count?: number;
  readonly timeout?: number;
}

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
    .option('--format <format>', 'print lines by a format, such as %e %w%f')
    .option('--timefmt <format>', 'how %T is told in a format: see strftime(3)')
    .option('--no-newline', 'with --format: no line feed behind what it makes')
    .addOption(new Option('--who <depth>', 'say who did it, as root: comm, and more of it').choices(WHO_DEPTHS))
    .option('--count <n>', 'end after so many events', wholeNumber)
    .option('--timeout <seconds>', 'end after so many seconds, with exit status 2', seconds)
    .option('--changes', 'print what has changed, instead of single events')
    .option('--initial', 'with --changes: first what is there already')
    .option('--since <snapshot>', 'with --changes: first what has changed since a snapshot was written')
    .option('--snapshot <file>', 'with --changes: write a snapshot at the end')
    .addOption(
      new Option('--baseline <kind>', 'with --changes: where to keep what is known of the tree').choices(BASELINES),
    )
    .addHelpText('after', WATCH_HELP)
    .addHelpText('after', FORMAT_HELP)
    .action(async (paths: string[], options: WatchOptions) => {
      checkChanges(options);
      const print = options.changes ? printChanges : watch;
      ended(await print(paths, options, surroundings));
    });
}

const DEFAULT_EVENTS: readonly FileEventName[] = ['create', 'modify', 'attrib', 'delete', 'rename'];
const HALVES: readonly FileEventName[] = ['movedFrom', 'movedTo'];
const inHalves = (events: readonly FileEventName[]) => events.flatMap((name) => (name === 'rename' ? HALVES : [name]));

async function watch(paths: readonly string[], options: WatchOptions, surroundings: Surroundings): Promise<Ending> {
  const kernel = askedKernel(surroundings.kernel(), paths, options.who);
  const output = surroundings.openOutput();
  const whyLost = kernel.marksSubtrees ? DAEMON_LATE : QUEUE_FULL;
  const format = formatOf(options, output, whyLost);
  const group = await open(kernel, options.who);
  const screen = new Screen(output, surroundings.say, lineEndOf(options));
  const stopping = new Stopping(() => void group.close(), options.timeout, surroundings.abort);
  const count: Written = { written: 0, unwritten: 0 };
  const unseen = new Unseen(screen.say.bind(screen));
  let mounts: MountWatch | undefined;
  try {
    const subtrees = await mark(group, paths, options, screen);
    if (options.who) {
      const executions = await hearExecutions(group);
      // On file systems that come later, too.
      mounts = new MountWatch(kernel, async () => void (await executions.look().catch(() => undefined)));
    }
    announce(subtrees, options, kernel, screen);
    unseen.tell(subtrees);
    await Promise.race([print(group, subtrees, options, format, screen, count, unseen, whyLost), stopping.overdue]);
    if (stopping.why === undefined && !(count.written === options.count)) {
      throw new UserError(`${subtrees.roots.map(goneText).join(', ')}: nothing is left to watch`);
    }
  } catch (error) {
    if (error instanceof OutputError) return outputFailure(error, count);
    // Closed while directories were being marked.
    if (!(error instanceof GroupClosedError) || stopping.why === undefined) throw error;
  } finally {
    mounts?.close();
    stopping.end();
    await screen.close();
    await group.close();
  }
  if (stopping.why === 'timeout') return { status: 2 };
  return endingOf(stopping.why, count, group.counters.overflows, screen);
}

async function open(kernel: Kernel, who: ProcessDepth | undefined): Promise<Group<'handle'>> {
  try {
    return await Group.open({ ownEvents: false, kernel, who });
  } catch (error) {
    if (!who || !(error instanceof NotPermittedError)) throw error;
    throw new UserError(
      "--who takes root, since the kernel tells nobody else who did it: 'sudo fanotify watch --who …', or leave it out",
    );
  }
}

const QUEUE_FULL = "the kernel's queue was full";
const DAEMON_LATE = 'the daemon was started again, or could not tell them in time';

function goneText({ path, gone }: Subtree): string {
  return gone === 'moved' ? `${path} was moved to where it cannot be followed without root` : `${path} is gone`;
}

/** @throws UserError */
function formatOf(
  { json, format, timefmt, newline, who }: WatchOptions,
  { terminal }: Output,
  whyLost: string,
): Format {
  if (format === undefined) {
    if (timefmt !== undefined) throw new UserError('--timefmt says what %T is in --format, which is not given');
    if (!newline) throw new UserError('--no-newline is for --format, which is not given');
    if (json) return jsonLine;
    return textFormat(terminal?.hasColours ?? false, () => (terminal ? terminal.columns : 0), who, whyLost);
  }
  if (who) throw new UserError("no directive of --format tells who did it: take --json, where it is 'process'");
  if (json) throw new UserError('--format and --json are two ways to print an event: leave one of them out');
  return compileFormat(format, { timefmt, lineEnd: lineEndOf({ newline }), isTerminal: terminal !== undefined });
}

const lineEndOf = ({ newline }: Pick<WatchOptions, 'newline'>) => (newline ? '\n' : '');

/** Prints until the group is closed, all roots are gone, or there are as many as were asked for. */
async function print(
  group: Group<'handle'>,
  subtrees: Subtrees,
  options: WatchOptions,
  format: Format,
  screen: Screen,
  count: Written,
  unseen: Unseen,
  whyLost: string,
): Promise<void> {
  const left = () => (options.count === undefined ? Number.POSITIVE_INFINITY : options.count - count.written);
  // Nothing more is asked for before what there is is written: what a slow reader has no room for waits in the kernel.
  for await (const batch of subtrees.batches()) {
    const events = batch.length > left() ? batch.slice(0, left()) : batch;
    count.unwritten = events.length;
    const lines = events.map((event) => format(event, subtrees.crossing(event)));
    // A format need not have %e.
    if (options.format !== undefined && events.some(({ kind }) => kind === 'overflow'))
      screen.say(`fanotify: events were lost: ${whyLost}`);
    await screen.print(lines, group.counters.overflows, (lines) => {
      count.written += lines;
      count.unwritten -= lines;
    });
    unseen.tell(subtrees);
    if (left() <= 0) return;
  }
}

/** Marks, without renames where the kernel has none and nobody asked for them. */
async function mark(
  group: Group<'handle'>,
  paths: readonly string[],
  options: WatchOptions,
  screen: Screen,
): Promise<Subtrees> {
  const subtree = {
    progress: (directories: number) => screen.progress(`marking… ${directories.toLocaleString('en-US')} directories`),
    recursive: options.recursive === true,
    exclude: options.exclude ?? [],
    rootEvents: options.events ? [] : (['deleteSelf', 'moveSelf'] as const),
  };
  const events = eventsOf(options);
  try {
    return await markSubtrees(group, paths, { ...subtree, events });
  } catch (error) {
    // A format tells the same of both.
    const isAskedFor = options.events && options.format === undefined;
    if (!(error instanceof UnsupportedError) || isAskedFor) throw error;
    return await markSubtrees(group, paths, { ...subtree, events: inHalves(events) });
  } finally {
    screen.progress(undefined);
  }
}

function eventsOf(options: WatchOptions): readonly FileEventName[] {
  const events = options.events ?? DEFAULT_EVENTS;
  // A format would tell a rename twice.
  const isInHalves = options.format !== undefined && events.includes('rename');
  return isInHalves ? events.filter((name) => !HALVES.includes(name)) : events;
}

/** Tells what is watched, and how. */
function announce(subtrees: Subtrees, { recursive }: WatchOptions, kernel: Kernel, screen: Screen): void {
  const roots = subtrees.roots;
  const names = roots.map(({ path }) => shown(path)).join(', ');
  const marked = subtrees.markedDirectories;
  const directories = `${marked} ${marked === 1 ? 'directory' : 'directories'} marked`;
  const because = roots.find((root) => root.because)?.because;
  const reason = because === 'privilege' ? 'without root' : 'the file system takes no mark as a whole';
  const byMarks = because ? `${directories}: ${reason}` : byFilesystem(subtrees);
  const how = recursive ? ` and below (${kernel.marksSubtrees ? 'through fanotifyd' : byMarks})` : '';
  screen.say(`watching ${names}${how}`);
}

function byFilesystem({ roots, markedFilesystems }: Subtrees): string {
  if (markedFilesystems === 1) return 'by one mark on the file system';
  if (roots.length > 1) return `by one mark on each of ${markedFilesystems} file systems`;
  return `by one mark on the file system and ${markedFilesystems - 1} mounted below`;
}

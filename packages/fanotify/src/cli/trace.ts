// `fanotify trace`: every file access of the system, in fatrace's format and with its options; on a terminal, what can be read of it.

import { Command, Option } from 'commander';
import type { KernelEvent } from '../group/kernel-event.ts';
import {
  type FileEventName,
  Group,
  GroupClosedError,
  NotPermittedError,
  type ProcessDepth,
  type ProcessInfo,
  UnsupportedError,
} from '../index.ts';
import { hearExecutions, SystemMarks } from '../scope/system.ts';
import { seconds, WHO_DEPTHS, wholeNumber } from './arguments.ts';
import { Draining } from './draining.ts';
import { endingOf, outputFailure, type Written } from './ending.ts';
import { UserError } from './failure.ts';
import { Keys } from './keys.ts';
import { jsonLine } from './lines.ts';
import { Live } from './live.ts';
import { Output, OutputError } from './output.ts';
import { textOptionsOf } from './process-text.ts';
import { Screen } from './screen.ts';
import { Stopping } from './stopping.ts';
import type { Ending, Surroundings } from './surroundings.ts';
import { shown } from './text.ts';
import { parseTypes, type TracedEvent, type TracedTypes, traceFormat } from './trace-line.ts';

interface TraceOptions {
  readonly currentMount?: true;
  readonly output?: string;
  readonly seconds?: number;
  readonly count?: number;
  readonly timestamp?: number;
  readonly user?: true;
  readonly ignorePid?: number[];
  readonly filter?: string;
  readonly command?: string;
  readonly json?: true;
  readonly parents?: true;
  readonly exe?: true;
  readonly dir?: string[];
  readonly who?: ProcessDepth;
  readonly all?: true;
}

const HELP = `
Lines:
  comm(pid): TYPES path      as of fatrace; a rename has both paths: 'old -> new'
  R read  W write  O open  C close  + create  D delete  < > rename
  'unknown' is a process that ended before anything of it could be read.
  A line that begins with '!' tells of a loss.

--who:
  name       comm and pid
  command    and executable, arguments, user (as --exe --user)
  full       and container, unit and all parents (as --exe --user --parents)
  With --json all of it is in "process"; otherwise lines are those of 'watch --json'.

On a terminal, a few lines a second are shown, and below them how much happens, and who
and where is busiest; q ends it. --all prints every line there too. Into a pipe or a file
(-o) every line goes.

Exit status: 0 after --seconds, --count or q; 1 on an error; 128+n by signal n.

It takes root. Without: 'fanotify watch -r DIR' for what you may read yourself.`;

/** The command. `ended` is told how it ended. */
export function traceCommand(surroundings: Surroundings, ended: (ending: Ending) => void): Command {
  const more = <T>(parse: (text: string) => T) => {
    return (text: string, before: T[] = []): T[] => [...before, parse(text)];
  };
  return new Command('trace')
    .summary('print who accesses which file, on the whole system (root)')
    .description('Print every access to files: on all file systems but virtual ones, on one, or in directories.')
    .argument('[dir...]', 'only what is directly in these directories')
    .option('-c, --current-mount', 'only the file system of the current directory')
    .option('-o, --output <file>', 'write to this new file')
    .option('-s, --seconds <seconds>', 'end after so many seconds', seconds)
    .option('--count <n>', 'end after so many events', wholeNumber)
    .option(
      '-t, --timestamp',
      'begin with the time; twice: in seconds since 1970',
      (_, before: number) => before + 1,
      0,
    )
    .option('-u, --user', 'add user and group: [uid:gid]')
    .option('-p, --ignore-pid <pid>', 'leave this process out; can be repeated', more(wholeNumber))
    .option('-f, --filter <types>', 'only these types, such as OW')
    .option('-C, --command <comm>', 'only processes of this name')
    .option('-j, --json', 'print one JSON object a line')
    .option('-P, --parents', 'add the parents of the process')
    .option('-e, --exe', 'add the path of its executable')
    .option(
      '-d, --dir <dir>',
      'as an argument; can be repeated',
      more((text) => text),
    )
    .addOption(new Option('--who <depth>', 'how much to tell of the process').choices(WHO_DEPTHS))
    .option('--all', 'print every line on a terminal too')
    .addHelpText('after', HELP)
    .action(async (dirs: string[], options: TraceOptions) => {
      ended(await trace([...(options.dir ?? []), ...dirs], options, surroundings));
    });
}

async function trace(dirs: readonly string[], options: TraceOptions, surroundings: Surroundings): Promise<Ending> {
  if ((options.timestamp ?? 0) > 2) throw new UserError('--timestamp can be given twice at most');
  if (options.currentMount && dirs.length > 0)
    throw new UserError('--current-mount and directories exclude each other');
  const types = parseTypes(options.filter);
  const kernel = surroundings.kernel();
  const group = await open(kernel, depthOf(options));
  const output = options.output === undefined ? surroundings.openOutput() : Output.file(options.output);
  const screen = new Screen(output, surroundings.say);
  const draining = new Draining(group);
  const stopping = new Stopping(() => draining.start(), options.seconds, surroundings.abort);
  const live =
    output.terminal && !options.all && !options.json ? new Live(screen, () => group.counters.overflows) : undefined;
  const keys =
    live && surroundings.keyboard
      ? new Keys(surroundings.keyboard, {
          quit: () => stopping.quit(),
          interrupt: () => stopping.interrupt(),
          suspend: () => screen.clear(),
        })
      : undefined;
  const written: Written = { written: 0, unwritten: 0 };
  let watchMounts: NodeJS.Timeout | undefined;
  try {
    watchMounts = await mark(group, dirs, options, types, screen, live !== undefined);
    await Promise.race([print(group, options, types, live, output, screen, draining, written), stopping.overdue]);
  } catch (error) {
    if (error instanceof OutputError) return outputFailure(error, written);
    if (!(error instanceof GroupClosedError) || stopping.why === undefined) throw error;
  } finally {
    clearInterval(watchMounts);
    stopping.end();
    live?.end();
    await screen.close();
    keys?.end();
    await group.close();
  }
  if (live) written.written = live.events;
  return endingOf(stopping.why, written, group.counters.overflows, screen);
}

function depthOf({ who, user, exe, parents }: TraceOptions): ProcessDepth {
  if (parents || who === 'full') return 'full';
  return user || exe || who === 'command' ? 'command' : 'name';
}

async function open(kernel: ReturnType<Surroundings['kernel']>, who: ProcessDepth): Promise<Group<'handle'>> {
  try {
    return await Group.open({ ownEvents: false, kernel, who });
  } catch (error) {
    if (!(error instanceof NotPermittedError)) throw error;
    throw new UserError(
      "trace hears what everybody does, which takes root: 'sudo fanotify trace'; without, 'fanotify watch -r DIR' shows what happens to files that you may read",
    );
  }
}

/** Marks what is asked for and says so. Tells the timer that looks for new mounts. */
async function mark(
  group: Group<'handle'>,
  dirs: readonly string[],
  options: TraceOptions,
  types: TracedTypes,
  screen: Screen,
  isLive: boolean,
): Promise<NodeJS.Timeout | undefined> {
  const ends = isLive ? '; q or Ctrl-C ends' : '';
  // Renames keep paths right, and executions tell the names of processes that end at once.
  const events: FileEventName[] = [...new Set<FileEventName>([...types.events, 'rename', 'openExec'])];
  if (dirs.length > 0 || options.currentMount) {
    const scope = options.currentMount ? 'filesystem' : 'inode';
    for (const dir of options.currentMount ? ['.'] : dirs) {
      await withHalves(events, (halves) => group.mark(dir, { scope, events: halves, onlyDirectory: true }));
    }
    await hearExecutions(group);
    screen.say(
      options.currentMount
        ? `tracing the file system of the current directory${ends}`
        : `tracing what is directly in ${dirs.map((dir) => shown(dir)).join(', ')}${ends}`,
    );
    return undefined;
  }
  const system = await withHalves(events, async (halves) => {
    const marks = new SystemMarks(group, halves);
    await marks.look();
    return marks;
  });
  announce(system, screen, ends);
  return setInterval(() => void lookAgain(system, screen), LOOK_MS).unref();
}

/** How soon a new mount is heard. */
const LOOK_MS = 250;

async function lookAgain(system: SystemMarks, screen: Screen): Promise<void> {
  try {
    const before = system.notHeard.length;
    const marked = await system.look();
    for (const mount of marked) screen.say(`tracing also ${shown(mount.mountPoint.toString())} (${mount.type})`);
    if (system.notHeard.length > before) sayNotHeard(system, screen);
  } catch (error) {
    if (!(error instanceof GroupClosedError)) screen.say(`fanotify: ${(error as Error).message}`);
  }
}

function announce(system: SystemMarks, screen: Screen, ends: string): void {
  const { heard, pseudoTypes } = system;
  if (heard.length === 0) throw new UserError("no file system could be marked: 'fanotify doctor' says why");
  const names = heard.map(({ mountPoint, type }) => `${shown(mountPoint.toString())} (${type})`);
  const few = names.length > 6 ? `${names.slice(0, 5).join(', ')} and ${names.length - 5} more` : names.join(', ');
  screen.say(`tracing ${few}; left out: ${pseudoTypes.join(', ') || 'nothing'}${ends}`);
  sayNotHeard(system, screen);
}

function sayNotHeard({ notHeard }: SystemMarks, screen: Screen): void {
  const remote = notHeard
    .filter(({ why }) => why === 'remote')
    .map((place) => `${shown(place.mountPoint)} (${place.type})`);
  if (remote.length > 0)
    screen.say(`fanotify: left alone, since they may not answer: ${remote.join(', ')} (there, -c traces one)`);
  for (const { mountPoint, type, why } of notHeard) {
    if (why !== 'remote' && why !== 'hidden') screen.say(`fanotify: not seen: ${shown(mountPoint)} (${type}): ${why}`);
  }
}

/** Before Linux 5.17 a rename is two events. */
async function withHalves<T>(
  events: readonly FileEventName[],
  mark: (events: readonly FileEventName[]) => Promise<T>,
): Promise<T> {
  try {
    return await mark(events);
  } catch (error) {
    if (!(error instanceof UnsupportedError) || error.since !== '5.17') throw error;
    return await mark([...events.filter((name) => name !== 'rename'), 'movedFrom', 'movedTo']);
  }
}

/** Prints until the group is closed, or there are as many as were asked for. */
async function print(
  group: Group<'handle'>,
  options: TraceOptions,
  { bits }: TracedTypes,
  live: Live | undefined,
  { terminal }: Output,
  screen: Screen,
  draining: Draining,
  written: Written,
): Promise<void> {
  const format = options.json ? jsonLine : lineFormat(options);
  const ignored = new Set(options.ignorePid);
  const isNamed = options.command === undefined ? undefined : isCalled(options.command);
  const isWanted = (event: KernelEvent) =>
    event.kind === 'overflow' ||
    ((event.maskLow & bits) !== 0 &&
      !ignored.has(event.pid) &&
      (isNamed === undefined || (event.process !== null && isNamed(event.process))));
  const most = options.count ?? Number.POSITIVE_INFINITY;
  for await (const batch of group.batches()) {
    const lines: string[] = [];
    // In a group that reports handles every event is of this class.
    for (const event of batch as unknown as readonly KernelEvent[]) {
      if (!isWanted(event)) continue;
      if (written.written + lines.length >= most) break;
      const traced = event as unknown as TracedEvent;
      if (!live) lines.push(format(traced));
      else if (live.counts(event)) lines.push(format(traced, (terminal?.columns ?? 80) - 1));
    }
    live?.sayLeftOut(lines);
    written.unwritten = lines.length;
    await screen.print(lines, group.counters.overflows, (taken) => {
      written.written += taken;
      written.unwritten -= taken;
    });
    if (written.written >= most) return;
    draining.afterBatch();
  }
}

/** Comm has 15 bytes at most. Of a process that ended unread only its program is known. */
function isCalled(name: string): (process: ProcessInfo) => boolean {
  const comm = Buffer.from(name).subarray(0, 15);
  return ({ rawComm, exe }) => (rawComm ? rawComm.equals(comm) : exe?.endsWith(`/${name}`) === true);
}

function lineFormat(options: TraceOptions): (event: TracedEvent, room?: number) => string {
  const { timestamp = 0 } = options;
  const asked = textOptionsOf(options.who);
  return traceFormat({
    ...(timestamp > 0 && { timestamp: timestamp === 1 ? 'clock' : 'epoch' }),
    user: options.user === true || asked.user,
    exe: options.exe === true || asked.exe,
    parents: options.parents === true || asked.parents,
    origin: asked.origin,
  });
}

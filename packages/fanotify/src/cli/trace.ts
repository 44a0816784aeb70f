// `fanotify trace`: every file access of the system, in fatrace's format and with its options; on a terminal, what can be read of it.

import { unlinkSync } from 'node:fs';
import { Command, Option } from 'commander';
import { FAN_OPEN_EXEC } from '../abi/index.ts';
import type { KernelEvent } from '../group/kernel-event.ts';
import { Group, GroupClosedError, NotPermittedError, type ProcessDepth, type ProcessInfo } from '../index.ts';
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
import { parseTypes, type TracedEvent, type TracedTypes, traceFormat } from './trace-line.ts';
import { sayShortcomings, TraceMarks } from './trace-marks.ts';

const OPEN_EXEC = Number(FAN_OPEN_EXEC);

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
  readonly excludeType?: string[];
  readonly excludeFs?: string[];
}

const HELP = `
Lines:
  comm(pid): TYPES path      as of fatrace; a rename has both paths: 'old -> new'
  R read  W write  O open  C close  + create  D delete  < > rename
  'unknown' is a process of which nothing could be read before it ended.
  A line that begins with '!' tells of a loss.

--who:
  name       comm and pid
  command    and executable, arguments, user (as --exe --user)
  full       and container, unit and all parents (as --exe --user --parents)
  --json prints the lines of 'watch --json', with all of it in "process".

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
    .description("Print every access to files: on all file systems but the kernel's own, on one, or in directories.")
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
    .option(
      '--exclude-type <type>',
      'no file system of this type (tmpfs, 0x1021994); can be repeated',
      more((text) => text),
    )
    .option(
      '--exclude-fs <fs>',
      'nothing on this mount point, or with this fsid; can be repeated',
      more((text) => text),
    )
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
  const exclusions = exclusionsOf(options, dirs);
  const kernel = surroundings.kernel();
  const group = await open(kernel, depthOf(options));
  const output = options.output === undefined ? surroundings.openOutput() : Output.file(options.output);
  const screen = new Screen(output, surroundings.say);
  const draining = new Draining(group);
  const stopping = new Stopping(() => draining.start(), options.seconds, surroundings.abort);
  const live =
    screen.hasStatus && !options.all && !options.json ? new Live(screen, () => group.counters.overflows) : undefined;
  const keys =
    live && surroundings.keyboard
      ? new Keys(surroundings.keyboard, {
          quit: () => stopping.quit(),
          interrupt: () => stopping.interrupt(),
          clear: () => screen.clear(),
        })
      : undefined;
  const written: Written = { written: 0, unwritten: 0 };
  let isTracing = false;
  const marks = new TraceMarks(kernel, group, screen);
  try {
    const { events } = types;
    const places = { dirs, currentMount: options.currentMount === true, events, exclusions };
    await marks.place(places, live ? '; q or Ctrl-C ends' : '');
    isTracing = true;
    sayShortcomings(kernel, screen);
    await Promise.race([print(group, options, types, live, output, screen, draining, written), stopping.overdue]);
  } catch (error) {
    // Else the next attempt would be told that its file exists.
    if (!isTracing && options.output !== undefined) unlinkSync(options.output);
    if (error instanceof OutputError) return outputFailure(error, written);
    if (!(error instanceof GroupClosedError) || stopping.why === undefined) throw error;
  } finally {
    marks.end();
    draining.end();
    live?.end();
    await screen.close();
    // The terminal is whole again before a signal can end the process.
    keys?.end();
    stopping.end();
    await group.close();
  }
  if (live) written.written = live.events;
  return endingOf(stopping.why, written, group.counters.overflows, screen);
}

/** @throws UserError */
function exclusionsOf({ excludeType = [], excludeFs = [], currentMount }: TraceOptions, dirs: readonly string[]) {
  if (excludeType.length + excludeFs.length > 0 && (currentMount || dirs.length > 0))
    throw new UserError(
      '--exclude-type and --exclude-fs leave out some of all file systems: not with -c or directories',
    );
  const isMountPoint = (text: string) => text.startsWith('/');
  const wrong = excludeFs.find((text) => !isMountPoint(text) && !/^(0x)?[0-9a-f]{1,16}$/i.test(text));
  if (wrong !== undefined) {
    throw new UserError(
      `--exclude-fs takes a mount point or an fsid as 'stat -f -c %i PATH' prints it, which ${JSON.stringify(wrong)} is not`,
    );
  }
  return {
    excludeTypes: excludeType.map((text) => (/^0x[0-9a-f]+$|^\d+$/i.test(text) ? Number(text) : text)),
    excludeFilesystems: excludeFs.filter((text) => !isMountPoint(text)),
    excludeMounts: excludeFs.filter(isMountPoint),
  };
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
  // An execution is worth knowing where nobody asked for anything else.
  const wanted = options.filter === undefined ? bits | OPEN_EXEC : bits;
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
      if (options.json && event.kind !== 'overflow') event.narrow(wanted);
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

const COMM_BYTES = 15;

/** Comm has so many bytes at most, but that of kernel threads. Of a process that ended unread only its program is known. */
function isCalled(name: string): (process: ProcessInfo) => boolean {
  const comm = Buffer.from(name).subarray(0, COMM_BYTES);
  return ({ rawComm, exe }) =>
    rawComm ? rawComm.subarray(0, COMM_BYTES).equals(comm) : exe?.endsWith(`/${name}`) === true;
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

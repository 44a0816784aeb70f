// `fanotify guard`: holds accesses, decides by globs or by a module, and prints the verdicts, one line each.

import { constants } from 'node:os';
import { Command, Option } from 'commander';
import { AT_FDCWD } from '../abi/index.ts';
import {
  type Guard,
  type GuardOptions,
  guard,
  type PermissionEventName,
  type PermissionRequest,
  type Verdict,
} from '../index.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { seconds, wholeNumber } from './arguments.ts';
import { outputFailure, type Written } from './ending.ts';
import { UserError } from './failure.ts';
import { decideByGlobs, type Rule, verdictText } from './guard-rules.ts';
import { OutputError } from './output.ts';
import { Screen } from './screen.ts';
import { Stopping } from './stopping.ts';
import type { Ending, Surroundings } from './surroundings.ts';
import { safeJson, shown } from './text.ts';

interface Options {
  readonly decide?: string;
  readonly on?: PermissionEventName[];
  readonly deadline?: number;
  readonly onTimeout?: Verdict;
  readonly scope?: 'inode' | 'mount' | 'filesystem' | 'subtree';
  readonly system?: true;
  readonly excludeType?: string[];
  readonly excludeFs?: string[];
  readonly excludeMount?: string[];
  readonly only?: string[];
  readonly dryRun?: true;
  readonly json?: true;
  readonly count?: number;
  readonly timeout?: number;
}

/** Lines that wait for a slow reader; more are left out, and counted. */
const MOST_UNWRITTEN = 10_000;
const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const KINDS: readonly PermissionEventName[] = ['open', 'openExec', 'access', 'preAccess'];

const HELP = `
Globs:
  Without '/', a glob is compared with the name of the file; with '/', with its path
  relative to PATH; with '/' in front, with the absolute path. The last --deny or
  --allow on the command line that matches decides; what none matches is allowed.
  A file that has no path here, since it was opened through a mount of another
  namespace, or one that is no UTF-8, can be matched by none: it is denied where there
  is a --deny.

Scope:
  A file alone, and with all that is below it a directory (subtree), or a mounted file
  system. --system takes the place of PATH, or is said with '/': all file systems, also
  those that are mounted later. It holds what every program opens, this machine's
  own among them: try it with --dry-run and --only first.
  FANOTIFY_GUARD_ONLY=/mnt:/srv in the environment admits only file systems that are
  mounted below these directories, whatever the options say.

Exit status:
  0      after --count verdicts, and when the reader of the output has gone
  1      on an error, and when nothing is guarded any more
  2      at the time-out
  128+n  by signal n, as the shell shows it: Ctrl-C 130, SIGTERM 143, SIGHUP 129

Whatever becomes of this command, nobody waits for longer than --deadline, and gets
--on-timeout then.`;

/** The command. `ended` is told how it ended. */
export function guardCommand(surroundings: Surroundings, ended: (ending: Ending) => void): Command {
  const rules: Rule[] = [];
  const rule = (verdict: Verdict) => (glob: string) => {
    rules.push({ verdict, glob });
    return rules;
  };
  const list = (text: string, before: string[] = []) => [...before, ...text.split(',').filter(Boolean)];
  return new Command('guard')
    .summary('decide who may open files')
    .description('Hold accesses to files until there is a verdict, and print each. Needs root. Ctrl-C ends it.')
    .argument('[path...]', 'files, directories with all that is below, or mounted file systems')
    .option('--deny <glob>', 'deny what matches; can be repeated', rule('deny'))
    .option('--allow <glob>', 'allow what matches; can be repeated', rule('allow'))
    .option('--decide <module>', 'decide by the function decide of a module; its verdicts are not printed')
    .option('--on <list>', 'which accesses, comma-separated: open, openExec, access, preAccess', parseKinds)
    .option('--deadline <seconds>', 'how long an access waits at most (5)', seconds)
    .addOption(new Option('--on-timeout <verdict>', 'what it gets then (allow)').choices(['allow', 'deny']))
    .addOption(new Option('--scope <scope>', 'what of PATH').choices(['inode', 'mount', 'filesystem', 'subtree']))
    .option('--system', 'all file systems')
    .option('--exclude-type <list>', 'with --system: not file systems of these types, by name or number', list)
    .option('--exclude-fs <list>', "with --system: not these, by fsid as 'stat -f -c %i' prints it", list)
    .option('--exclude-mount <list>', 'with --system: not what is mounted there', list)
    .option('--only <list>', 'with --system: only what is mounted at or below these directories', list)
    .option('--dry-run', 'say what would be denied, and allow everything')
    .option('--json', 'print one JSON object a line')
    .option('--count <n>', 'end after so many verdicts', wholeNumber)
    .option('--timeout <seconds>', 'end after so many seconds, with exit status 2', seconds)
    .addHelpText('after', HELP)
    .action(async (paths: string[], options: Options) => ended(await run(paths, options, rules, surroundings)));
}

async function run(
  paths: readonly string[],
  options: Options,
  rules: readonly Rule[],
  surroundings: Surroundings,
): Promise<Ending> {
  const targets = targetsOf(paths, options);
  if (options.decide !== undefined && rules.length > 0) {
    throw new UserError('--decide, and --deny or --allow, are two ways to decide: leave one of them out');
  }
  if (options.decide !== undefined && (options.dryRun || options.count !== undefined)) {
    throw new UserError('what a module decides is not seen here: --dry-run and --count go with --deny and --allow');
  }
  const screen = new Screen(surroundings.openOutput(), surroundings.say, '\n');
  const written: Written = { written: 0, unwritten: 0 };
  let gate: Guard | undefined;
  let onStop: () => void = () => undefined;
  const stopped = new Promise<void>((resolve) => {
    onStop = resolve;
  });
  const stopping = new Stopping(() => onStop(), options.timeout, surroundings.abort);
  let failure: unknown;
  let untold = 0;
  const decideHere = decideByGlobs(rules, targets);
  const tell = async (request: PermissionRequest, verdict: Verdict) => {
    if (options.count !== undefined && written.written + written.unwritten >= options.count) return;
    // Whoever is held is not to wait for the reader of this output.
    if (written.unwritten >= MOST_UNWRITTEN) {
      untold++;
      return;
    }
    written.unwritten++;
    const told = { request, verdict, dryRun: options.dryRun === true };
    const line = options.json ? safeJson(verdictText.json(told)) : verdictText.line(told);
    try {
      await screen.print([line], 0, (lines) => {
        written.written += lines;
        written.unwritten -= lines;
      });
      if (options.count !== undefined && written.written >= options.count) onStop();
    } catch (error) {
      failure = error;
      onStop();
    }
  };
  try {
    gate = await guard(targets.length === 1 ? (targets[0] as string) : targets, {
      ...guardOptions(options),
      ...(options.system || options.scope ? {} : { scope: scopeOf(targets, surroundings.kernel()) }),
      decide:
        options.decide ??
        ((request) => {
          const verdict = decideHere(request);
          // Its process is read while it is held.
          void tell(request, verdict);
          return options.dryRun ? 'allow' : verdict;
        }),
    });
    hear(gate, screen, onStop);
    await announce(gate, targets, options, screen);
    await stopped;
  } catch (error) {
    if (stopping.why === undefined) throw error;
  } finally {
    stopping.end();
    await gate?.close();
    await screen.close();
  }
  if (failure instanceof OutputError) return outputFailure(failure, written);
  if (failure !== undefined) throw failure;
  if (stopping.why === 'timeout') return { status: 2 };
  if (stopping.why !== undefined && stopping.why !== 'quit') {
    const missing = untold + written.unwritten;
    const others = missing === 0 ? '' : `, and ${missing} that nobody has read in time`;
    surroundings.say(`${written.written} ${written.written === 1 ? 'verdict' : 'verdicts'}${others}`);
    return { status: 128 + constants.signals[stopping.why], signal: stopping.why };
  }
  if (options.count !== undefined && written.written >= options.count) return { status: 0 };
  throw new UserError('nothing is guarded any more');
}

/** @throws UserError */
function targetsOf(paths: readonly string[], options: Options): readonly string[] {
  const { system, scope, only, excludeType, excludeFs, excludeMount } = options;
  if (system) {
    if (paths.some((path) => path !== '/') || scope !== undefined) {
      throw new UserError(
        '--system is of all file systems: leave PATH and --scope out, and say --only for some of them',
      );
    }
    return ['/'];
  }
  if (paths.length === 0) throw new UserError('say what to guard: a PATH, or --system for all file systems');
  if ((only ?? excludeType ?? excludeFs ?? excludeMount) !== undefined) {
    throw new UserError('--only and --exclude-… go with --system');
  }
  if (paths.some((path) => /^\/+\.?\/*$/.test(path))) {
    throw new UserError(
      "'/' is the root of everything: to guard it holds what every program opens, and a mistake freezes the machine for a deadline each time; say --system if that is meant, and try --dry-run first",
    );
  }
  return paths;
}

/** Of directories all that is below; a file that is not there is told by the guard. */
function scopeOf(targets: readonly string[], kernel: Kernel): 'subtree' | 'inode' {
  const directories = targets.filter((path) => {
    try {
      return (kernel.statAt(AT_FDCWD, path, 0).mode & S_IFMT) === S_IFDIR;
    } catch (error) {
      if (error instanceof KernelError) return false;
      throw error;
    }
  });
  if (directories.length === 0) return 'inode';
  if (directories.length === targets.length) return 'subtree';
  throw new UserError(
    'some of these are files and some are directories: guard them with a command of their own each, or say --scope',
  );
}

function guardOptions(options: Options): Omit<GuardOptions, 'decide'> {
  const { excludeType, excludeFs, excludeMount, only, deadline } = options;
  const types = excludeType?.map((type) => (/^(0x[0-9a-f]+|\d+)$/i.test(type) ? Number(type) : type));
  return {
    ...(options.on && { on: options.on }),
    ...(deadline !== undefined && { deadlineMs: Math.max(1, Math.round(deadline * 1000)) }),
    ...(options.onTimeout && { onTimeout: options.onTimeout }),
    ...(options.system
      ? {
          scope: 'system' as const,
          excludeTypes: types,
          excludeFilesystems: excludeFs,
          excludeMounts: excludeMount,
          only,
        }
      : options.scope && { scope: options.scope }),
  };
}

function hear(gate: Guard, screen: Screen, onStop: () => void): void {
  gate.on('error', (error) => screen.say(`fanotify: ${error.message}`));
  gate.on('timeout', ({ count, path }) =>
    screen.say(`fanotify: ${count} not decided in time, the first ${path === null ? 'without a path' : shown(path)}`),
  );
  gate.on('kernelDenied', ({ count, errno }) =>
    screen.say(`fanotify: the kernel denied ${count} itself (errno ${errno})`),
  );
  gate.on('gone', ({ asked, gone }) => screen.say(`fanotify: ${shown(asked)} is ${gone}: nothing is in it any more`));
  gate.on('coverage', ({ held, notHeld }) => {
    for (const { mountPoint, type } of held) screen.say(`now held: ${shown(mountPoint)} (${type})`);
    for (const { mountPoint, type, why } of notHeld) screen.say(`not held: ${shown(mountPoint)} (${type}): ${why}`);
  });
  gate.on('close', onStop);
}

async function announce(gate: Guard, targets: readonly string[], options: Options, screen: Screen): Promise<void> {
  const how = options.dryRun ? ' (dry run: everything is allowed)' : '';
  if (!options.system) {
    screen.say(`guarding ${targets.map(shown).join(', ')}${how}`);
    return;
  }
  const { held, notHeld } = await gate.coverage();
  for (const { mountPoint, type, why } of notHeld) screen.say(`not held: ${shown(mountPoint)} (${type}): ${why}`);
  const names = held.map(({ mountPoint }) => shown(mountPoint)).join(', ');
  screen.say(`guarding ${held.length === 0 ? 'nothing yet' : names}${how}`);
}

function parseKinds(text: string): PermissionEventName[] {
  return text.split(',').map((word) => {
    const kind = KINDS.find((name) => name === word.trim());
    if (kind) return kind;
    throw new UserError(`--on: ${JSON.stringify(word)} is none of ${KINDS.join(', ')}`);
  });
}

// `fanotify run`: what one command and its descendants do to files. What it does is in run-command/; this is its command line.

import { Command } from 'commander';
import { CommandNotRunError, runOutside } from './run-command/outside.ts';
import { type Rule, ruleOf } from './run-command/rules.ts';
import type { Ending, Surroundings } from './surroundings.ts';

interface RunOptions {
  readonly json?: true;
  readonly all?: true;
  readonly report?: string;
}

const HELP = `
Examples:
  sudo fanotify run -- make -j4
  sudo fanotify run --json --report report.json -- npm ci
  sudo fanotify run --deny '/home/*/.ssh/**' -- ./install.sh

Heard is what the command and all that descends from it open, execute, read, write, create,
delete, rename and change the attributes of, whoever they become (sudo, chroot, containers,
daemons), and nothing of others. It ends when the last of them has ended; Ctrl-C, while
something left behind is waited for, ends that. Standard input, output and error and the
terminal are the command's; the report goes to standard error at its end, or to --report.

--deny GLOB makes opening what fits fail with EPERM, --allow GLOB takes something out of
that: of all that fit a path the last one decides. It keeps a command from mistakes. It is
no sandbox: names can still be deleted and renamed, files created and their attributes seen,
and who mounts the same again in a mount namespace of his own goes by.

Not heard: pipes, sockets, memfds; /proc, /sys and the like; writes through a mapping (that
file is 'written' when it is closed after it was open for writing).

Exit status: the command's, or 128+n by its signal n; 127 when it was not found, 126 when it
cannot be executed, 1 on another error. It takes root.`;

/** The command. `ended` is told how it ended. */
export function runCommand(surroundings: Surroundings, ended: (ending: Ending) => void): Command {
  const cwd = process.cwd();
  // In the order in which they are given, of both kinds.
  const rules: Rule[] = [];
  const rule = (verdict: Rule['verdict']) => (glob: string) => void rules.push(ruleOf(verdict, glob, cwd));
  return new Command('run')
    .summary('tell what a command does to files (root)')
    .description('Run a command, and tell which files it and its descendants touched.')
    .usage('[options] -- <command> [args...]')
    .argument('<command...>', 'the command and its arguments')
    .option('-j, --json', 'report as JSON, with everything')
    .option('-r, --report <file>', 'write the report to this file')
    .option('-a, --all', 'name every file in the report')
    .option('--deny <glob>', 'let opening these files fail; can be repeated', rule('deny'))
    .option('--allow <glob>', 'but not of these; can be repeated', rule('allow'))
    .passThroughOptions()
    .addHelpText('after', HELP)
    .action(async (command: string[], { json, all, report }: RunOptions) => {
      try {
        const task = {
          command,
          json: json === true,
          all: all === true,
          report,
          rules,
          nodeOptions: process.env.NODE_OPTIONS,
          columns: process.stderr.columns ?? 100,
        };
        ended(await runOutside(task, surroundings));
      } catch (error) {
        if (!(error instanceof CommandNotRunError)) throw error;
        surroundings.say(`fanotify: ${error.message}`);
        ended({ status: error.status });
      }
    });
}

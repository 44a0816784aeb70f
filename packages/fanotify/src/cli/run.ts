// The command line as a function of its surroundings, so that tests can run it on a kernel of their choice.

import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import { sentenceOf } from './failure.ts';
import type { Ending, Surroundings } from './surroundings.ts';

const EXAMPLES = `
Examples:
  fanotify watch .                            what happens in this directory
  fanotify watch -r ~/src --exclude .git      and in all below it
  fanotify watch -r -e closeWrite --json /srv | jq -r .path
  sudo fanotify trace                         the whole system, with the processes that did it
  sudo fanotify trace -c -f W -o log          what is written on this file system, into a file
  sudo fanotify guard --deny '*.exe' ~/in     who may open files there, and who may not
  sudo fanotify scan ~/in                     have what is opened there scanned by clamd
  sudo fanotify run -- make                   what a command does to files
  sudo fanotify doctor                        what can be seen here, and what cannot

'fanotify help watch' tells all about a command.`;

// Each is loaded only when it is asked for: modules that nobody needs are a good part of what a start takes.
const COMMANDS = {
  watch: async () => (await import('./watch.ts')).watchCommand,
  trace: async () => (await import('./trace.ts')).traceCommand,
  guard: async () => (await import('./guard.ts')).guardCommand,
  scan: async () => (await import('./scan.ts')).scanCommand,
  run: async () => (await import('./run-command.ts')).runCommand,
  doctor: async () => (await import('./doctor.ts')).doctorCommand,
} as const;

/** Those that arguments need: the one that they name, else all. */
function commandsFor([first = '']: readonly string[]) {
  return Object.entries(COMMANDS).filter(([name]) => name === first || !Object.hasOwn(COMMANDS, first));
}

/** Runs the command with these arguments. */
export async function run(args: readonly string[], surroundings: Surroundings): Promise<Ending> {
  let ending: Ending = { status: 0 };
  const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };
  const program = new Command('fanotify')
    .description('See what happens to files on Linux.')
    .version(version)
    .addHelpText('after', EXAMPLES)
    .showHelpAfterError("Try 'fanotify --help'.")
    .exitOverride()
    // What follows the command of 'run' is that command's.
    .enablePositionalOptions()
    .configureOutput({
      writeOut: (text) => void process.stdout.write(text),
      writeErr: (text) => surroundings.say(text.trimEnd()),
      outputError: (text, write) => write(`fanotify: ${text.replace(/^error: /, '').replace(/\n\(/, ' (')}`),
    });
  const ended = (how: Ending) => {
    ending = how;
  };
  for (const [, load] of commandsFor(args)) {
    const makeCommand = await load();
    const command = makeCommand(surroundings, ended);
    // Settings are inherited only by commands that the program makes itself.
    command.copyInheritedSettings(program).showHelpAfterError(`Try 'fanotify help ${command.name()}'.`);
    program.addCommand(command);
  }
  try {
    await program.parseAsync([...args], { from: 'user' });
    return ending;
  } catch (error) {
    if (error instanceof CommanderError) return { status: error.exitCode === 0 ? 0 : 1 };
    surroundings.say(`fanotify: ${sentenceOf(error)}`);
    return { status: 1 };
  }
}

// The command line, as a function of its surroundings.

import { Command, CommanderError } from 'commander';
import { BrokerDiedError } from 'fanotify/broker';
import { type Kernel, KernelError, KernelUnavailableError } from 'fanotify/kernel';
import { askStatus } from './admin.ts';
import { CapabilityError } from './capabilities.ts';
import { type Config, DEFAULT_ADMIN, DEFAULT_FILE, defaultConfig, loadConfig } from './config/config.ts';
import { ConfigError, problemText } from './config/config-text.ts';
import { explainConfig } from './config/explain.ts';
import { Accounts } from './config/values.ts';
import { Daemon } from './daemon.ts';
import { ListenError } from './listening.ts';
import { Log } from './log.ts';
import { Manager } from './notify.ts';
import { statusText } from './status-text.ts';

const EXAMPLES = `
Examples:
  fanotifyd                            serve, as ${DEFAULT_FILE} says, if it is there
  fanotifyd check                      what that file grants, and what is wrong with it
  fanotifyd status                     who is served now`;

/** What the command line touches of the process. */
export interface Surroundings {
  readonly kernel: () => Kernel;
  readonly version: string;
  readonly print: (text: string) => void;
  readonly say: (text: string) => void;
  /** Calls for each signal. */
  readonly onSignal: (signals: readonly NodeJS.Signals[], listener: () => void) => void;
}

/** Runs the command with these arguments; resolves to its exit code when it has ended. */
export async function run(args: readonly string[], surroundings: Surroundings): Promise<number> {
  const { print, say, version } = surroundings;
  let code = 0;
  const config = ['--config <file>', `the configuration (default: ${DEFAULT_FILE}, if it is there)`] as const;
  const program = new Command('fanotifyd')
    .description('Gives file events to those without root.')
    .version(version)
    .option(...config)
    .addHelpText('after', EXAMPLES)
    .showHelpAfterError("Try 'fanotifyd --help'.")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => print(text.trimEnd()),
      writeErr: (text) => say(text.trimEnd()),
      outputError: (text, write) => write(`fanotifyd: ${text.replace(/^error: /, '').replace(/\n\(/, ' (')}`),
    })
    .allowExcessArguments()
    .action(async ({ config: file }: { config?: string }, command: Command) => {
      const [unknown] = command.args;
      if (unknown !== undefined) {
        command.error(`error: there is no command '${unknown}': there are check and status; without one it serves`);
      }
      code = await serve(file, surroundings);
    });
  program
    .command('check')
    .description('Checks the configuration, and says what it grants. Takes no root.')
    .option(...config)
    .allowExcessArguments()
    .action((_, command: Command) => {
      refuseExcess(command);
      code = check(command.optsWithGlobals<{ config?: string }>().config, surroundings);
    });
  program
    .command('status')
    .description('Asks the running daemon whom it serves.')
    .option(...config)
    .option('--admin <socket>', `where it answers (default: as the configuration says, else ${DEFAULT_ADMIN})`)
    .option('--json', 'as JSON')
    .allowExcessArguments()
    .action(async ({ admin, json }: { admin?: string; json?: boolean }, command: Command) => {
      refuseExcess(command);
      const path = admin ?? configFor(command.optsWithGlobals<{ config?: string }>().config, 'warn').config.admin;
      code = await tellStatus(path, json === true, surroundings);
    });
  try {
    await program.parseAsync([...args], { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error instanceof ConfigError) say(error.message);
    else if (isExpected(error)) say(`fanotifyd: ${error.message}`);
    else throw error;
    return 1;
  }
}

/** A file without --config would be passed over, and another one checked in its place. */
function refuseExcess(command: Command): void {
  const [excess] = command.args;
  if (excess === undefined) return;
  command.error(`error: '${command.name()}' takes no '${excess}': name a configuration by --config ${excess}`);
}

function isExpected(error: unknown): error is Error {
  return [BrokerDiedError, CapabilityError, ListenError, KernelError, KernelUnavailableError].some(
    (kind) => error instanceof kind,
  );
}

/** The file that is named, or the usual one if it is there. */
function configFor(
  named: string | undefined,
  doubtful: 'refuse' | 'warn' = 'refuse',
): { readonly config: Config; readonly file: string | undefined } {
  if (named !== undefined) return { config: loadConfig(named, doubtful), file: named };
  try {
    return { config: loadConfig(DEFAULT_FILE, doubtful), file: DEFAULT_FILE };
  } catch (error) {
    if (error instanceof ConfigError && error.isMissing) return { config: defaultConfig(), file: undefined };
    throw error;
  }
}

async function serve(named: string | undefined, { kernel, version, say, onSignal }: Surroundings): Promise<number> {
  const { config, file } = configFor(named);
  const log = new Log(config.log, {
    write: (line) => say(line.trimEnd()),
    hasPriorities: process.env.JOURNAL_STREAM !== undefined,
    nowMs: () => performance.now(),
  });
  const manager = new Manager(kernel());
  const daemon = new Daemon({ kernel: kernel(), log, manager, version, config, file });
  const ended = new Promise<void>((resolve) => onSignal(['SIGTERM', 'SIGINT'], resolve));
  // Node.js begins to debug at SIGUSR1: then any user of this machine could have the daemon, and so root, do as he likes. The other ends it.
  onSignal(['SIGUSR1', 'SIGUSR2'], () =>
    log.say('warn', 'SIGUSR1 and SIGUSR2 mean nothing here: SIGHUP reads the configuration'),
  );
  const started = daemon.start();
  // One that was there is not to go without a word: nobody would be granted anything any more.
  const reload = () => daemon.reload((before) => configFor(named ?? before));
  onSignal(['SIGHUP'], () => void started.then(reload, () => undefined));
  await started;
  await ended;
  await daemon.close();
  return 0;
}

function check(named: string | undefined, { print, say }: Surroundings): number {
  const { config, file } = configFor(named, 'warn');
  for (const warning of config.warnings) say(problemText(file ?? DEFAULT_FILE, warning));
  print([headOf(file), ...explainConfig(config, new Accounts())].join('\n'));
  return 0;
}

/** What is to be said first of a configuration without errors. */
function headOf(file: string | undefined): string {
  if (file === undefined) return `There is no ${DEFAULT_FILE}: the daemon serves as usual.`;
  try {
    loadConfig(file);
    return `${file} can be used.`;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return `${file} can be used when nobody else can change it: the daemon refuses it as it is.`;
  }
}

async function tellStatus(path: string, asJson: boolean, { print, say }: Surroundings): Promise<number> {
  try {
    const status = await askStatus(path);
    const accounts = new Accounts();
    print(asJson ? JSON.stringify(status) : statusText(status, (uid) => accounts.nameOf('user', uid)));
    return 0;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ECONNREFUSED') say(`fanotifyd: no daemon answers at ${path}: is it running?`);
    else if (code === 'EACCES') say(`fanotifyd: ${path} is for the daemon's user alone: run it as root`);
    else say(`fanotifyd: the daemon at ${path} cannot be asked: ${code ?? message}`);
    return 1;
  }
}

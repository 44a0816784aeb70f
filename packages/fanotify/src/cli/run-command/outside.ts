// The process that the user has started: tells the one inside of the namespaces what to run, passes signals on to it, and ends as
// the command has ended.

import { constants } from 'node:os';
import type { Duplex } from 'node:stream';
import { KernelError } from '../../kernel/index.ts';
import { UserError } from '../failure.ts';
import type { Ending, Surroundings } from '../surroundings.ts';
import { type Started, startInside } from './early.ts';
import { type CommandEnd, type Inward, Line, type Outward, PASSED_ON, type RunTask, SOCKET_FD } from './socket.ts';
import { Stop } from './stop.ts';

/** Runs a command and traces it. */
export async function runOutside(task: RunTask, surroundings: Surroundings): Promise<Ending> {
  const { child, terminal } = await insideOf(surroundings);
  let end: CommandEnd | undefined;
  let failure: Extract<Outward, { failed: string }> | undefined;
  const stopping = new Stop(terminal);
  const line = new Line<Inward, Outward>(
    child.stdio[SOCKET_FD] as Duplex,
    (message) => {
      if ('failed' in message) failure = message;
      else if ('stopped' in message) stopping.commandStopped(message.stopped);
      else if ('wentOn' in message) stopping.commandWentOn();
      else {
        end = message.ended;
        terminal.takeBack();
        line.say({ report: true });
      }
    },
    () => undefined,
  );
  line.say({ run: task });
  const passOn = (signal: NodeJS.Signals) => {
    if (signal === 'SIGCONT') stopping.goesOn();
    line.say({ signal });
  };
  for (const signal of PASSED_ON) process.on(signal, passOn);
  const how = await new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => resolve(signal ? `was ended by ${signal}` : `ended with status ${status}`));
  });
  for (const signal of PASSED_ON) process.off(signal, passOn);
  stopping.end();
  terminal.takeBack();
  if (failure) throw new CommandNotRunError(failure.failed, failure.status);
  if (!end) throw new UserError(`what traces the command ${how}, and the command with it: there is no report`);
  if (end.signal === null) return { status: end.status ?? 1, keepsTerminal: true };
  return { status: 128 + constants.signals[end.signal], signal: end.signal, keepsTerminal: true };
}

/** The command was not started. `status` is what is made of it. */
export class CommandNotRunError extends Error {
  static {
    CommandNotRunError.prototype.name = 'CommandNotRunError';
  }
  readonly status: number;
  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

async function insideOf({ kernel, inside }: Surroundings): Promise<Started> {
  try {
    const started = inside?.() ?? startInside(kernel());
    if (started instanceof KernelError) throw started;
    return started;
  } catch (error) {
    if (!(error instanceof KernelError) || error.code !== 'EPERM') throw error;
    throw new UserError(
      'run takes root (CAP_SYS_ADMIN), since the kernel tells nobody else what happens on whole file systems, and who does it: ' +
        "'sudo fanotify run -- …' (a user namespace does not help: its root is nobody to the file systems of the machine). " +
        "Without root 'fanotify watch -r DIR' beside the command shows what happens in DIR, whoever does it",
      { cause: error },
    );
  }
}

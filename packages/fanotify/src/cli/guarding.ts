// A command that guards: prints verdicts until it is stopped, and says how the guard is doing.

import { constants } from 'node:os';
import type { Guard, GuardCoverage } from '../index.ts';
import { outputFailure, type Written } from './ending.ts';
import { UserError } from './failure.ts';
import { OutputError } from './output.ts';
import { Screen } from './screen.ts';
import { Stopping } from './stopping.ts';
import type { Ending, Surroundings } from './surroundings.ts';
import { shown } from './text.ts';

/** Lines that wait for a slow reader; more are left out, and counted. */
const MOST_UNWRITTEN = 10_000;

/** What verdicts are printed to. Whoever is held does not wait for its reader. */
export class VerdictLines {
  readonly written: Written = { written: 0, unwritten: 0 };
  /** Left out, since nobody read. */
  untold = 0;
  /** Why nothing more can be written. */
  failure: unknown;
  readonly #screen: Screen;
  readonly #most: number;
  readonly #stop: () => void;

  /** @param most After so many `stop` is called. */
  constructor(screen: Screen, most: number | undefined, stop: () => void) {
    this.#screen = screen;
    this.#most = most ?? Number.POSITIVE_INFINITY;
    this.#stop = stop;
  }

  get areEnough(): boolean {
    return this.written.written >= this.#most;
  }

  async tell(line: string): Promise<void> {
    const { written } = this;
    if (written.written + written.unwritten >= this.#most) return;
    if (written.unwritten >= MOST_UNWRITTEN) {
      this.untold++;
      return;
    }
    written.unwritten++;
    try {
      await this.#screen.print([line], 0, (lines) => {
        written.written += lines;
        written.unwritten -= lines;
      });
      if (this.areEnough) this.#stop();
    } catch (error) {
      this.failure = error;
      this.#stop();
    }
  }
}

/** What a guard is opened with, to be told of. */
export interface Telling {
  readonly lines: VerdictLines;
  readonly screen: Screen;
}

/** How a command guards. */
export interface Guarding {
  readonly surroundings: Surroundings;
  /** Ends after so many verdicts. */
  readonly count?: number | undefined;
  readonly timeoutSeconds?: number | undefined;
  /** Opens the guard, and what goes with it. */
  open(telling: Telling): Promise<Guard>;
  /** Says that it is at work. */
  announce(gate: Guard, screen: Screen): Promise<void>;
  /** Says, before the guard is closed, what it has done. */
  sum?(gate: Guard, screen: Screen): Promise<void>;
}

/** Guards until it is stopped. */
export async function guardUntilStopped(guarding: Guarding): Promise<Ending> {
  const { surroundings, count, timeoutSeconds } = guarding;
  const screen = new Screen(surroundings.openOutput(), surroundings.say, '\n');
  let onStop: () => void = () => undefined;
  const stopped = new Promise<void>((resolve) => {
    onStop = resolve;
  });
  const lines = new VerdictLines(screen, count, () => onStop());
  const stopping = new Stopping(() => onStop(), timeoutSeconds, surroundings.abort);
  let gate: Guard | undefined;
  try {
    gate = await guarding.open({ lines, screen });
    hear(gate, screen, onStop);
    await guarding.announce(gate, screen);
    await stopped;
    await guarding.sum?.(gate, screen).catch(() => undefined);
  } catch (error) {
    if (stopping.why === undefined) throw error;
  } finally {
    stopping.end();
    await gate?.close();
    await screen.close();
  }
  if (lines.failure instanceof OutputError) return outputFailure(lines.failure, lines.written);
  if (lines.failure !== undefined) throw lines.failure;
  if (stopping.why === 'timeout') return { status: 2 };
  if (stopping.why !== undefined && stopping.why !== 'quit') {
    const { written } = lines.written;
    const missing = lines.untold + lines.written.unwritten;
    const others = missing === 0 ? '' : `, and ${missing} that nobody has read in time`;
    surroundings.say(`${written} ${written === 1 ? 'verdict' : 'verdicts'}${others}`);
    return { status: 128 + constants.signals[stopping.why], signal: stopping.why };
  }
  if (lines.areEnough) return { status: 0 };
  throw new UserError('nothing is guarded any more');
}

function hear(gate: Guard, screen: Screen, onStop: () => void): void {
  gate.on('error', (error) => screen.say(`fanotify: ${error.message}`));
  gate.on('timeout', ({ count, path }) =>
    screen.say(`fanotify: ${count} not decided in time, the first ${path === null ? 'without a path' : shown(path)}`),
  );
  gate.on('decisionsLost', (count) => screen.say(`fanotify: ${count} decisions are not told: nobody read in time`));
  gate.on('kernelDenied', ({ count, errno }) =>
    screen.say(`fanotify: the kernel denied ${count} itself (errno ${errno})`),
  );
  gate.on('gone', ({ asked, gone }) => screen.say(`fanotify: ${shown(asked)} is ${gone}: nothing is in it any more`));
  gate.on('coverage', ({ held, notHeld }) => {
    for (const { mountPoint, type } of held) screen.say(`now held: ${shown(mountPoint)} (${type})`);
    sayNotHeld(notHeld, screen);
  });
  gate.on('close', onStop);
}

/** Says what is guarded: `targets`, or all file systems. */
export async function announceGuard(
  gate: Guard,
  targets: readonly string[],
  isSystem: boolean,
  how: string,
  screen: Screen,
): Promise<void> {
  if (!isSystem) {
    screen.say(`guarding ${targets.map(shown).join(', ')}${how}`);
    return;
  }
  const { held, notHeld } = await gate.coverage();
  sayNotHeld(notHeld, screen);
  const names = held.map(({ mountPoint }) => shown(mountPoint)).join(', ');
  screen.say(`guarding ${held.length === 0 ? 'nothing yet' : names}${how}`);
}

function sayNotHeld(notHeld: GuardCoverage['notHeld'], screen: Screen): void {
  for (const { mountPoint, type, why } of notHeld) screen.say(`not held: ${shown(mountPoint)} (${type}): ${why}`);
}

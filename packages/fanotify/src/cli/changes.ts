// `fanotify watch --changes`: what has changed, one line a change, by watch().

import { fstatSync, lstatSync } from 'node:fs';
import { constants } from 'node:os';
import {
  type BaselineKind,
  type Change,
  type FileEventName,
  NotPermittedError,
  type ProcessDepth,
  type Watcher,
  watch,
} from '../index.ts';
import { type Kernel, KernelUnavailableError } from '../kernel/index.ts';
import { askedKernel } from './asked-kernel.ts';
import { type ChangeFormat, changeJson, changeText } from './change-lines.ts';
import { outputFailure, type Written } from './ending.ts';
import { UserError } from './failure.ts';
import { type Output, OutputError } from './output.ts';
import { Screen } from './screen.ts';
import { Stopping } from './stopping.ts';
import type { Ending, Surroundings } from './surroundings.ts';
import { shown } from './text.ts';

/** What `fanotify watch --changes` takes, and (to refuse it) what it does not. */
export interface ChangesOptions {
  readonly changes?: true;
  readonly recursive?: true;
  readonly exclude?: string[];
  readonly json?: true;
  readonly who?: ProcessDepth;
  readonly count?: number;
  readonly timeout?: number;
  readonly initial?: true;
  readonly since?: string;
  readonly snapshot?: string;
  readonly baseline?: BaselineKind;
  readonly events?: FileEventName[];
  readonly format?: string;
  readonly timefmt?: string;
  readonly newline?: boolean;
}

/** What --baseline takes. */
export const BASELINES: readonly BaselineKind[] = ['none', 'memory', 'file'];

const FOR_CHANGES = ['initial', 'since', 'snapshot', 'baseline'] as const;
const FOR_EVENTS = { events: '-e', format: '--format', timefmt: '--timefmt' } as const;

/**
 * Refuses options that make no sense together.
 *
 * @throws UserError
 */
export function checkChanges(options: ChangesOptions): void {
  if (!options.changes) {
    const alone = FOR_CHANGES.find((name) => options[name] !== undefined);
    if (alone) throw new UserError(`--${alone} is for --changes, which is not given`);
    return;
  }
  for (const [name, option] of Object.entries(FOR_EVENTS) as [keyof typeof FOR_EVENTS, string][]) {
    if (options[name] !== undefined) {
      throw new UserError(
        `${option} is about single events, and --changes tells what became of them: leave one of them out`,
      );
    }
  }
  if (options.newline === false) throw new UserError('--no-newline is for --format, which --changes does not know');
  if (options.initial && options.since !== undefined) {
    throw new UserError('--initial tells all that is there, --since what is not as it was: leave one of them out');
  }
  if (options.snapshot !== undefined && options.baseline === 'none') {
    throw new UserError(
      '--snapshot writes down what is known of the tree, and --baseline none keeps nothing: leave one of them out',
    );
  }
  if (options.snapshot !== undefined && options.count !== undefined) {
    throw new UserError('--count may end before all is told that --snapshot takes for told: leave one of them out');
  }
}

/** Prints changes until it is ended. */
export async function printChanges(
  paths: readonly string[],
  options: ChangesOptions,
  surroundings: Surroundings,
): Promise<Ending> {
  const kernel = kernelOf(surroundings, paths, options.who);
  const output = surroundings.openOutput();
  const { recursive = false, exclude: ignore, who: by, initial, since, baseline, snapshot } = options;
  const watcher = watch(paths, { recursive, ignore, by, initial, since, baseline, kernel });
  const screen = new Screen(output, surroundings.say);
  const printing = new Printing(watcher, screen, formatOf(options, output), options.count);
  let stop: () => void = () => undefined;
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  const stopping = new Stopping(stop, options.timeout, surroundings.abort);
  try {
    await Promise.race([watcher.ready, stopped]);
    if (stopping.why === undefined) announce(paths, watcher, options, screen);
    await Promise.race([printing.ended, stopped]);
    if (snapshot !== undefined) {
      // From here on a second Ctrl-C ends it at once.
      stopping.end();
      await watcher.snapshot(snapshot);
    }
    await Promise.race([printing.upTo(watcher.counters.told), printing.ended, stopping.overdue]);
  } catch (error) {
    if (error instanceof OutputError) return outputFailure(error, printing);
    throw by && error instanceof NotPermittedError ? new UserError(NEEDS_ROOT) : error;
  } finally {
    stopping.end();
    await screen.close();
    await watcher.close();
  }
  return endingOf(stopping.why, printing, watcher, screen);
}

/** Elsewhere watch() says what is missing, and takes something else. */
function kernelOf(
  { kernel }: Surroundings,
  paths: readonly string[],
  who: ProcessDepth | undefined,
): Kernel | undefined {
  try {
    return askedKernel(kernel(), paths, who);
  } catch (error) {
    if (error instanceof KernelUnavailableError) return undefined;
    throw error;
  }
}

const NEEDS_ROOT =
  "--who takes root, since the kernel tells nobody else who did it: 'sudo fanotify watch --changes --who …', or leave it out";

function formatOf({ json, who }: ChangesOptions, { terminal }: Output): ChangeFormat {
  return json ? changeJson : changeText(terminal?.hasColours ?? false, () => terminal?.columns ?? 0, who);
}

const HOW = {
  filesystem: 'by marks on whole file systems',
  daemon: 'through fanotifyd',
  inodes: 'by a mark on each directory',
  fallback: 'through @parcel/watcher',
} as const;

function announce(paths: readonly string[], { how }: Watcher, { recursive }: ChangesOptions, screen: Screen): void {
  const below = recursive ? ` and below${how ? ` (${HOW[how]})` : ''}` : '';
  screen.say(`watching ${paths.map(shown).join(', ')}${below}`);
}

/** Changes on their way to the output. */
class Printing implements Written {
  written = 0;
  unwritten = 0;
  /** Resolves when there are as many as were asked for, or no more to come. */
  readonly ended: Promise<void>;
  readonly #isOwn = ownOutput();
  #done = 0;
  #look: () => void = () => undefined;

  constructor(watcher: Watcher, screen: Screen, format: ChangeFormat, most = Number.POSITIVE_INFINITY) {
    this.ended = this.#print(watcher, screen, format, most);
    this.ended.catch(() => undefined);
  }

  /** Resolves when all changes up to one are printed. */
  async upTo(seq: number): Promise<void> {
    while (this.#done < seq) {
      await new Promise<void>((resolve) => {
        this.#look = resolve;
      });
    }
  }

  async #print(watcher: Watcher, screen: Screen, format: ChangeFormat, most: number): Promise<void> {
    for await (const batch of watcher.batches()) {
      const changes = batch.filter((change) => !this.#isOwn(change)).slice(0, most - this.written);
      this.unwritten = changes.length;
      const first = this.written + 1;
      // What is left out is not counted.
      const lines = changes.map((change, index) => format({ ...change, seq: first + index }));
      await screen.print(lines, watcher.counters.rescans, (count) => {
        this.written += count;
        this.unwritten -= count;
      });
      this.#done = batch.at(-1)?.seq ?? this.#done;
      this.#look();
      if (this.written >= most) return;
    }
  }
}

/** Tells changes of the file that is printed into, which would never end. */
function ownOutput(): (change: Change) => boolean {
  const status = fstatSync(1);
  if (!status.isFile()) return () => false;
  return ({ type, rawPath }) => {
    if (type !== 'update') return false;
    try {
      const { dev, ino } = lstatSync(rawPath);
      return dev === status.dev && ino === status.ino;
    } catch {
      return false;
    }
  };
}

function endingOf(why: Stopping['why'], { written, unwritten }: Written, watcher: Watcher, screen: Screen): Ending {
  if (why === undefined || why === 'quit') return { status: 0 };
  if (why === 'timeout') return { status: 2 };
  const { rescans } = watcher.counters;
  const lost = rescans === 0 ? 'none lost' : `looked again ${rescans === 1 ? 'once' : `${rescans} times`}`;
  const missing = unwritten === 0 ? '' : `, and ${unwritten} that came ${unwritten === 1 ? 'is' : 'are'} not printed`;
  screen.say(`${written} ${written === 1 ? 'change' : 'changes'}, ${lost}${missing}`);
  return { status: 128 + constants.signals[why], signal: why };
}

// What a person sees of a trace on a terminal: how much happens, and who and where is busiest.

import type { KernelEvent } from '../group/kernel-event.ts';
import type { ProcessInfo } from '../index.ts';
import { Busiest } from './busiest.ts';
import { Calm } from './calm.ts';
import { nameOf } from './process-text.ts';
import type { Screen, StatusLine } from './screen.ts';
import { columnsOf, shortened, shown } from './text.ts';
import { RATES } from './trace-line.ts';

const TICK_MS = 500;
const LEFT_OUT_MS = 1000;
/** A terminal with fewer has no room for names. */
const FEWEST_ROWS = 13;
const MOST_NAMES = 6;
const RATE_COLUMNS = 8;

/** Processes of one name: the last one, and about how many there were lately. */
interface Named {
  readonly name: string;
  pid: number;
  readonly pids: Set<number>;
  lately: number;
}

/** Counts events, chooses those that are shown, and tells the status. */
export class Live {
  readonly #overflows: () => number;
  readonly #all = new Busiest<null>();
  readonly #kinds = new Busiest<null>();
  readonly #processes = new Busiest<Named>();
  readonly #directories = new Busiest<null>();
  readonly #calm = new Calm();
  readonly #timer: NodeJS.Timeout;
  readonly #byName = new Map<string, Named>();
  #events = 0;
  #leftOutMs = Date.now();
  #tickMs = performance.now();

  constructor(screen: Screen, overflows: () => number) {
    this.#overflows = overflows;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#timer.unref();
    screen.tellStatus((columns, rows) => this.#status(columns, rows));
  }

  end(): void {
    clearInterval(this.#timer);
  }

  /** How many events there were, shown or not. */
  get events(): number {
    return this.#events;
  }

  /** Counts an event; whether it is to be shown. */
  counts(event: KernelEvent): boolean {
    this.#events++;
    this.#all.add('', null);
    if (event.kind === 'overflow' || event.kind === 'filesystemError') return true;
    for (const { name, bits } of RATES) if ((event.maskLow & bits) !== 0) this.#kinds.add(name, null);
    const { process, place } = event;
    if (process) {
      const named = this.#named(process);
      this.#processes.add(named.name, named);
    }
    const directory = event.isWhole ? undefined : place?.text;
    if (directory) this.#directories.add(directory, null);
    return this.#calm.shows(event);
  }

  #last: { readonly process: ProcessInfo; readonly named: Named } | undefined;

  /** The processes that have the name of this one. */
  #named(process: ProcessInfo): Named {
    // Most events are of the same process as the one before.
    if (this.#last?.process === process) return this.#last.named;
    const name = nameOf(process);
    let named = this.#byName.get(name);
    if (!named) {
      named = { name, pid: 0, pids: new Set(), lately: 0 };
      this.#byName.set(name, named);
    }
    named.pid = process.pid;
    named.pids.add(process.pid);
    this.#last = { process, named };
    return named;
  }

  /** Adds a line about what was not shown, now and then. */
  sayLeftOut(lines: string[]): void {
    const now = Date.now();
    if (now - this.#leftOutMs < LEFT_OUT_MS) return;
    this.#leftOutMs = now;
    const leftOut = this.#calm.takeLeftOut();
    if (leftOut > 0) lines.push(`  … and ${whole(leftOut)} more (--all prints them all)`);
  }

  #tick(): void {
    const now = performance.now();
    const elapsedMs = now - this.#tickMs;
    this.#tickMs = now;
    for (const counts of [this.#all, this.#kinds, this.#processes, this.#directories]) counts.tick(elapsedMs);
    this.#last = undefined;
    for (const [name, named] of this.#byName) {
      named.lately = Math.max(named.pids.size, Math.floor(named.lately * 0.8));
      named.pids.clear();
      if (named.lately === 0) this.#byName.delete(name);
    }
  }

  #status(columns: number, rows: number): StatusLine[] {
    const names = Math.min(MOST_NAMES, rows - FEWEST_ROWS);
    const lines: StatusLine[] = [{ text: this.#total().padEnd(columns - 1), style: 'inverse' }];
    if (names < 1) return lines;
    const left = Math.min(40, Math.floor(columns / 2.6));
    const right = columns - 1 - left - 2;
    lines.push({ text: `per second: ${this.#rates()}`, style: 'plain' });
    lines.push({ text: `${pad('busiest processes', left)}  ${pad('busiest directories', right)}`, style: 'bold' });
    const processes = this.#processes.top(names);
    const directories = this.#directories.top(names);
    for (let row = 0; row < names; row++) {
      const process = processes[row];
      const directory = directories[row];
      const who = process ? cell(titleOf(process.detail), process.perSecond, left) : ' '.repeat(left);
      const where = directory ? cell(shown(directory.name), directory.perSecond, right) : '';
      lines.push({ text: `${who}  ${where}`, style: 'plain' });
    }
    return lines;
  }

  #total(): string {
    const overflows = this.#overflows();
    const lost = overflows === 0 ? 'none lost' : `LOST ${overflows} ${overflows === 1 ? 'time' : 'times'}`;
    const perSecond = this.#all.top(1)[0]?.perSecond ?? 0;
    return ` ${whole(this.#events)} events · ${whole(perSecond)}/s · ${lost} · q ends`;
  }

  #rates(): string {
    const rates = new Map(this.#kinds.top(RATES.length).map(({ name, perSecond }) => [name, perSecond]));
    return RATES.map(({ name }) => `${name} ${whole(rates.get(name) ?? 0)}`).join('   ');
  }
}

function titleOf({ name, pid, pids, lately }: Named): string {
  const many = Math.max(lately, pids.size);
  return many <= 1 ? `${name}(${pid})` : `${name} ×${many}`;
}

function whole(rate: number): string {
  return Math.round(rate).toLocaleString('en-US');
}

function rateText(rate: number): string {
  const text = rate >= 9.95 ? whole(rate) : rate.toFixed(1);
  return `${text}/s`.padStart(RATE_COLUMNS);
}

function cell(name: string, rate: number, columns: number): string {
  return `${pad(shortened(name, columns - RATE_COLUMNS - 1), columns - RATE_COLUMNS)}${rateText(rate)}`;
}

function pad(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - columnsOf(text)));
}

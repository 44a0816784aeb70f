// Lines, and on a terminal status lines below them: one write replaces the status by new lines and itself, so that neither
// ever garbles the other.

import { joined, type Line } from './lines.ts';
import type { Output } from './output.ts';
import { columnsOf, shortened } from './text.ts';

const REDRAW_MS = 500;
/** A terminal that was stopped (Ctrl-S) does not hold up the end. */
const LONGEST_CLOSE_MS = 300;
/** Lines are written in pieces of about this many characters: what a failure leaves unwritten is known to a piece. */
const PIECE = 16_384;

// ECMA-48, SGR.
const STYLES = { plain: '', bold: '\x1b[1m', dim: '\x1b[2m', inverse: '\x1b[7m' } as const;
const PLAIN_AGAIN = '\x1b[0m';

/** A line of the status, in one style. */
export interface StatusLine {
  readonly text: string;
  readonly style: keyof typeof STYLES;
}

/** Where events are printed. */
export class Screen {
  readonly #output: Output;
  readonly #say: (text: string) => void;
  readonly #lineEnd: string;
  /** Whether there is a status below the lines. */
  readonly hasStatus: boolean;
  readonly #timer: NodeJS.Timeout | undefined;
  #lines = 0;
  #overflows = 0;
  #perSecond = 0;
  #linesBefore = 0;
  #since = performance.now();
  #progress: string | undefined;
  /** What the status tells; undefined for one line of counts. */
  #status: ((columns: number, rows: number) => readonly StatusLine[]) | undefined;
  /** The lines of the status as it stands on the terminal. */
  #drawn: readonly string[] = [];
  #closed = false;
  /** Everything is written in turn, so that nothing comes between a status and what takes it away. */
  #writing: Promise<void> = Promise.resolve();
  #isRedrawQueued = false;

  /** Where lines do not end in a line feed there is no status: nothing can stand below what may still go on. */
  constructor(output: Output, say: (text: string) => void, lineEnd: '\n' | '' = '\n') {
    this.#output = output;
    this.#say = say;
    this.#lineEnd = lineEnd;
    this.hasStatus = output.terminal !== undefined && process.env.TERM !== 'dumb' && lineEnd !== '';
    if (!this.hasStatus) return;
    this.#timer = setInterval(() => this.#tick(), REDRAW_MS);
    this.#timer.unref();
    output.terminal?.onResize(() => this.#redraw());
  }

  /**
   * Prints lines and waits until they are taken. `taken` is called with how many were, as they are.
   *
   * @throws OutputError
   */
  print(lines: readonly Line[], overflows: number, taken: (lines: number) => void): Promise<void> {
    this.#overflows = overflows;
    return this.#inTurn(async () => {
      for (let start = 0; start < lines.length; ) {
        const { piece, count } = this.#pieceFrom(lines, start);
        this.#lines += count;
        await this.#output.write(this.hasStatus ? joined([this.#clear(), piece, this.#draw()]) : piece);
        taken(count);
        start += count;
      }
    });
  }

  /** What is written at once: text, or a line that is bytes alone. */
  #pieceFrom(lines: readonly Line[], start: number): { piece: Line; count: number } {
    let piece = '';
    let end = start;
    for (let line = lines[end]; line !== undefined && piece.length < PIECE; line = lines[++end]) {
      if (typeof line !== 'string') {
        if (end === start) return { piece: joined([line, this.#lineEnd]), count: 1 };
        break;
      }
      piece += line + this.#lineEnd;
    }
    return { piece, count: end - start };
  }

  /** Says something on standard error, with the status out of the way. */
  say(text: string): void {
    if (!this.hasStatus || this.#closed) {
      this.#say(text);
      return;
    }
    this.#quietly(async () => {
      const wasDrawn = this.#drawn.length > 0;
      if (wasDrawn) await this.#output.write(this.#clear()).catch(() => undefined);
      this.#say(text);
      if (wasDrawn) await this.#output.write(this.#draw());
    });
  }

  /** Lets the status be told by somebody else, who is asked each time that it is drawn. */
  tellStatus(status: (columns: number, rows: number) => readonly StatusLine[]): void {
    this.#status = status;
  }

  /** What the status line tells while there are no events to be seen yet; undefined when that is over. */
  progress(text: string | undefined): void {
    this.#progress = text;
  }

  /** Takes the status away, until it is drawn again. */
  async clear(): Promise<void> {
    this.#quietly(async () => {
      if (this.#drawn.length > 0) await this.#output.write(this.#clear());
    });
    await this.#writing;
  }

  /** Leaves the terminal as it was found, if it takes anything at all. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#closed = true;
    if (!this.hasStatus) return;
    const late = new Promise<void>((resolve) => setTimeout(resolve, LONGEST_CLOSE_MS).unref());
    await Promise.race([this.clear(), late]);
  }

  #tick(): void {
    const now = performance.now();
    this.#perSecond = ((this.#lines - this.#linesBefore) * 1000) / (now - this.#since);
    this.#linesBefore = this.#lines;
    this.#since = now;
    this.#redraw();
  }

  #redraw(): void {
    // A terminal that takes nothing (Ctrl-S) is not given the same again and again.
    if (this.#isRedrawQueued) return;
    this.#isRedrawQueued = true;
    this.#quietly(async () => {
      this.#isRedrawQueued = false;
      const before = this.#drawn;
      const clear = clearing(before, this.#columns);
      const next = this.#draw();
      if (this.#drawn.join('\n') !== before.join('\n')) await this.#output.write(clear + next);
    });
  }

  #inTurn(write: () => Promise<void>): Promise<void> {
    const turn = this.#writing.then(write);
    this.#writing = turn.catch(() => undefined);
    return turn;
  }

  /** A terminal that is gone is noticed, and told, when the next lines are printed. */
  #quietly(write: () => Promise<void>): void {
    this.#inTurn(write).catch(() => undefined);
  }

  get #columns(): number {
    return this.#output.terminal?.columns ?? 80;
  }

  #clear(): string {
    const drawn = this.#drawn;
    this.#drawn = [];
    return drawn.length === 0 ? '' : clearing(drawn, this.#columns);
  }

  #draw(): string {
    if (this.#closed) return '';
    const progress = this.#progress;
    const text = progress === undefined ? this.#counts() : ` ${progress} · Ctrl-C ends `;
    const lines =
      (progress === undefined && this.#status?.(this.#columns, this.#output.terminal?.rows ?? 24)) ||
      ([{ text, style: 'inverse' }] as const);
    // One column stays free: writing into the last one would wrap on some terminals.
    const room = Math.max(1, this.#columns - 1);
    this.#drawn = lines.map((line) => STYLES[line.style] + shortened(line.text, room) + PLAIN_AGAIN);
    return this.#drawn.join('\n');
  }

  #counts(): string {
    const lost = this.#overflows === 0 ? 'none lost' : `LOST ${this.#overflows} times`;
    return ` ${this.#lines} ${this.#lines === 1 ? 'event' : 'events'} · ${Math.round(this.#perSecond)}/s · ${lost} · Ctrl-C ends `;
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the sequences of STYLES
const SEQUENCES = /\u001b\[\d*m/g;

/** What takes a status away again: up to its first row, and everything from there on. On a terminal that has become narrower since, its lines have wrapped. */
function clearing(drawn: readonly string[], columns: number): string {
  const rows = drawn.reduce((sum, line) => {
    return sum + Math.max(1, Math.ceil(columnsOf(line.replace(SEQUENCES, '')) / columns));
  }, 0);
  return rows <= 1 ? '\r\x1b[2K' : `\r\x1b[${rows - 1}A\x1b[J`;
}

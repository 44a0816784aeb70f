// Lines, and on a terminal status lines below them: one write replaces the status by new lines and itself, so that neither
// ever garbles the other.

import { joined, type Line } from './lines.ts';
import type { Output } from './output.ts';
import { shortened } from './text.ts';

const REDRAW_MS = 500;
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
  readonly #hasStatus: boolean;
  readonly #timer: NodeJS.Timeout | undefined;
  #lines = 0;
  #overflows = 0;
  #perSecond = 0;
  #linesBefore = 0;
  #since = performance.now();
  #progress: string | undefined;
  /** What the status tells; undefined for one line of counts. */
  #status: ((columns: number, rows: number) => readonly StatusLine[]) | undefined;
  /** The status as it stands on the terminal. */
  #drawn = '';
  #writing: Promise<void> = Promise.resolve();

  /** Where lines do not end in a line feed there is no status line: nothing can stand below what may still go on. */
  constructor(output: Output, say: (text: string) => void, lineEnd: '\n' | '' = '\n') {
    this.#output = output;
    this.#say = say;
    this.#lineEnd = lineEnd;
    this.#hasStatus = output.terminal !== undefined && process.env.TERM !== 'dumb' && lineEnd !== '';
    if (!this.#hasStatus) return;
    this.#timer = setInterval(() => this.#tick(), REDRAW_MS);
    this.#timer.unref();
    output.terminal?.onResize(() => this.#redraw());
  }

  /**
   * Prints lines and waits until they are taken. `taken` is called with how many were, as they are.
   *
   * @throws OutputError
   */
  async print(lines: readonly Line[], overflows: number, taken: (lines: number) => void): Promise<void> {
    this.#overflows = overflows;
    await this.#writing;
    for (let start = 0; start < lines.length; ) {
      const { piece, count } = this.#pieceFrom(lines, start);
      this.#lines += count;
      await this.#output.write(this.#hasStatus ? joined([this.#clear(), piece, this.#draw()]) : piece);
      taken(count);
      start += count;
    }
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

  /** Says something on standard error, with the status line out of the way. */
  say(text: string): void {
    if (this.#drawn !== '') this.#enqueue(this.#clear());
    this.#say(text);
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
    await this.#writing;
    if (this.#drawn !== '') await this.#output.write(this.#clear()).catch(() => undefined);
  }

  /** Leaves the terminal as it was found. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.clear();
  }

  #tick(): void {
    const now = performance.now();
    this.#perSecond = ((this.#lines - this.#linesBefore) * 1000) / (now - this.#since);
    this.#linesBefore = this.#lines;
    this.#since = now;
    const before = this.#drawn;
    const next = this.#draw();
    if (next !== before) this.#enqueue(clearing(before) + next);
  }

  #redraw(): void {
    if (this.#drawn !== '') this.#enqueue(clearing(this.#drawn) + this.#draw());
  }

  #enqueue(text: string): void {
    // A terminal that is gone is noticed, and told, when the next lines are printed.
    this.#writing = this.#writing.then(() => this.#output.write(text)).catch(() => undefined);
  }

  #clear(): string {
    const drawn = this.#drawn;
    this.#drawn = '';
    return drawn === '' ? '' : clearing(drawn);
  }

  #draw(): string {
    const { columns = 80, rows = 24 } = this.#output.terminal ?? {};
    const lines: readonly StatusLine[] =
      this.#progress === undefined && this.#status
        ? this.#status(columns, rows)
        : [
            {
              text: this.#progress === undefined ? this.#counts() : ` ${this.#progress} · Ctrl-C ends `,
              style: 'inverse',
            },
          ];
    // One column stays free: writing into the last one would wrap on some terminals.
    this.#drawn = lines
      .map(({ text, style }) => STYLES[style] + shortened(text, Math.max(1, columns - 1)) + PLAIN_AGAIN)
      .join('\n');
    return this.#drawn;
  }

  #counts(): string {
    const lost = this.#overflows === 0 ? 'none lost' : `LOST ${this.#overflows} times`;
    return ` ${this.#lines} ${this.#lines === 1 ? 'event' : 'events'} · ${Math.round(this.#perSecond)}/s · ${lost} · Ctrl-C ends `;
  }
}

/** What takes a status away again: up to its first line, and everything from there on. */
function clearing(drawn: string): string {
  const above = drawn.split('\n').length - 1;
  return above === 0 ? '\r\x1b[2K' : `\r\x1b[${above}A\x1b[J`;
}

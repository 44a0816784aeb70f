// Lines, and on a terminal a status line below them: one write replaces the status line by new lines and itself, so that
// neither ever garbles the other.

import type { Output } from './output.ts';
import { shortened } from './text.ts';

const CLEAR_LINE = '\r\x1b[2K';
const REDRAW_MS = 500;
/** Lines are written in pieces of about this many characters: what a failure leaves unwritten is known to a piece. */
const PIECE = 16_384;

/** Where events are printed. */
export class Screen {
  readonly #output: Output;
  readonly #say: (text: string) => void;
  readonly #hasStatus: boolean;
  readonly #timer: NodeJS.Timeout | undefined;
  #lines = 0;
  #overflows = 0;
  #perSecond = 0;
  #linesBefore = 0;
  #since = performance.now();
  #progress: string | undefined;
  /** The status line as it stands on the terminal. */
  #drawn = '';
  #writing: Promise<void> = Promise.resolve();

  constructor(output: Output, say: (text: string) => void) {
    this.#output = output;
    this.#say = say;
    this.#hasStatus = output.terminal !== undefined && process.env.TERM !== 'dumb';
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
  async print(lines: readonly string[], overflows: number, taken: (lines: number) => void): Promise<void> {
    this.#overflows = overflows;
    await this.#writing;
    for (let start = 0; start < lines.length; ) {
      let end = start;
      let piece = '';
      while (end < lines.length && piece.length < PIECE) piece += `${lines[end++]}\n`;
      this.#lines += end - start;
      await this.#output.write(this.#hasStatus ? this.#clear() + piece + this.#draw() : piece);
      taken(end - start);
      start = end;
    }
  }

  /** Says something on standard error, with the status line out of the way. */
  say(text: string): void {
    if (this.#drawn !== '') this.#enqueue(this.#clear());
    this.#say(text);
  }

  /** What the status line tells while there are no events to be seen yet; undefined when that is over. */
  progress(text: string | undefined): void {
    this.#progress = text;
  }

  /** Leaves the terminal as it was found. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#writing;
    if (this.#drawn !== '') await this.#output.write(this.#clear()).catch(() => undefined);
  }

  #tick(): void {
    const now = performance.now();
    this.#perSecond = ((this.#lines - this.#linesBefore) * 1000) / (now - this.#since);
    this.#linesBefore = this.#lines;
    this.#since = now;
    const before = this.#drawn;
    const next = this.#draw();
    if (next !== before) this.#enqueue(`\r\x1b[2K${next}`);
  }

  #redraw(): void {
    if (this.#drawn !== '') this.#enqueue(CLEAR_LINE + this.#draw());
  }

  #enqueue(text: string): void {
    // A terminal that is gone is noticed, and told, when the next lines are printed.
    this.#writing = this.#writing.then(() => this.#output.write(text)).catch(() => undefined);
  }

  #clear(): string {
    if (this.#drawn === '') return '';
    this.#drawn = '';
    return CLEAR_LINE;
  }

  #draw(): string {
    const text = this.#progress === undefined ? this.#counts() : ` ${this.#progress} · Ctrl-C ends `;
    // One column stays free: writing into the last one would wrap on some terminals.
    this.#drawn = `\x1b[7m${shortened(text, Math.max(1, (this.#output.terminal?.columns ?? 80) - 1))}\x1b[0m`;
    return this.#drawn;
  }

  #counts(): string {
    const lost = this.#overflows === 0 ? 'none lost' : `LOST ${this.#overflows} times`;
    return ` ${this.#lines} ${this.#lines === 1 ? 'event' : 'events'} · ${Math.round(this.#perSecond)}/s · ${lost} · Ctrl-C ends `;
  }
}

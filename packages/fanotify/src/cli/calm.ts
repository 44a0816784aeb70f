// Which events a person gets to see as lines while more happen than anybody can read: a few of each process, the rest as a number.

/** Lines a second that can still be read. */
const LINES_PER_SECOND = 10;
/** What may come at once after a silence. */
const BURST = 20;
const LINES_PER_PROCESS = 3;
const PERIOD_MS = 1000;

/** Chooses lines. */
export class Calm {
  #left = BURST;
  #lastMs = 0;
  #periodMs = 0;
  #byProcess = new Map<number, number>();
  #last: { readonly pid: number; readonly path: string | null } | undefined;
  #leftOut = 0;

  /** Whether an event of a process is shown. What it does again to the same file is not. */
  shows(event: { readonly pid: number; readonly path: string | null; readonly timeMs: number }): boolean {
    const { pid, timeMs } = event;
    if (timeMs !== this.#lastMs) this.#startTime(timeMs);
    const shown = this.#byProcess.get(pid) ?? 0;
    // Processes that have shown nothing yet may take what is there, others only what is plenty. The path is put together last.
    if (this.#left < 1 || (shown >= LINES_PER_PROCESS && this.#left < BURST / 2) || this.#isLast(pid, event.path)) {
      this.#leftOut++;
      return false;
    }
    this.#left--;
    this.#byProcess.set(pid, shown + 1);
    return true;
  }

  #startTime(nowMs: number): void {
    this.#left = Math.min(BURST, this.#left + ((nowMs - this.#lastMs) * LINES_PER_SECOND) / 1000);
    this.#lastMs = nowMs;
    if (nowMs - this.#periodMs < PERIOD_MS) return;
    this.#periodMs = nowMs;
    this.#byProcess.clear();
  }

  #isLast(pid: number, path: string | null): boolean {
    if (path !== null && this.#last?.pid === pid && this.#last.path === path) return true;
    this.#last = { pid, path };
    return false;
  }

  /** How many were left out since this was last asked. */
  takeLeftOut(): number {
    const leftOut = this.#leftOut;
    this.#leftOut = 0;
    return leftOut;
  }
}

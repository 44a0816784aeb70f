// Signals that the outer process got. One of the terminal, or to the whole process group, reaches the command by itself; one that was
// sent to the outer process alone is passed on. Which it was is seen by whether this process, of the same group, got it, too.

/** How long the other half of a pair may take: the kernel sends to a group one after the other. */
const PAIR_MS = 30;

/** Pairs what the outer process tells with what this one hears. */
export class Signals {
  readonly #heard = new Map<NodeJS.Signals, number>();
  readonly #listeners: (readonly [NodeJS.Signals, () => void])[] = [];
  readonly #passOn: (signal: NodeJS.Signals) => void;

  /** @param passOn Sends a signal to the command. */
  constructor(signals: readonly NodeJS.Signals[], passOn: (signal: NodeJS.Signals) => void) {
    this.#passOn = passOn;
    for (const signal of signals) {
      const listener = () => void this.#heard.set(signal, (this.#heard.get(signal) ?? 0) + 1);
      process.on(signal, listener);
      this.#listeners.push([signal, listener]);
    }
  }

  /** The outer process got one. */
  told(signal: NodeJS.Signals): void {
    // Twice does no harm, and a shell in the command's place has a process group of its own.
    if (signal === 'SIGCONT') {
      this.#passOn(signal);
      return;
    }
    setTimeout(() => {
      const heard = this.#heard.get(signal) ?? 0;
      if (heard > 0) this.#heard.set(signal, heard - 1);
      else this.#passOn(signal);
    }, PAIR_MS);
  }
}

// What holds a task: a permission event without an answer, an empty queue, a sleep. System calls that may be held are generators that
// yield a Wait; whoever runs the task (tasks/scheduler.ts) goes on with it once the wait is over.

/** Something that will be over. */
export class Wait {
  /** For people: 'the answer to FAN_OPEN_PERM of /a by group 3'. */
  readonly why: string;
  #isOver = false;
  #onOver: (() => void)[] | undefined;

  constructor(why: string) {
    this.why = why;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Ends it. Whoever was held becomes runnable; it runs when the scheduler says so, never from inside this call. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const listener of this.#onOver ?? []) listener();
    this.#onOver = undefined;
  }

  /** Calls `listener` when it is over; at once when it is. */
  onOver(listener: () => void): void {
    if (this.#isOver) listener();
    else if (this.#onOver) this.#onOver.push(listener);
    else this.#onOver = [listener];
  }
}

/** A system call, or a part of one, that may be held on its way. Yields only what is not over yet. */
export type Blocking<T> = Generator<Wait, T, void>;

// Programs that a test has written, with the two mistakes looked for that would go unseen: a call without `yield*` is never made, and a
// `yield` of a call holds nothing.

import type { SystemCalls } from '../seam/system-calls.ts';
import { type Blocking, Wait } from '../wait.ts';
import { TestOptionsError } from './errors.ts';

/** A program of a test: see `TestProcess.run`. */
export type TestProgram<Result> = (calls: SystemCalls) => Generator<Wait | undefined, Result, void>;

type Call = (...args: unknown[]) => Blocking<unknown>;

/**
 * The steps of a program.
 *
 * @throws TestOptionsError for what is no generator function; so do the steps, for a call that was made without `yield*`.
 */
export function stepsOf<Result>(
  program: TestProgram<Result>,
  calls: SystemCalls,
): Generator<Wait | undefined, Result, void> {
  const unmade = new Map<object, string>();
  const body: unknown = typeof program === 'function' ? program(watched(calls, unmade)) : undefined;
  if (!isGenerator<Result>(body)) {
    throw new TestOptionsError(
      'run() takes a generator function, as in run(function* (calls) { yield* calls.open(path); })',
    );
  }
  return checked(body, unmade);
}

function* checked<Result>(
  body: Generator<unknown, Result, void>,
  unmade: ReadonlyMap<object, string>,
): Generator<Wait | undefined, Result, void> {
  let isOver = false;
  try {
    for (;;) {
      const step = body.next();
      if (step.done === true) {
        isOver = true;
        const [forgotten] = unmade.values();
        if (forgotten !== undefined) {
          throw new TestOptionsError(
            `${forgotten}() was called without 'yield*', so it was not made: yield* calls.${forgotten}(…)`,
          );
        }
        return step.value;
      }
      const { value } = step;
      if (value !== undefined && !(value instanceof Wait)) {
        throw new TestOptionsError(
          "a program yields nothing of its own: it makes calls with 'yield*', as in yield* calls.open(path)",
        );
      }
      yield value;
    }
  } finally {
    // Killed, or it did what it must not: it is given up, from inside to outside.
    if (!isOver) body.return(undefined as Result);
  }
}

/** The same calls; each is among `unmade` until its first step. */
function watched(calls: SystemCalls, unmade: Map<object, string>): SystemCalls {
  return new Proxy(calls, {
    get: (_, name) => {
      const call: unknown = Reflect.get(calls, name, calls);
      if (typeof call !== 'function' || typeof name !== 'string') return call;
      return (...args: unknown[]) => {
        const token = {};
        const made = (call as Call).apply(calls, args);
        unmade.set(token, name);
        return begun(made, () => unmade.delete(token));
      };
    },
  });
}

function* begun<Result>(call: Blocking<Result>, onBegin: () => void): Blocking<Result> {
  onBegin();
  return yield* call;
}

function isGenerator<Result>(value: unknown): value is Generator<unknown, Result, void> {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { next?: unknown }).next === 'function' &&
    typeof (value as { return?: unknown }).return === 'function' &&
    Symbol.iterator in value
  );
}

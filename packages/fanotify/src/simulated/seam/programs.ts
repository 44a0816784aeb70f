// What processes of a simulated machine do: programs, which the scheduler lets run.

import { KernelError } from '../../kernel/error.ts';
import { Refusal, refuse } from '../refusal.ts';
import { execute } from '../tasks/exec.ts';
import { CLD_EXITED, fork, waitChild } from '../tasks/process.ts';
import type { Program } from '../tasks/scheduler.ts';
import type { Blocking } from '../wait.ts';
import type { SeamParts } from './parts.ts';

/** _exit(2) on its way out of a program. */
export class Exit {
  readonly status: number;

  constructor(status: number) {
    this.status = status;
  }
}

/** fork(2), and execve(2) of a program that ends at once; over when it has been waited for. ECANCELED: it was killed on its way. */
export function* spawn({ machine, scheduler }: SeamParts, path: string, argv: readonly string[]): Blocking<void> {
  const child = fork(machine);
  let refusal: unknown;
  scheduler.start(
    child,
    (function* (): Program {
      try {
        yield* execute(machine, path, argv);
        return 0;
      } catch (error) {
        // What cannot be mapped any more is killed rather than refused.
        if (child.pendingKill !== undefined) yield undefined;
        refusal = error;
        return 127;
      }
    })(),
  );
  const end = yield* waitChild(machine, child.process.pid, WEXITED);
  if (end !== undefined && end.code !== CLD_EXITED) refuse('ECANCELED');
  if (refusal instanceof Refusal || refusal instanceof KernelError) throw refusal;
}

const WEXITED = 4;

/** Takes a turn whenever something may have become ready, and when as much time has passed as the last one has said. */
export function* turning({ machine, wakeups }: SeamParts, turn: () => number | undefined): Program {
  for (;;) {
    const waitMs = turn();
    if (waitMs === undefined) return 0;
    if (waitMs <= 0) {
      yield undefined;
      continue;
    }
    const cancel = machine.clock.after(waitMs, () => wakeups.changed());
    try {
      yield wakeups.next('something to do');
    } finally {
      cancel();
    }
  }
}

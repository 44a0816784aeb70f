// System calls of a process that are held: the rest of the machine runs inside of them, and nobody is lost by that.

import { afterEach, beforeEach, expect, it } from 'vitest';
import { FAN_ALLOW, FAN_CLASS_CONTENT, FAN_NONBLOCK, FAN_OPEN_PERM } from '../../src/abi/index.ts';
import { SimulatedSystem } from '../../src/simulated/seam/simulated-system.ts';
import { SystemCalls } from '../../src/simulated/seam/system-calls.ts';
import type { Program } from '../../src/simulated/tasks/scheduler.ts';
import type { Blocking, Wait } from '../../src/simulated/wait.ts';

const AT_FDCWD = -100;
/** Programs end with the test: else the machine's own event loop would run them for ever. */
let isOver = false;

beforeEach(() => {
  isOver = false;
});
afterEach(() => {
  isOver = true;
});

/** A machine on which each open is held until a process has allowed it, and the kernel of somebody who has a program. */
function heldMachine(seed: number) {
  const system = new SimulatedSystem({ seed });
  const calls = new SystemCalls(system);
  system.kernelOf(system.init).make(calls.writeFile('/file', '1'));
  const guard = system.newProcess({ comm: 'guard' });
  system.scheduler.start(
    guard,
    (function* (): Program {
      const group = yield* calls.fanotifyInit(FAN_CLASS_CONTENT | FAN_NONBLOCK);
      yield* calls.fanotifyMark(group, 0x1, FAN_OPEN_PERM, '/file');
      while (!isOver) {
        yield undefined;
        const response = Buffer.alloc(8);
        try {
          response.writeInt32LE((yield* calls.read(group, 256)).readInt32LE(16), 0);
        } catch {
          continue;
        }
        response.writeUInt32LE(FAN_ALLOW, 4);
        yield* calls.write(group, response);
        yield* calls.close(response.readInt32LE(0));
      }
      return 0;
    })(),
  );
  for (let steps = 0; steps < 50; steps++) system.scheduler.step();
  const task = system.newProcess({ comm: 'caller' });
  return { system, task, kernel: system.kernelOf(task) };
}

it('lets a program make such calls itself, while others run, and goes on with all of them', () => {
  for (let seed = 1; seed <= 4; seed++) {
    const { system, task, kernel } = heldMachine(seed);
    const turns = [0, 0, 0];
    const take = (number: number, turn: () => void) =>
      (function* (): Program {
        while (!isOver) {
          turn();
          turns[number] = (turns[number] ?? 0) + 1;
          yield undefined;
        }
        return 0;
      })();
    system.scheduler.start(
      task,
      take(0, () => kernel.close(kernel.openAt(AT_FDCWD, '/file', 0))),
    );
    for (const number of [1, 2])
      system.scheduler.start(
        system.newProcess({ comm: 'other' }),
        take(number, () => {}),
      );
    for (let steps = 0; steps < 100; steps++) system.scheduler.step();
    expect(Math.min(...turns)).toBeGreaterThan(5);
  }
});

it('leaves a program waiting for what it waits for, when something that it has begun makes such a call', () => {
  for (let seed = 1; seed <= 4; seed++) {
    const { system, task, kernel } = heldMachine(seed);
    let hasSlept = false;
    system.scheduler.start(
      task,
      (function* (): Program {
        yield* sleep(new SystemCalls(system).sleep(1));
        hasSlept = true;
        return 0;
      })(),
    );
    // As what goes on in promises does, between two turns of its program.
    kernel.close(kernel.openAt(AT_FDCWD, '/file', 0));
    for (let steps = 0; steps < 100; steps++) {
      system.scheduler.step();
      system.machine.clock.advance(1);
    }
    expect(hasSlept).toBe(true);
  }
});

function* sleep(call: Blocking<void>): Generator<Wait | undefined, void, void> {
  yield* call;
}

// Processes of the simulated machine: order of closing, execution, scheduling, signals.

import { beforeEach, describe, expect, it } from 'vitest';
import { boot, type Machine } from '../../src/simulated/boot.ts';
import { chmod } from '../../src/simulated/files/attributes.ts';
import { mkdir } from '../../src/simulated/files/create.ts';
import { AT_FDCWD, O_CLOEXEC, O_CREAT, O_RDONLY, O_RDWR, O_WRONLY } from '../../src/simulated/files/flags.ts';
import { map } from '../../src/simulated/files/mapping.ts';
import { open } from '../../src/simulated/files/open.ts';
import { write } from '../../src/simulated/files/read-write.ts';
import { close, duplicate } from '../../src/simulated/tasks/descriptors.ts';
import { programImage } from '../../src/simulated/tasks/elf.ts';
import { execute } from '../../src/simulated/tasks/exec.ts';
import { pidfdOpen } from '../../src/simulated/tasks/pidfd.ts';
import { CLD_KILLED, fork, waitChild } from '../../src/simulated/tasks/process.ts';
import { type Program, Scheduler } from '../../src/simulated/tasks/scheduler.ts';
import { sendSignal } from '../../src/simulated/tasks/signal.ts';
import { type Blocking, Wait } from '../../src/simulated/wait.ts';
import { now, type Recording, record } from './recording.ts';

let recording: Recording;
let machine: Machine;

const openNow = (path: string, flags: number, mode = 0o644) => now(open(machine, AT_FDCWD, path, flags, mode));
function put(path: string, content: Uint8Array | string, mode = 0o755): void {
  const fd = openNow(path, O_CREAT | O_WRONLY);
  now(write(machine, fd, Buffer.from(content)));
  close(machine, fd);
  chmod(machine, path, mode);
}

beforeEach(() => {
  recording = record();
  machine = boot({ fsnotify: () => recording.hooks });
});

/** Lets a child of the first process do this, alone. */
function child(program: () => Program, seed = 1): Scheduler {
  const scheduler = new Scheduler(machine, seed);
  scheduler.start(fork(machine), program());
  return scheduler;
}

describe('the end of a process', () => {
  it('closes the last descriptor first, and what is mapped after them', () => {
    for (const name of ['/a', '/b', '/c', '/d']) put(name, '1');
    child(function* () {
      for (const name of ['/a', '/b', '/c']) yield* open(machine, AT_FDCWD, name, O_RDONLY);
      const fd = yield* open(machine, AT_FDCWD, '/d', O_RDONLY);
      yield* map(machine, fd, 0, 4096);
      close(machine, fd);
      recording.take();
    }).run();
    expect(recording.take()).toEqual(['CLOSE_NOWRITE /c', 'CLOSE_NOWRITE /b', 'CLOSE_NOWRITE /a', 'CLOSE_NOWRITE /d']);
  });

  it('can be waited for, once', () => {
    const scheduler = child(function* () {
      yield undefined;
      return 7;
    });
    const waiter = waitChild(machine, 0, 0);
    const step = waiter.next();
    expect(step.done).toBe(false);
    scheduler.run();
    expect(waiter.next().value).toMatchObject({ code: 1, status: 7 });
    expect(() => now(waitChild(machine, 0, 0))).toThrow('errno 10');
  });

  it('makes a pidfd readable, and hangs it up when it was waited for', () => {
    const task = fork(machine);
    const fd = pidfdOpen(machine, task.tid);
    const file = machine.current.process.descriptors.slots[fd]?.file;
    expect(file?.operations?.poll()).toBe(0);
    const scheduler = new Scheduler(machine, 1);
    scheduler.start(task, (function* () {})());
    scheduler.run();
    expect(file?.operations?.poll()).toBe(1);
    now(waitChild(machine, task.tid, 0));
    expect(file?.operations?.poll()).toBe(17);
    expect(() => pidfdOpen(machine, task.tid)).toThrow('errno 3');
  });
});

describe('execute', () => {
  const whileRunning = (path: string) =>
    child(function* () {
      yield* execute(machine, path);
      lines.push(...recording.take());
    }).run();
  let lines: string[] = [];
  beforeEach(() => {
    lines = [];
  });

  it('opens a program to execute, reads it, maps it, and closes it as the process ends', () => {
    put('/prog', programImage());
    recording.take();
    whileRunning('/prog');
    expect(lines).toEqual([
      'OPEN_EXEC_PERM OPEN_PERM /prog',
      'OPEN|OPEN_EXEC /prog',
      'AREA read 0+256 /prog',
      'ACCESS /prog',
      'AREA read 64+56 /prog',
      'ACCESS /prog',
      'AREA map 0+4096 /prog',
    ]);
    expect(recording.take()).toEqual(['CLOSE_NOWRITE /prog']);
  });

  it('runs the interpreter of a script, and closes the script once that runs', () => {
    put('/prog', programImage());
    put('/script', '#! /prog -x\n');
    recording.take();
    whileRunning('/script');
    expect(lines.filter((line) => !/AREA|PERM/.test(line))).toEqual([
      'OPEN|OPEN_EXEC /script',
      'ACCESS /script',
      'OPEN|OPEN_EXEC /prog',
      'ACCESS /prog',
      'ACCESS /prog',
      'CLOSE_NOWRITE /script',
    ]);
    expect(recording.take()).toEqual(['CLOSE_NOWRITE /prog']);
  });

  it('refuses what is no program, after it has read it', () => {
    put('/text', 'hello');
    recording.take();
    expect(() => now(execute(machine, '/text'))).toThrow('errno 8');
    expect(recording.take().filter((line) => !/AREA|PERM/.test(line))).toEqual([
      'OPEN|OPEN_EXEC /text',
      'ACCESS /text',
      'CLOSE_NOWRITE /text',
    ]);
  });

  it('is refused while somebody writes, and nobody writes what runs', () => {
    // As openPermission leaves it where nobody decides.
    machine.fsnotify.openPermission = (file) => {
      file.quiet = 'permission';
      return undefined;
    };
    put('/prog', programImage());
    const fd = openNow('/prog', O_RDWR);
    expect(() => now(execute(machine, '/prog'))).toThrow('errno 26');
    close(machine, fd);
    const scheduler = child(function* () {
      yield* execute(machine, '/prog');
      expect(() => openNow('/prog', O_WRONLY)).toThrow('errno 26');
    });
    scheduler.run();
    close(machine, openNow('/prog', O_WRONLY));
  });

  it('needs a bit to execute, even of root', () => {
    put('/prog', programImage(), 0o644);
    expect(() => now(execute(machine, '/prog'))).toThrow('errno 13');
  });

  it('closes descriptors that are to be closed, and keeps the others', () => {
    put('/prog', programImage());
    put('/a', '1');
    const scheduler = child(function* () {
      const kept = yield* open(machine, AT_FDCWD, '/a', O_RDONLY);
      yield* open(machine, AT_FDCWD, '/a', O_RDONLY | O_CLOEXEC);
      yield* execute(machine, '/prog');
      lines.push(...recording.take().filter((line) => line.startsWith('CLOSE')));
      expect(duplicate(machine, kept)).toBe(kept + 1);
    });
    recording.take();
    scheduler.run();
    expect(lines).toEqual(['CLOSE_NOWRITE /a']);
  });
});

describe('the scheduler', () => {
  function order(seed: number): string {
    machine = boot({ fsnotify: () => recording.hooks });
    const scheduler = new Scheduler(machine, seed);
    let text = '';
    for (const name of ['a', 'b', 'c']) {
      scheduler.start(
        fork(machine),
        (function* () {
          for (let i = 0; i < 5; i++) {
            mkdir(machine, `/${name}${i}`);
            text += name;
            yield undefined;
          }
        })(),
      );
    }
    scheduler.run();
    return text;
  }

  it('runs in the same order for the same seed, and in others for others', () => {
    expect(order(1)).toBe(order(1));
    expect(new Set([1, 2, 3, 4, 5].map(order)).size).toBeGreaterThan(3);
  });

  it('holds a task until what holds it is over, and says what that is', () => {
    put('/a', '1');
    const wait = new Wait('an answer');
    recording.hold = function* (what): Blocking<void> {
      if (what === 'OPEN_PERM /a') yield wait;
    };
    let opened = -1;
    const scheduler = child(function* () {
      opened = yield* open(machine, AT_FDCWD, '/a', O_RDWR);
    });
    scheduler.run();
    expect(opened).toBe(-1);
    expect(scheduler.held().map(({ by }) => by.why)).toEqual(['an answer']);
    wait.end();
    scheduler.run();
    expect(opened).toBe(0);
  });

  it('lets a held task go that is killed: nobody hears of an open or a close', () => {
    put('/a', '1');
    let isGivenUp = false;
    recording.hold = function* (what): Blocking<void> {
      if (what !== 'OPEN_PERM /a') return;
      try {
        yield new Wait('an answer that never comes');
      } finally {
        isGivenUp = true;
      }
    };
    const scheduler = new Scheduler(machine, 1);
    const task = fork(machine);
    scheduler.start(
      task,
      (function* () {
        yield* open(machine, AT_FDCWD, '/a', O_RDWR);
      })(),
    );
    scheduler.run();
    recording.take();
    sendSignal(machine, task.process, 9);
    scheduler.run();
    expect(isGivenUp).toBe(true);
    expect(recording.take()).toEqual([]);
    expect(now(waitChild(machine, 0, 0))).toEqual({ pid: task.tid, code: CLD_KILLED, status: 9 });
  });

  it('leaves a stopped process where it is until it is continued', () => {
    const scheduler = new Scheduler(machine, 1);
    const task = fork(machine);
    scheduler.start(
      task,
      (function* () {
        yield undefined;
        mkdir(machine, '/made');
      })(),
    );
    sendSignal(machine, task.process, 19);
    scheduler.run();
    expect(recording.take()).toEqual([]);
    sendSignal(machine, task.process, 18);
    scheduler.run();
    expect(recording.take()).toEqual(['CREATE /made']);
  });
});

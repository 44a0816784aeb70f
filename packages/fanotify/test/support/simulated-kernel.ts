// Runs a test file on the simulated kernel (the project `simulated` of vitest.config.ts): what the library and the tests ask the machine for
// they ask this one. What takes the place of what is in test/support/simulated; what is left out, and why, in left-out.ts there.

import { beforeEach, expect, type RunnerTask } from 'vitest';
import { setresuid } from '../../src/simulated/tasks/credentials.ts';
import { LEFT_OUT } from './simulated/left-out.ts';
import { as, machine, self } from './simulated/machine.ts';
import { signal } from './simulated/signal.ts';

/** These fill the queue of a group, however long it is: it need not be 16,384 events. */
const FILLS_QUEUES: ReadonlySet<string> = new Set([
  'group/events.test.ts',
  'scope/subtree.test.ts',
  'watch/loss.test.ts',
]);
const FEW_EVENTS = 1_024;
/** As Linux has it. */
const MANY_EVENTS = 16_384;
const ROOM = 'packages/fanotify/test/';
const path = expect.getState().testPath?.replaceAll('\\', '/') ?? '';
const file = path.slice(path.lastIndexOf(ROOM) + ROOM.length);
const leftOut = Object.entries(LEFT_OUT[file] ?? {});

if (/^(core|proposal)\//.test(file)) await import('./simulated/core-process.ts');
// Calls that are refused are the order of the day, and vitest asks for a hundred frames.
Error.stackTraceLimit = 10;
machine.limits.maxQueuedEvents = FILLS_QUEUES.has(file) ? FEW_EVENTS : MANY_EVENTS;

Object.assign(process, {
  getuid: () => self.credentials.uid,
  geteuid: () => self.credentials.euid,
  getgid: () => self.credentials.gid,
  getegid: () => self.credentials.egid,
  seteuid: (uid: number) => as(self, () => setresuid(machine, -1, uid, -1)),
});
Object.defineProperty(process, 'platform', { value: 'linux' });
const { kill } = process;
process.kill = (pid, which) =>
  signal(pid, which as NodeJS.Signals | number | undefined) || kill.call(process, pid, which);

const nameOf = (task: RunnerTask): string => (task.suite ? `${nameOf(task.suite)} > ${task.name}` : task.name);

let isChecked = false;

beforeEach(({ task, skip }) => {
  if (!isChecked) checkNames(allOf(task.file.tasks).map(nameOf));
  isChecked = true;
  for (const [name, why] of leftOut) if (nameOf(task).startsWith(name)) skip(why);
});

/** What is left out is there to be left out. */
function checkNames(names: readonly string[]): void {
  for (const [name] of leftOut) {
    if (names.some((each) => each.startsWith(name))) continue;
    throw new Error(`left-out.ts names ${JSON.stringify(name)}, which is no test of ${file}`);
  }
}

function allOf(tasks: readonly RunnerTask[]): RunnerTask[] {
  return tasks.flatMap((task) => ('tasks' in task ? allOf(task.tasks) : [task]));
}

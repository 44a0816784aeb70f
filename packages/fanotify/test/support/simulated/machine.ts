// The simulated machine of a test file, and the process in it that the test is: with its number, its program, its directory and its
// temporary directory.

import { tmpdir } from 'node:os';
import { chdir } from '../../../src/simulated/files/directories.ts';
import { AT_FDCWD, O_RDWR } from '../../../src/simulated/files/flags.ts';
import { open } from '../../../src/simulated/files/open.ts';
import type { SimulatedKernel } from '../../../src/simulated/seam/kernel.ts';
import { SimulatedSystem } from '../../../src/simulated/seam/simulated-system.ts';
import { SystemCalls } from '../../../src/simulated/seam/system-calls.ts';
import type { Task } from '../../../src/simulated/tasks/task.ts';
import type { Blocking } from '../../../src/simulated/wait.ts';

/** Node raises its limit of descriptors to what it may have. */
const MANY_DESCRIPTORS = 65_536;

export const system: SimulatedSystem = new SimulatedSystem();
export const { machine } = system;
export const calls: SystemCalls = new SystemCalls(system);

// The number that the test has for itself.
machine.tasks.initialPidNamespace.lastPid = process.pid - 1;
/** The test. */
export const self: Task = system.newProcess({ comm: 'node', exe: process.execPath, argv: process.argv });
/** Named as the kernel of a Linux is. */
export const kernel: SimulatedKernel = Object.assign(system.kernelOf(self), { name: 'Linux 6.18.0' as 'simulated' });

self.process.descriptorLimit = MANY_DESCRIPTORS;
for (const directory of ['/etc', '/mnt', '/run', '/usr/bin', tmpdir(), process.cwd()]) makeDirectories(directory);
const users = Object.entries({ root: 0, daemon: 1, nobody: 65_534 });
kernel.make(calls.writeFile('/etc/passwd', users.map(([name, id]) => `${name}:x:${id}:${id}::/:/bin/sh\n`).join('')));
kernel.make(calls.writeFile('/etc/group', users.map(([name, id]) => `${name}:x:${id}:\n`).join('')));
// Anybody may put something there.
const temporary = kernel.make(calls.stat(tmpdir()));
kernel.make(calls.chmod(tmpdir(), (temporary.mode & 0o777) | 0o1777));
kernel.make(asCall(() => chdir(machine, process.cwd())));
// Standard input, output and error: whatever is opened has higher numbers.
for (let fd = 0; fd < 3; fd++) kernel.make(open(machine, AT_FDCWD, '/dev/null', O_RDWR));

const startedMs = performance.now() - machine.clock.bootTimeMs();

/** Time passes there as it does here, and whatever the test does, it does now. Where a call waits, the machine may be ahead. */
export function keepTime(): void {
  const behindMs = performance.now() - startedMs - machine.clock.bootTimeMs();
  if (behindMs > 0) machine.clock.advance(behindMs);
}

/** What never waits, as what may. */
// biome-ignore lint/correctness/useYield: it never waits.
export function* asCall<T>(operation: () => T): Blocking<T> {
  return operation();
}

/** Does something at once as a task. */
export function as<T>(task: Task, operation: () => T): T {
  const before = machine.current;
  machine.current = task;
  try {
    return operation();
  } finally {
    machine.current = before;
    system.others.called();
  }
}

function makeDirectories(path: string): void {
  const names = path.split('/').filter(Boolean);
  for (let depth = 1; depth <= names.length; depth++) {
    try {
      kernel.make(calls.mkdir(`/${names.slice(0, depth).join('/')}`, 0o755));
    } catch {
      // It is there.
    }
  }
}

// The thread of watchdog.ts: sleeps, looks how long the call at hand takes, and when that is too long answers and ends the process.

import { parentPort, workerData } from 'node:worker_threads';
import { MountTable } from '../identity/mount-table.ts';
import { type Kernel, KernelError, linuxKernel } from '../kernel/index.ts';
import { nowMs } from './clock.ts';
import { hurry, URGENCY } from './hurry.ts';
import { answerByPolicy, drainByPolicy } from './policy-answers.ts';
import { SubtreePlaces } from './subtree-places.ts';
import { SubtreeRoot } from './subtree-root.ts';
import { SLOT, TURN, type WatchdogData, type WatchedSubtrees } from './watchdog.ts';
import { FRAME, jsonFrame, type Notice } from './wire.ts';

/** With the deadline, what an access waits for at most. */
const LOOK_MS = 20;

const { shared, socket, ownerPid, subtrees, deadlineMs, policy } = workerData as WatchdogData;
const { numbers, startedMs } = shared;
const kernel = linuxKernel();
const places = subtrees && placesOf(kernel, subtrees);
const bed = new Int32Array(new SharedArrayBuffer(4));

hurry(kernel, URGENCY.watchdog);
parentPort?.postMessage('looking');
while (!isStalled()) sleep(LOOK_MS);
// The loop may have come back at this very moment: then it goes on.
while (Atomics.compareExchange(numbers, SLOT.turn, TURN.call, TURN.watchdog) !== TURN.call) {
  while (!isStalled()) sleep(LOOK_MS);
}
takeOver(kernel);

/** Its own: nothing in them is shared with the loop but the descriptors of the roots. */
function placesOf(kernel: Kernel, { roots, crossesMounts }: WatchedSubtrees): SubtreePlaces {
  const mounts = new MountTable(kernel);
  return new SubtreePlaces(
    kernel,
    mounts,
    roots.map((root) => new SubtreeRoot(kernel, mounts, root)),
    crossesMounts,
  );
}

function isStalled(): boolean {
  return Atomics.load(numbers, SLOT.turn) === TURN.call && nowMs() - (startedMs[0] ?? 0) >= deadlineMs;
}

function sleep(ms: number): void {
  Atomics.wait(bed, 0, 0, ms);
}

function takeOver(kernel: Kernel): void {
  const groupFd = numbers[SLOT.group] ?? -1;
  const events = Buffer.from(shared.events.buffer);
  const isAllowed = (pid: number, fd: number) =>
    pid === ownerPid || pid === process.pid || places?.seemsOutside(fd, pid) === true;
  answerByPolicy(kernel, groupFd, events.subarray(numbers[SLOT.offset], numbers[SLOT.length]), isAllowed, policy);
  // What came meanwhile, the loop's own accesses among it: it may wait for itself.
  drainByPolicy(kernel, groupFd, Buffer.alloc(events.length), isAllowed, policy);
  const stalledMs = nowMs() - (startedMs[0] ?? 0);
  const notice: Notice = { notice: 'stalled', ms: Math.round(stalledMs) };
  try {
    kernel.write(socket, jsonFrame(FRAME.notice, notice));
  } catch (error) {
    // An owner that does not listen sees that the responder has ended.
    if (!(error instanceof KernelError)) throw error;
  }
  process.kill(process.pid, 'SIGKILL');
}

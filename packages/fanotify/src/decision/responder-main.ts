// The program of the responder process: node responder-main.js, with the socket to its owner on descriptor 3. Not for people.

import { O_NONBLOCK, O_RDWR } from '../abi/index.ts';
import { MountTable } from '../identity/mount-table.ts';
import { ProcFiles } from '../identity/proc-files.ts';
import { ProcessReader } from '../identity/process-reader.ts';
import { type Kernel, linuxKernel } from '../kernel/index.ts';
import type { ResponderConfig } from './config.ts';
import { maxPendingOf } from './descriptor-limit.ts';
import { errorToJson } from './errors.ts';
import { FileLocator } from './file-locator.ts';
import { GuardMarks } from './guard-marks.ts';
import { readBytes } from './intake.ts';
import { decideBy, loadDecide } from './module.ts';
import { hasRanges, openPermissionGroup } from './opening.ts';
import { RULINGS, responseOf } from './permission.ts';
import { Digests } from './policy/digests.ts';
import { PlaceFinder } from './policy/places.ts';
import { failurePolicy, Responder } from './responder.ts';
import { ScanDecider } from './scan/scan-decider.ts';
import { Settling } from './settling.ts';
import { SubtreeGate } from './subtree-gate.ts';
import { SubtreePlaces } from './subtree-places.ts';
import { openRoots } from './subtree-root.ts';
import { Watchdog } from './watchdog.ts';
import { FRAME, FrameReader, jsonBody, jsonFrame } from './wire.ts';

const SOCKET = 3;
const F_SETFL = 4;

process.title = 'fanotify-responder';
// It goes when its owner has gone, and not before: a signal to all of a service's processes must leave nobody held. SIGIO is what
// a writer sends that opens a file during the look at its lease.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGIO'] as const)
  process.on(signal, () => undefined);

const kernel = linuxKernel();
const config = readConfig(kernel);
if (config) process.exit(await respond(kernel, config));

async function respond(kernel: Kernel, config: ResponderConfig): Promise<number> {
  let responder: Responder;
  try {
    const ownerPidfd = kernel.pidfdOpen(config.ownerPid);
    // It has ended already, and its number may be another's.
    if (process.ppid !== config.ownerPid) return 0;
    const mounts = new MountTable(kernel);
    const files = new ProcFiles(kernel, mounts, () => undefined);
    const decide = config.module === null ? undefined : await withOwner(kernel, loadDecide(config.module));
    const maxPending = maxPendingOf(kernel, config.maxPending);
    const roots = config.scope === 'subtree' ? openRoots(kernel, mounts, config.targets) : [];
    const places =
      config.scope === 'subtree' ? new SubtreePlaces(kernel, mounts, roots, config.crossMounts) : undefined;
    places?.refresh();
    const hasOutside = places?.haveOutside;
    const settling = hasOutside ? new Settling(kernel) : undefined;
    await settling?.start();
    const scanner =
      config.scan === null
        ? undefined
        : new ScanDecider({ kernel, files, config: config.scan, policy: failurePolicy(config) });
    // False: its owner has no time for that.
    if (scanner?.start(SOCKET) === false) return 0;
    const digests = config.policy === null ? undefined : new Digests(kernel, failurePolicy(config));
    await digests?.start();
    const watchdog = decide && new Watchdog(readBytes(hasRanges(config)));
    await watchdog?.start({
      socket: SOCKET,
      ownerPid: config.ownerPid,
      subtrees: hasOutside
        ? {
            roots: roots.map(({ shown, fd, mountFd, mountId, device }) => ({ shown, fd, mountFd, mountId, device })),
            crossesMounts: config.crossMounts,
          }
        : undefined,
      deadlineMs: config.deadlineMs,
      policy: responseOf(RULINGS[config.onTimeout]),
    });
    const group = openPermissionGroup(kernel, mounts, config);
    const gate = places && settling ? SubtreeGate.open(kernel, mounts, config, group, places, settling) : undefined;
    const marks =
      places || config.scope === 'system' ? new GuardMarks(kernel, mounts, config, group, places) : undefined;
    watchdog?.guard(group.fd);
    const decideHere =
      decide && decideBy(decide, { kernel, mounts, files, reader: new ProcessReader(files, 'full') }, group.abilities);
    kernel.fcntl(SOCKET, F_SETFL, O_RDWR | O_NONBLOCK);
    responder = new Responder({
      kernel,
      config,
      group,
      socket: SOCKET,
      ownerPidfd,
      mounts,
      files,
      marks,
      gate,
      maxPending,
      decideHere,
      watchdog,
      sight: {
        kernel,
        files,
        places: new PlaceFinder(kernel, mounts, places?.locator ?? new FileLocator(kernel, mounts)),
      },
      digests,
      scanner,
    });
  } catch (error) {
    kernel.write(SOCKET, jsonFrame(FRAME.failed, errorToJson(error)));
    return 1;
  }
  try {
    responder.run();
    return 0;
  } catch (error) {
    responder.giveUp();
    responder.notice({
      notice: 'trouble',
      message: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
    return 1;
  }
}

/** Waits for something that may never come, as long as the owner does: all it has to say meanwhile is that it does no longer. */
async function withOwner<T>(kernel: Kernel, something: Promise<T>): Promise<T> {
  const owner = kernel.onReadable(SOCKET, () => process.exit(0));
  owner.unref();
  try {
    return await something;
  } finally {
    owner.close();
  }
}

/** The first frame; undefined when the owner ended before it was sent, or closed the guard at once. */
function readConfig(kernel: Kernel): ResponderConfig | undefined {
  let config: ResponderConfig | undefined;
  let isClosed = false;
  const frames = new FrameReader((type, body) => {
    if (type === FRAME.config) config = jsonBody(body) as ResponderConfig;
    else isClosed = true;
  });
  const buffer = Buffer.alloc(64 * 1024);
  while (!config) {
    const length = kernel.read(SOCKET, buffer);
    if (length === 0) return undefined;
    frames.push(buffer.subarray(0, length));
  }
  return isClosed ? undefined : config;
}

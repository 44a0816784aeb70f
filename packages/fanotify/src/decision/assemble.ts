// Makes a responder out of what its owner tells it, and places its marks: all of them, or none.

import { O_NONBLOCK, O_RDWR } from '../abi/index.ts';
import { MountTable } from '../identity/mount-table.ts';
import { ProcFiles } from '../identity/proc-files.ts';
import { ProcessReader } from '../identity/process-reader.ts';
import type { Kernel } from '../kernel/index.ts';
import { by, clockOf } from './clock.ts';
import type { ResponderConfig } from './config.ts';
import { maxPendingOf } from './descriptor-limit.ts';
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

const F_SETFL = 4;

/** What a responder is to have of the process that it is in. */
export interface Place {
  readonly kernel: Kernel;
  /** To its owner. */
  readonly socket: number;
  /** Readable once the owner has ended. */
  readonly ownerPidfd: number;
  /** Waits for something that may never come, as long as the owner does. */
  withOwner<T>(something: Promise<T>): Promise<T>;
}

/**
 * Makes one; from then on accesses are held, and it is to run. Undefined when its owner has no time for it.
 *
 * @throws what {@link guard} throws.
 */
export async function assembleResponder(place: Place, config: ResponderConfig): Promise<Responder | undefined> {
  const { kernel, socket, ownerPidfd } = place;
  const mounts = new MountTable(kernel);
  const files = new ProcFiles(kernel, mounts, () => undefined);
  const decide = config.module === null ? undefined : await place.withOwner(loadDecide(config.module));
  const maxPending = maxPendingOf(kernel, config.maxPending);
  const roots = config.scope === 'subtree' ? openRoots(kernel, mounts, config.targets) : [];
  const places = config.scope === 'subtree' ? new SubtreePlaces(kernel, mounts, roots, config.crossMounts) : undefined;
  places?.refresh();
  const hasOutside = places?.haveOutside;
  const settling = hasOutside ? new Settling(kernel) : undefined;
  await settling?.start();
  const scanner =
    config.scan === null
      ? undefined
      : new ScanDecider({ kernel, files, config: config.scan, policy: failurePolicy(config) });
  // False: its owner has no time for that.
  if (scanner && by(clockOf(kernel), () => scanner.start(socket)) === false) return undefined;
  const digests = config.policy === null ? undefined : new Digests(kernel, failurePolicy(config));
  await digests?.start();
  // On a simulated machine there is nobody else who could look after the loop.
  const watchdog = decide && !kernel.simulation ? new Watchdog(readBytes(hasRanges(config))) : undefined;
  await watchdog?.start({
    socket,
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
  return by(clockOf(kernel), () => {
    const group = openPermissionGroup(kernel, mounts, config);
    const gate = places && settling ? SubtreeGate.open(kernel, mounts, config, group, places, settling) : undefined;
    const marks =
      places || config.scope === 'system' ? new GuardMarks(kernel, mounts, config, group, places) : undefined;
    watchdog?.guard(group.fd);
    const decideHere =
      decide && decideBy(decide, { kernel, mounts, files, reader: new ProcessReader(files, 'full') }, group.abilities);
    kernel.fcntl(socket, F_SETFL, O_RDWR | O_NONBLOCK);
    return new Responder({
      kernel,
      config,
      group,
      socket,
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
  });
}

/** It came to grief: gives what it holds its policy, and tells its owner. */
export function comeToGrief(responder: Responder, error: unknown): void {
  responder.giveUp();
  responder.notice({
    notice: 'trouble',
    message: error instanceof Error ? (error.stack ?? error.message) : String(error),
  });
}

// The loop of the descriptors broker: the core, serving the daemon's clients.

import type { Core } from '../../core/core.ts';
import { CoreHost } from '../../core/process/host.ts';
import { assertMayListen, limitsOf } from '../../core/process/means.ts';
import { roomForDescriptors } from '../../decision/descriptor-limit.ts';
import { MountTable } from '../../identity/mount-table.ts';
import { ProcFiles } from '../../identity/proc-files.ts';
import { Keep } from '../keep.ts';
import type { Loop, LoopParts } from '../loop.ts';
import { SHARE } from '../user-holdings.ts';
import { Visitors } from '../visitors.ts';
import type { OpenVisits } from '../visits.ts';
import { ClientGroups } from './client-groups.ts';
import { UngrantedSubtrees } from './ungranted-subtrees.ts';

/** So much of all descriptors is for marks and connections. */
const KEPT = 1 / 3;

export function openDescriptorsLoop(parts: LoopParts): Loop {
  const { kernel } = parts;
  assertMayListen(kernel);
  const mounts = new MountTable(kernel);
  const files = new ProcFiles(kernel, mounts, () => undefined);
  const kept = Math.floor(roomForDescriptors(kernel) * KEPT);
  const visits: OpenVisits = (onStuck, onOut) => new Visitors({ kernel, onStuck, onOut });
  const counts = { keep: new Keep(kept), subtrees: new UngrantedSubtrees() };
  const limits = limitsOf(kernel, kept);
  const shares = {
    mostPending: Math.floor(limits.maxPending * SHARE),
    mostDescriptors: Math.floor(limits.maxCarried * SHARE),
  };
  const clientele = (core: Core) =>
    new ClientGroups({ ...parts, ...shares, core, mounts, visits, counts, host: () => host });
  const host: CoreHost = new CoreHost({ kernel, mounts, files, clientele, ...limits });
  return host;
}

// File systems that are mounted in other mount namespaces alone: no path here leads to them, but one through /proc does.

import { kindOf } from '../../identity/filesystems.ts';
import type { Mount } from '../../identity/mounts.ts';
import type { MountNamespace } from '../../identity/namespaces.ts';
import { shown, shownBytes } from '../text.ts';
import { type Finding, listed, pathJson, processJson, processName, shellWord } from './finding.ts';

const MOST_PLACES = 3;

/** One finding for each namespace that has something of its own; what several have is told of the first. */
export function elsewhereFindings(own: readonly Mount[], namespaces: readonly MountNamespace[]): Finding[] {
  const known = new Set(own.map(({ device }) => device));
  return namespaces.flatMap(({ id, process, mounts }) => {
    const alone: Mount[] = [];
    for (const mount of mounts) {
      if (known.has(mount.device) || kindOf(mount.type) === 'pseudo' || isOfServiceManager(mount)) continue;
      known.add(mount.device);
      alone.push(mount);
    }
    const [first] = alone;
    if (!first) return [];
    const places = alone.map(({ mountPoint, type }) => `${shownBytes(mountPoint)} (${shown(type)})`);
    const through = Buffer.concat([Buffer.from(`/proc/${process.pid}/root`), first.mountPoint]);
    return [
      {
        id: 'mount-elsewhere',
        about: 'mounts',
        level: 'warning',
        what: `${listed(places, MOST_PLACES)}: not seen, mounted only in the mount namespace of ${processName(process)}`,
        todo: `fanotify watch -r ${shellWord(through)} sees it from here`,
        data: {
          namespace: id,
          ...processJson(process),
          filesystems: alone.map(({ device, type, source, mountPoint }) => ({
            device,
            type,
            source,
            places: [pathJson(mountPoint)],
          })),
        },
      } satisfies Finding,
    ];
  });
}

// systemd.exec(5): PrivateDevices= and credentials give nearly every service a small file system for itself.
function isOfServiceManager({ type, mountPoint }: Mount): boolean {
  if (type !== 'tmpfs' && type !== 'ramfs') return false;
  return /^\/(dev|run\/credentials|run\/systemd)(\/|$)/.test(mountPoint.toString('latin1'));
}

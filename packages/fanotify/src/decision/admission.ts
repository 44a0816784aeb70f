// Which file systems a guard may hold: what its options and the operator's safety belt let through, asked before a mark is placed.

import { NotPermittedError } from '../group/errors.ts';
import { kindOf } from '../identity/filesystems.ts';
import { fsidNumber } from '../identity/handle-at.ts';
import type { MountTable } from '../identity/mount-table.ts';
import type { Mount } from '../identity/mounts.ts';
import type { FilesystemStatus, Kernel } from '../kernel/index.ts';
import { isAtOrBelow } from './mount-paths.ts';

/**
 * The environment variable that is the belt: directories, separated by ':'. While it is set, guards of the process and of those that it
 * starts hold only file systems all of whose mounts are at or below one of these.
 */
export const BELT = 'FANOTIFY_GUARD_ONLY';

/** What is left out of a system, and what alone is let in: as the options of GuardOptions say it. */
export interface SystemLimits {
  readonly types: readonly (string | number)[];
  /** As `stat --file-system --format %i` prints it: hexadecimal. */
  readonly fsids: readonly string[];
  /** As latin1 of their bytes. */
  readonly mountPoints: readonly string[];
  /** Absolute paths as latin1 of their bytes, and `major:minor`; null for no limit. */
  readonly only: readonly string[] | null;
}

/** The belt as the environment has it; undefined when it is not worn, or on a simulated machine, where nobody of this one is held. */
export function beltOf(env: NodeJS.ProcessEnv, kernel: Pick<Kernel, 'simulation'>): readonly Buffer[] | undefined {
  const places = env[BELT];
  if (places === undefined || kernel.simulation) return undefined;
  return places
    .split(':')
    .filter((place) => place.startsWith('/'))
    .map((place) => Buffer.from(place.replace(/(?<=.)\/+$/, '')));
}

/** Whether the belt lets a file system be held. */
export function isAdmitted(
  belt: readonly Buffer[] | undefined,
  mounts: MountTable,
  device: string | undefined,
): boolean {
  if (!belt) return true;
  const all = device === undefined ? [] : mounts.byDevice(device);
  return all.length > 0 && all.every(({ mountPoint }) => belt.some((place) => isAtOrBelow(mountPoint, place)));
}

/** @throws NotPermittedError when the belt does not let a file system be held. */
export function assertAdmitted(
  belt: readonly Buffer[] | undefined,
  mounts: MountTable,
  device: string | undefined,
  shown: string,
): void {
  if (isAdmitted(belt, mounts, device)) return;
  throw new NotPermittedError(
    `${BELT} does not admit that ${JSON.stringify(shown)} is held: its file system has a mount that is not below ${belt?.join(', ') || 'anything'}`,
    { path: shown },
  );
}

/** Why a file system is left out of a system by its mounts alone; undefined when it is not. */
export function whyLeftOut(
  { types, mountPoints, only }: SystemLimits,
  mounts: readonly Mount[],
  isRootOfEverything: boolean,
): string | undefined {
  const [first] = mounts;
  if (!first) return 'gone';
  const { type, device } = first;
  const points = mounts.map(({ mountPoint }) => mountPoint.toString('latin1'));
  if (kindOf(type) === 'pseudo') return 'pseudo';
  if (only) {
    const isNamed = only.some((place) => {
      if (place === device) return true;
      // What is below '/' is everything: that alone is not let in by a mount of it below something else.
      if (isRootOfEverything) return place === '/';
      return mounts.some(({ mountPoint }) => isAtOrBelow(mountPoint, Buffer.from(place, 'latin1')));
    });
    if (!isNamed) return 'only';
  }
  if (types.includes(type)) return 'excludedType';
  if (points.some((point) => mountPoints.includes(point))) return 'excludedMount';
  return undefined;
}

/** Why it is left out by what the file system says of itself. */
export function whyLeftOutByStatus(
  { types, fsids }: SystemLimits,
  { type, fsid }: FilesystemStatus,
): string | undefined {
  if (types.includes(type)) return 'excludedType';
  const id = fsidNumber(fsid);
  return fsids.some((text) => BigInt(`0x${text}`) === id) ? 'excludedFilesystem' : undefined;
}

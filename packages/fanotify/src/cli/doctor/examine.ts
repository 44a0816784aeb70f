// Examines the machine, from the kernel to who listens, and puts the findings together.

import { explainMark } from '../../group/explain.ts';
import { kindOf } from '../../identity/filesystems.ts';
import { readLimits } from '../../identity/limits.ts';
import { readListeners } from '../../identity/listeners.ts';
import { type Mount, readMounts } from '../../identity/mounts.ts';
import { readOtherNamespaces } from '../../identity/namespaces.ts';
import { readPrivilege } from '../../identity/privilege.ts';
import { areProcessesHidden } from '../../identity/running.ts';
import { type Capabilities, ERRNO, type Kernel, KernelError, probe } from '../../kernel/index.ts';
import { coverageOf, type Place } from '../../scope/coverage.ts';
import { lookAtMounts, lookAtPaths, type TryElsewhere } from '../../scope/looking.ts';
import { UserError } from '../failure.ts';
import { type Finding, gravestFirst } from './finding.ts';
import { kernelFindings } from './kernel.ts';
import { limitFindings } from './limits.ts';
import { listenerFindings } from './listeners.ts';
import { isLeftOut, leftOutFinding, mountFindings, UNSEEN_EVERYWHERE } from './mounts.ts';
import { elsewhereFindings } from './namespaces.ts';
import { privilegeFindings } from './privilege.ts';

/** What was found. */
export interface Examination {
  /** Whether fanotify works here at all. */
  readonly works: boolean;
  readonly findings: readonly Finding[];
}

/**
 * Looks at the whole machine, or at the mounts that some paths are on.
 *
 * @throws NoSuchPathError, NotDirectoryError, UserError.
 */
export async function examine(kernel: Kernel, paths: readonly string[], elsewhere: TryElsewhere): Promise<Examination> {
  const mounts = readMountsOrSay(kernel);
  const privilege = readPrivilege(kernel);
  // Before any group is opened by this command or for it.
  const { groups, hidden } = readListeners(kernel);
  const isProcHidden = areProcessesHidden(kernel);
  const seesAll = hidden === 0 && !isProcHidden;

  let can: Capabilities | undefined;
  let ofMounts: Finding[] = [];
  let noneLeft: Finding[] = [];
  try {
    can = probe(kernel);
    const isRoot = privilege.sysAdmin;
    if (can.fanotify === 'yes') ofMounts = await findMounts(kernel, mounts, paths, elsewhere, isRoot);
  } catch (error) {
    if (!(error instanceof KernelError) || error.errno !== ERRNO.EMFILE) throw error;
    can = undefined;
    noneLeft = [NONE_LEFT];
  }

  const findings = [
    ...(can ? kernelFindings(can, kernel.release) : noneLeft),
    ...privilegeFindings(privilege, can, kernel.release),
    ...limitFindings(readLimits(kernel), groups, privilege.uid, seesAll),
    ...ofMounts,
    ...listenerFindings({
      groups,
      hidden,
      isProcHidden,
      isPartOfMachine: !privilege.isInitialPidNamespace,
      mounts,
    }),
  ];
  return { works: can?.fanotify === 'yes', findings };
}

const NONE_LEFT: Finding = {
  id: 'no-group-left',
  about: 'kernel',
  level: 'problem',
  what: 'no group can be opened (EMFILE): those of this user, or the descriptors of this process, are used up',
  todo: 'see below who has them; close some, or raise fs.fanotify.max_user_groups, user.max_fanotify_groups or ulimit -n',
};

async function findMounts(
  kernel: Kernel,
  mounts: readonly Mount[],
  paths: readonly string[],
  elsewhere: TryElsewhere,
  isRoot: boolean,
): Promise<Finding[]> {
  if (paths.length > 0) {
    const places = await lookAtPaths(
      kernel,
      mounts,
      paths.map((path) => Buffer.from(path)),
      elsewhere,
    );
    for (const place of places) refuseUnlessThere(kernel, place);
    const others = await placesBeside(kernel, mounts, places, elsewhere);
    // Each by itself: a user may be able to read one directory of a file system and not another.
    const coverages = places.flatMap((place) => coverageOf([place], others));
    return [...gravestFirst(mountFindings(coverages, isRoot)), ...UNSEEN_EVERYWHERE];
  }
  const wanted = ({ type }: Mount) => !isLeftOut(kindOf(type));
  const places = await lookAtMounts(kernel, mounts, wanted, elsewhere);
  const leftOut = mounts.filter((mount) => !wanted(mount)).map(({ type }) => type);
  return [
    ...gravestFirst([
      ...mountFindings(coverageOf(places), isRoot),
      ...elsewhereFindings(mounts, readOtherNamespaces(kernel)),
    ]),
    ...(leftOut.length > 0 ? [leftOutFinding(leftOut)] : []),
    ...UNSEEN_EVERYWHERE,
  ];
}

/** Other mounts of the same file systems, where a path alone takes no mark: one of them may. */
async function placesBeside(
  kernel: Kernel,
  mounts: readonly Mount[],
  places: readonly Place[],
  elsewhere: TryElsewhere,
): Promise<Place[]> {
  const devices = new Set(
    places.flatMap(({ mount, tried }) =>
      typeof tried === 'object' && 'inode' in tried && tried.filesystem === 'EXDEV' ? [mount.device] : [],
    ),
  );
  return devices.size === 0 ? [] : lookAtMounts(kernel, mounts, ({ device }) => devices.has(device), elsewhere);
}

const NO_PLACE: readonly number[] = [ERRNO.ENOENT, ERRNO.ENOTDIR, ERRNO.ELOOP, ERRNO.ENAMETOOLONG, ERRNO.EINVAL];

function refuseUnlessThere(kernel: Kernel, { path, tried }: Place): void {
  if (tried instanceof KernelError && NO_PLACE.includes(tried.errno)) {
    throw explainMark(kernel, tried, 0, 0n, path.toString());
  }
}

function readMountsOrSay(kernel: Kernel): Mount[] {
  try {
    return readMounts(kernel);
  } catch (error) {
    if (!(error instanceof KernelError) || error.errno !== ERRNO.ENOENT) throw error;
    throw new UserError(
      '/proc is not mounted, and mounts, limits and listeners are read from it: mount -t proc proc /proc, then try again',
    );
  }
}

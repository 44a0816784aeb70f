// How much of each mounted file system can be seen: every place is tried, and what was found is put together by file system.

import { type FilesystemKind, kindOf } from '../identity/filesystems.ts';
import type { Mount } from '../identity/mounts.ts';
import { KernelError } from '../kernel/index.ts';
import type { Taken, Trial } from './trial.ts';

/**
 * What trying a place gave. 'silent': no answer in time, as of a dead server. 'gone': unmounted meanwhile, or beneath
 * another mount. Errors are those of reaching it.
 */
export type Tried = Trial | KernelError | 'silent' | 'gone';

/** A place to look at: a mount point, or a path that the user named. */
export interface Place {
  readonly path: Buffer;
  readonly mount: Mount;
  readonly tried: Tried;
}

/** Why something is not seen as a whole. */
export type Reason =
  /** A btrfs subvolume, whose fsid is not the file system's (EXDEV). */
  | 'subvolume'
  /** No file handles that can be opened (EOPNOTSUPP): overlayfs, ramfs. */
  | 'noHandles'
  /** No fsid (ENODEV): FUSE. */
  | 'noFsid'
  /** Other machines change it, too. */
  | 'remote'
  /** The process behind it changes it, too. */
  | 'daemon'
  /** What is changed in the layers beneath is not told. */
  | 'underneath'
  /** This user may not read it. */
  | 'unreadable'
  /** Its server or daemon does not answer. */
  | 'silent'
  /** Its daemon is gone (ENOTCONN). */
  | 'dead'
  /** Another mount lies over it. */
  | 'hidden'
  /** The kernel's own tables, which change without an event. */
  | 'pseudo'
  /** Something else: the errno says it. */
  | 'refused';

/** How one file system is seen. */
export interface Coverage {
  readonly device: string;
  readonly type: string;
  readonly kind: FilesystemKind;
  readonly source: string;
  /** The places of it that were looked at, in the order of the mount table. */
  readonly places: readonly Buffer[];
  readonly seen: 'covered' | 'partly' | 'blind';
  /** The best mark: on the whole file system, on each file or directory, or on the whole without names. */
  readonly how: 'filesystem' | 'inode' | 'descriptors' | undefined;
  readonly reasons: readonly Reason[];
  /** The kernel's answer to the mark on the whole file system, or the one that made it blind. */
  readonly answer: Taken;
  /** Places that take no mark as a whole though the file system does elsewhere: subvolumes. */
  readonly refusing: readonly Buffer[];
  /** Where it does. */
  readonly markAt: Buffer | undefined;
}

/** Puts together what was tried, by file system. `others` are places that nobody asked for, which may know a way. */
export function coverageOf(places: readonly Place[], others: readonly Place[] = []): Coverage[] {
  const groups = new Map<string, Place[]>();
  for (const place of places) {
    // Of an unknown mount nothing says that two are one.
    const key = place.mount.device || place.path.toString('latin1');
    groups.set(key, [...(groups.get(key) ?? []), place]);
  }
  return [...groups.values()].map((same) => coverageOfOne(same, others));
}

const ORDER: readonly (keyof Omit<Trial, 'mountId'>)[] = ['filesystem', 'inode', 'descriptors'];

function coverageOfOne(same: readonly Place[], others: readonly Place[]): Coverage {
  const [first] = same;
  if (!first) throw new RangeError('a file system without a place');
  const { device, type, source } = first.mount;
  const trials = same.flatMap(({ tried }) => (isTrial(tried) ? [tried] : []));
  const best = ORDER.find((way) => trials.some((trial) => trial[way] === 'yes' && !isOutOfReach(trial)));
  const kind = kindOf(type);
  const reachable = same.filter(({ tried }) => tried !== 'gone');
  const about = {
    device,
    type,
    kind,
    source,
    places: (reachable.length > 0 ? reachable : same).map(({ path }) => path),
  };
  if (best === undefined)
    return { ...about, seen: 'blind', how: best, ...whyBlind(same), refusing: [], markAt: undefined };

  // EPERM is not the file system's answer but privilege's, and is told as such once.
  const refuses = ({ tried }: Place) => isTrial(tried) && tried.filesystem !== 'yes' && tried.filesystem !== 'EPERM';
  const refusing = same.filter(refuses).map(({ path }) => path);
  const refusal = trials.map(({ filesystem }) => filesystem).find((answer) => answer !== 'yes' && answer !== 'EPERM');
  const way = best === 'filesystem' ? wholeAt(same) : wholeAt(others.filter(({ mount }) => mount.device === device));
  const how = way ? 'filesystem' : best;
  const reasons: Reason[] = [];
  if (refusal !== undefined && way === undefined) reasons.push(reasonOf(refusal));
  if (how === 'descriptors' && reasons.length === 0) reasons.push('refused');
  if (kind === 'network') reasons.push('remote');
  if (kind === 'fuse') reasons.push('daemon');
  if (kind === 'pseudo') reasons.push('pseudo');
  const seen = reasons.length > 0 ? 'partly' : 'covered';
  if (kind === 'overlay') reasons.push('underneath');
  const markAt = refusal === undefined ? undefined : way;
  return { ...about, seen, how, reasons, answer: refusal ?? 'yes', refusing: way ? refusing : [], markAt };
}

/** A mark without handles asks the file system nothing, so that it succeeds where nothing is left to hear. */
function isOutOfReach({ inode }: Trial): boolean {
  return inode !== 'yes' && !LACKS.includes(inode);
}

const LACKS: readonly Taken[] = ['EOPNOTSUPP', 'ENODEV', 'EXDEV', 'EPERM', 'EINVAL'];

/** Where the whole file system takes a mark. */
function wholeAt(places: readonly Place[]): Buffer | undefined {
  return places.find(({ tried }) => isTrial(tried) && tried.filesystem === 'yes')?.path;
}

export function isTrial(tried: Tried): tried is Trial {
  return typeof tried === 'object' && !(tried instanceof KernelError);
}

function reasonOf(answer: Taken): Reason {
  if (answer === 'EXDEV') return 'subvolume';
  if (answer === 'EOPNOTSUPP') return 'noHandles';
  return answer === 'ENODEV' ? 'noFsid' : 'refused';
}

function whyBlind(same: readonly Place[]): { reasons: Reason[]; answer: Taken } {
  if (same.some(({ tried }) => tried === 'silent')) return { reasons: ['silent'], answer: 'ETIMEDOUT' };
  const answers = same.flatMap(({ tried }): Taken[] =>
    tried instanceof KernelError ? [tried.code] : isTrial(tried) ? [tried.inode] : [],
  );
  const [answer] = answers;
  if (answer === undefined) return { reasons: ['hidden'], answer: 'ENOENT' };
  if (answer === 'ENOTCONN') return { reasons: ['dead'], answer };
  if (answer === 'EACCES' || answer === 'EPERM') return { reasons: ['unreadable'], answer };
  return { reasons: [answer === 'EXDEV' ? 'subvolume' : 'refused'], answer };
}

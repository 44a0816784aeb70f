// Looks at places without ever waiting for one: what may not answer is tried elsewhere, where it can be given up.

import { posix } from 'node:path';
import { hanging, type Mount } from '../identity/mounts.ts';
import { readOtherNamespaces } from '../identity/namespaces.ts';
import { joinPath } from '../identity/path.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { isTrial, type Place, type Tried } from './coverage.ts';
import { openTrials, type Trials } from './trial.ts';

/** Tries a path in another process, and gives up in time. */
export type TryElsewhere = (path: Buffer) => Promise<Exclude<Tried, 'gone'>>;

const AT_ONCE = 8;

/** Looks at every mount that `wanted` lets through. */
export async function lookAtMounts(
  kernel: Kernel,
  mounts: readonly Mount[],
  wanted: (mount: Mount) => boolean,
  elsewhere: TryElsewhere,
): Promise<Place[]> {
  const mayHang = hanging(mounts);
  const trials = openTrials(kernel);
  try {
    const looked = mounts.filter(wanted).map((mount): { mount: Mount; tried: Tried | undefined } => ({
      mount,
      tried: mayHang(mount) ? undefined : tryHere(trials, mount.mountPoint),
    }));
    const devices = new Map<string, Tried>();
    const open = looked.filter(({ mount, tried }) => tried === undefined && !devices.has(mount.device));
    // One of each file system: they all wait for the same server.
    const first = open.filter(({ mount }, index) => open.findIndex((o) => o.mount.device === mount.device) === index);
    await inTurn(first, async ({ mount }) => void devices.set(mount.device, await elsewhere(mount.mountPoint)));
    const isFirst = new Set(first.map(({ mount }) => mount));
    return looked.map(({ mount, tried }) => {
      const answer = tried ?? devices.get(mount.device) ?? 'gone';
      const ofOther = tried === undefined && !isFirst.has(mount);
      const isElsewhere = isTrial(answer) && !ofOther && answer.mountId !== mount.mountId;
      return { path: mount.mountPoint, mount, tried: isElsewhere ? 'gone' : answer };
    });
  } finally {
    trials.close();
  }
}

/** Looks at paths that the user named, which may lead to other mount namespaces (/proc/pid/root). */
export async function lookAtPaths(
  kernel: Kernel,
  mounts: readonly Mount[],
  paths: readonly Buffer[],
  elsewhere: TryElsewhere,
): Promise<Place[]> {
  const trials = openTrials(kernel);
  try {
    // Symbolic links lead anywhere, so a path says nothing about what it meets on its way.
    const mayHang = mounts.some(hanging(mounts));
    const found = await inTurn(paths, async (path) => ({
      path,
      tried: mayHang ? await elsewhere(path) : tryHere(trials, path),
    }));
    const isHere = (tried: Tried) => !isTrial(tried) || mounts.some(({ mountId }) => mountId === tried.mountId);
    const foreign = found.every(({ tried }) => isHere(tried))
      ? []
      : readOtherNamespaces(kernel).flatMap((namespace) => namespace.mounts);
    const table = [...mounts, ...foreign];
    return found.map(({ path, tried }) => {
      const known = isTrial(tried)
        ? table.find(({ mountId }) => mountId === tried.mountId)
        : nearest(mounts, absolute(kernel, path));
      return { path, mount: known ?? unknown(path), tried };
    });
  } finally {
    trials.close();
  }
}

function tryHere(trials: Trials, path: Buffer): Tried {
  try {
    return trials.try(path);
  } catch (error) {
    if (error instanceof KernelError) return error;
    throw error;
  }
}

function absolute(kernel: Kernel, path: Buffer): Buffer {
  const from = path[0] === SLASH ? path : joinPath(kernel.readlink('/proc/self/cwd'), path);
  return Buffer.from(posix.normalize(from.toString('latin1')), 'latin1');
}

const SLASH = 0x2f;

/** The mount that a path is on by its text. */
function nearest(mounts: readonly Mount[], path: Buffer): Mount | undefined {
  const text = path.toString('latin1');
  const isAbove = ({ mountPoint }: Mount) => {
    const point = mountPoint.toString('latin1');
    return point === '/' || text === point || text.startsWith(`${point}/`);
  };
  // Of two on the same place the later one is on top.
  return mounts.filter(isAbove).reduce<Mount | undefined>((best, mount) => {
    return best && best.mountPoint.length > mount.mountPoint.length ? best : mount;
  }, undefined);
}

function unknown(path: Buffer): Mount {
  return {
    mountId: -1,
    parentId: -1,
    device: '',
    root: Buffer.from('/'),
    mountPoint: path,
    type: 'unknown',
    source: '',
    isIdmapped: false,
  };
}

/** Does `work` for all, a few at once; results in the order of the items. */
async function inTurn<In, Out>(items: readonly In[], work: (item: In) => Promise<Out>): Promise<Out[]> {
  const results: Out[] = [];
  const left = [...items.entries()];
  const worker = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) results[next[0]] = await work(next[1]);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}

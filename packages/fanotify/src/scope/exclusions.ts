// What the system scope leaves out: types of file systems, single ones by their fsid, and what is on certain mounts.

import type { Fsid } from '../abi/index.ts';
import { InvalidOptionsError } from '../group/errors.ts';
import { kindOf } from '../identity/filesystems.ts';
import { fsidNumber } from '../identity/handle-at.ts';

/** What not to hear of the whole system. */
export interface SystemExclusions {
  /**
   * Types of file systems: a name as in the mount table (`tmpfs`, `fuse.sshfs`), or a number as `f_type` of statfs(2) has it
   * (`stat -f -c 0x%t PATH` prints it).
   */
  readonly excludeTypes?: readonly (string | number)[] | undefined;
  /** Single file systems by fsid: as `stat -f -c %i PATH` prints it, in hexadecimal, or as `handle.fsid` of an event. */
  readonly excludeFilesystems?: readonly (string | Fsid)[] | undefined;
  /**
   * Mount points. What is on that mount alone is left out; the file systems mounted below it are not. A file system that is mounted
   * elsewhere too is heard there, and by the paths that it has there.
   */
  readonly excludeMounts?: readonly string[] | undefined;
  /**
   * Types that are to be heard although they are the kernel's own tables (proc, sysfs, cgroup2 and the like), which are left out
   * otherwise, as far as the kernel takes the mark.
   */
  readonly includeTypes?: readonly string[] | undefined;
}

/** Exclusions, compiled. */
export interface CompiledExclusions {
  isTypeExcluded(type: string): boolean;
  isMagicExcluded(magic: number): boolean;
  isFsidExcluded(fsid: Fsid): boolean;
  isMountExcluded(mountPoint: Buffer): boolean;
  /** The kernel's own, and nobody asked for it. */
  isPseudo(type: string): boolean;
  /** Whether a file system has to be asked what it is. */
  readonly asksFilesystems: boolean;
}

/** @throws InvalidOptionsError */
export function compileExclusions(exclusions: SystemExclusions): CompiledExclusions {
  const { excludeTypes = [], excludeFilesystems = [], excludeMounts = [], includeTypes = [] } = exclusions;
  const names = new Set(excludeTypes.filter((type) => typeof type === 'string'));
  const magics = new Set(excludeTypes.filter((type) => typeof type === 'number').map((magic) => magic >>> 0));
  const fsids = new Set(excludeFilesystems.map(numberOf));
  const mounts = new Set(excludeMounts.map(mountPointOf));
  const included = new Set(includeTypes);
  const contradiction = includeTypes.find((type) => names.has(type));
  if (contradiction !== undefined) {
    throw new InvalidOptionsError(`includeTypes and excludeTypes both have ${JSON.stringify(contradiction)}`);
  }
  return {
    isTypeExcluded: (type) => names.has(type),
    isMagicExcluded: (magic) => magics.has(magic >>> 0),
    isFsidExcluded: (fsid) => fsids.size > 0 && fsids.has(numberOf(fsid)),
    isMountExcluded: (mountPoint) => mounts.size > 0 && mounts.has(mountPoint.toString('latin1')),
    isPseudo: (type) => kindOf(type) === 'pseudo' && !included.has(type),
    asksFilesystems: magics.size > 0 || fsids.size > 0,
  };
}

/** An fsid as `stat -f -c %i` prints it. */
export function fsidHex(fsid: string | Fsid): string {
  return numberOf(fsid).toString(16);
}

function numberOf(fsid: string | Fsid): bigint {
  if (typeof fsid !== 'string') return fsidNumber(fsid);
  if (!/^(0x)?[0-9a-f]{1,16}$/i.test(fsid)) {
    throw new InvalidOptionsError(
      `excludeFilesystems: ${JSON.stringify(fsid)} is no fsid: 'stat -f -c %i PATH' prints one, of up to 16 hexadecimal digits`,
    );
  }
  return BigInt(fsid.startsWith('0x') || fsid.startsWith('0X') ? fsid : `0x${fsid}`);
}

/** @returns The path's bytes as latin1, as the mount table has it. */
function mountPointOf(path: string): string {
  if (!path.startsWith('/')) {
    throw new InvalidOptionsError(`excludeMounts: ${JSON.stringify(path)} is no mount point: they are absolute paths`);
  }
  return Buffer.from(path.replace(/(?<=.)\/+$/, '')).toString('latin1');
}

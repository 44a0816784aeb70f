// The mount table of this process as /proc/self/mountinfo tells it (proc_pid_mountinfo(5)). Paths are bytes.

import type { Kernel } from '../kernel/index.ts';
import { mayHang } from './filesystems.ts';

/** One mount of the mount table. */
export interface Mount {
  readonly mountId: number;
  readonly parentId: number;
  /** Device number of the file system, as `major:minor`. */
  readonly device: string;
  /** The directory of the file system that is the root of this mount: `/` unless it is a bind mount of a part. */
  readonly root: Buffer;
  /** Where it is mounted, as seen from this process's root. */
  readonly mountPoint: Buffer;
  readonly type: string;
  readonly source: string;
  /** Whether users are others here than on the file system: mount_setattr(2), since Linux 5.12. */
  readonly isIdmapped: boolean;
}

const SPACE = 0x20;
const BACKSLASH = 0x5c;

/** Undoes the kernel's octal escapes: space, tab, newline, backslash and '#' are written as \\ooo. */
function unescapeOctal(field: Buffer): Buffer {
  if (!field.includes(BACKSLASH)) return field;
  const out = Buffer.allocUnsafe(field.length);
  let length = 0;
  for (let i = 0; i < field.length; i++) {
    const octal = field[i] === BACKSLASH ? /^[0-7]{3}$/.exec(field.toString('latin1', i + 1, i + 4)) : null;
    out[length++] = octal ? Number.parseInt(octal[0], 8) : (field[i] ?? 0);
    if (octal) i += 3;
  }
  return out.subarray(0, length);
}

function splitBytes(bytes: Buffer, separator: number): Buffer[] {
  const parts: Buffer[] = [];
  let start = 0;
  for (let end = bytes.indexOf(separator); end >= 0; end = bytes.indexOf(separator, start)) {
    parts.push(bytes.subarray(start, end));
    start = end + 1;
  }
  parts.push(bytes.subarray(start));
  return parts;
}

function parseLine(line: Buffer): Mount | undefined {
  const [mountId, parentId, device, root, mountPoint, ...rest] = splitBytes(line, SPACE);
  const separator = rest.findIndex((field) => field.length === 1 && field[0] === 0x2d);
  const type = rest[separator + 1];
  if (!mountId || !parentId || !device || !root || !mountPoint || separator < 0 || !type) return undefined;
  return {
    mountId: Number(mountId.toString('latin1')),
    parentId: Number(parentId.toString('latin1')),
    device: device.toString('latin1'),
    root: unescapeOctal(root),
    mountPoint: unescapeOctal(mountPoint),
    type: type.toString('latin1'),
    isIdmapped: rest[0]?.toString('latin1').split(',').includes('idmapped') ?? false,
    source: unescapeOctal(rest[separator + 2] ?? Buffer.alloc(0)).toString(),
  };
}

/** Parses mountinfo files that change little from one reading to the next: a line that was there before gives the same object. */
export class MountinfoParser {
  #lines = new Map<string, Mount | undefined>();

  /** Lines that are not of its form are left out. */
  parse(text: Buffer): Mount[] {
    const lines = new Map<string, Mount | undefined>();
    for (const line of text.toString('latin1').split('\n')) {
      lines.set(line, this.#lines.has(line) ? this.#lines.get(line) : parseLine(Buffer.from(line, 'latin1')));
    }
    this.#lines = lines;
    return [...lines.values()].filter((mount) => mount !== undefined);
  }
}

/** Parses the text of a mountinfo file; lines that are not of its form are left out. */
export function parseMountinfo(text: Buffer): Mount[] {
  return new MountinfoParser().parse(text);
}

/** Reads the mount table as it is now. */
export function readMounts(kernel: Pick<Kernel, 'readFile'>): Mount[] {
  return parseMountinfo(kernel.readFile('/proc/self/mountinfo'));
}

/** Whether a mount shows its file system from the root on. */
export function isWhole({ root }: Pick<Mount, 'root'>): boolean {
  return root.length === 1;
}

/** Tells of a mount whether it, or what its path leads through, may not answer. */
export function hanging(mounts: readonly Mount[]): (mount: Mount) => boolean {
  const byId = new Map(mounts.map((mount) => [mount.mountId, mount]));
  const answers = new Map<number, boolean>();
  const look = (mount: Mount): boolean => {
    const known = answers.get(mount.mountId);
    if (known !== undefined) return known;
    // The table may change while it is read, so that mounts seem to be in a circle.
    answers.set(mount.mountId, false);
    const parent = byId.get(mount.parentId);
    const answer = mayHang(mount.type) || (parent !== undefined && look(parent));
    answers.set(mount.mountId, answer);
    return answer;
  };
  return look;
}

/** Where an automounter waits to be asked: nothing is mounted there yet. */
export function awaitedMounts(mounts: readonly Mount[]): Mount[] {
  const isCovered = ({ mountId, mountPoint }: Mount) =>
    mounts.some((other) => other.parentId === mountId && other.mountPoint.equals(mountPoint));
  return mounts.filter((mount) => mount.type === 'autofs' && !isCovered(mount));
}

/** st_dev as the mount table writes it: gnu_dev_major and gnu_dev_minor of glibc. */
export function deviceText(dev: bigint): string {
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xffff_f000n);
  const minor = (dev & 0xffn) | ((dev >> 12n) & 0xffff_ff00n);
  return `${major}:${minor}`;
}

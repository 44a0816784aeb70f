// A group's own marks, read back from /proc/self/fdinfo/<group>: what the kernel holds, not what we remember having asked for.

import { handleToStruct } from '../abi/index.ts';
import type { Kernel } from '../kernel/index.ts';

/**
 * One mark as the kernel has it: a `fanotify` line of /proc/pid/fdinfo, proc_pid_fdinfo(5). Privilege: none.
 *
 * @example
 * import { Group } from 'fanotify';
 * import { maskNames } from 'fanotify/abi';
 * const group = await Group.open();
 * await group.mark('/tmp', { events: ['create'] });
 * for (const mark of group.marks()) {
 *   console.log(maskNames(mark.mask)); // [ 'FAN_CREATE', 'FAN_EVENT_ON_CHILD', 'FAN_ONDIR' ]
 * }
 * await group.close();
 */
export interface GroupMark {
  /** Where the mark hears. */
  readonly scope: 'inode' | 'mount' | 'filesystem' | 'mountNamespace';
  /** The mark mask: FAN_* bits of what is heard, FAN_ONDIR and FAN_EVENT_ON_CHILD included. */
  readonly mask: bigint;
  /** The ignore mask: FAN_* bits of what is not heard; 0n when there is none. */
  readonly ignoreMask: bigint;
  /** The mark flags the kernel shows: FAN_MARK_EVICTABLE, FAN_MARK_IGNORE, FAN_MARK_IGNORED_SURV_MODIFY. */
  readonly flags: number;
  /** Inode marks: the inode number. */
  readonly ino?: bigint;
  /** Inode marks: the `struct file_handle`, where the file system encodes one. `handleFromStruct` reads it. */
  readonly handle?: Buffer;
  /** Inode and filesystem marks: the device as the kernel numbers it (major << 20 | minor). */
  readonly device?: number;
  /** Mount marks: the mount's id, as in /proc/self/mountinfo. */
  readonly mountId?: number;
  /** Mount namespace marks: the inode number of the namespace, as in `readlink /proc/self/ns/mnt`. */
  readonly namespace?: number;
}

function fieldsOf(line: string): Map<string, string> {
  return new Map(
    line
      .split(/\s+/)
      .slice(1)
      .map((word): [string, string] => {
        const colon = word.indexOf(':');
        return [word.slice(0, colon), word.slice(colon + 1)];
      }),
  );
}

const hex = (text: string | undefined): number => Number.parseInt(text ?? '0', 16);
const hexMask = (text: string | undefined): bigint => BigInt(`0x${text ?? '0'}`);

function scopeOf(fields: Map<string, string>): GroupMark['scope'] | undefined {
  if (fields.has('ino')) return 'inode';
  if (fields.has('mnt_id')) return 'mount';
  if (fields.has('mnt_ns')) return 'mountNamespace';
  return fields.has('sdev') ? 'filesystem' : undefined;
}

/** Parses the text of an fdinfo file of a fanotify group. */
export function parseMarks(text: string): GroupMark[] {
  const marks: GroupMark[] = [];
  for (const line of text.split('\n')) {
    if (!line.startsWith('fanotify ')) continue;
    const fields = fieldsOf(line);
    const scope = scopeOf(fields);
    if (!scope) continue;
    const opaque = fields.get('f_handle');
    marks.push({
      scope,
      mask: hexMask(fields.get('mask')),
      ignoreMask: hexMask(fields.get('ignored_mask')),
      flags: hex(fields.get('mflags')),
      ...(fields.has('ino') && { ino: hexMask(fields.get('ino')) }),
      ...(fields.has('sdev') && { device: hex(fields.get('sdev')) }),
      ...(fields.has('mnt_id') && { mountId: hex(fields.get('mnt_id')) }),
      ...(fields.has('mnt_ns') && { namespace: Number(fields.get('mnt_ns')) }),
      ...(opaque !== undefined && {
        handle: handleToStruct({ type: hex(fields.get('fhandle-type')), bytes: Buffer.from(opaque, 'hex') }),
      }),
    });
  }
  return marks;
}

/** Reads the marks of a group of this process. */
export function readMarks(kernel: Pick<Kernel, 'readFile'>, groupFd: number): GroupMark[] {
  return parseMarks(kernel.readFile(`/proc/self/fdinfo/${groupFd}`).toString('latin1'));
}

/** The devices (`major:minor`) of a group's filesystem marks, without reading all of its marks. */
export function markedDevices(kernel: Pick<Kernel, 'readFile'>, groupFd: number): Set<string> {
  const text = kernel.readFile(`/proc/self/fdinfo/${groupFd}`).toString('latin1');
  return new Set([...text.matchAll(/^fanotify sdev:([0-9a-f]+)/gm)].map(([, device]) => deviceName(hex(device))));
}

/** `major:minor`, as the mount table has it. */
export function deviceName(device: number): string {
  return `${device >>> 20}:${device & 0xfffff}`;
}

// The marks of a group as /proc/self/fdinfo/N tells them (proc_pid_fdinfo(5)), without the numbers that differ from machine to machine.

import type { Kernel } from '../../src/kernel/index.ts';
import { UNNAMED, type Vocabulary } from './observe.ts';

/** One line a mark, after one of the group. */
export function fdinfoLines(kernel: Kernel, fd: number, words: Vocabulary): string[] {
  return kernel
    .readFile(`/proc/self/fdinfo/${fd}`)
    .toString('latin1')
    .split('\n')
    .filter((line) => line.startsWith('fanotify'))
    .map((line) => {
      const fields = new Map(
        line
          .split(' ')
          .slice(1)
          .map((field) => field.split(':', 2) as [string, string]),
      );
      const rest = ['flags', 'event-flags', 'mflags', 'mask', 'ignored_mask']
        .filter((name) => fields.has(name))
        .map((name) => `${name}:${fields.get(name)}`)
        .join(' ');
      return [subject(fields, words), rest].filter((part) => part !== '').join(' ');
    });
}

function subject(fields: ReadonlyMap<string, string>, words: Vocabulary): string {
  const handle = fields.get('f_handle');
  if (handle !== undefined) {
    const ending = `/${Number.parseInt(fields.get('fhandle-type') ?? '', 16)}/${handle}`;
    for (const [name, label] of words.handles) if (name.endsWith(ending)) return `inode ${label}`;
    return `inode ${UNNAMED}`;
  }
  if (fields.has('ino')) return 'inode';
  if (fields.has('mnt_ns')) return 'namespace';
  if (fields.has('mnt_id')) return 'mount';
  return fields.has('sdev') ? 'filesystem' : '';
}

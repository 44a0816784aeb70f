// What the kernel said, in the words of a case: names for bits, 'self' and 'child' for processes, placeholders for paths.

import {
  type DecodedEvent,
  FAN_EPIDFD,
  FAN_NOFD,
  FAN_NOPIDFD,
  type FileHandle,
  type Fsid,
  type InfoRecord,
  maskNames,
} from '../../src/abi/index.ts';
import { errnoName } from '../../src/kernel/index.ts';
import type { ExpectedEvent, ExpectedRecord } from './case.ts';
import type { Machine } from './machine.ts';

// exportfs.h, FILEID_INVALID: the handle in an error of the whole file system (fanotify(7), FAN_FS_ERROR).
const FILEID_INVALID = 0xff;

/** Starts the description of a handle or mount that the case has given no name. */
export const UNNAMED = 'unnamed';

/** What a case has given names to on its way. */
export interface Vocabulary {
  readonly handles: Map<string, string>;
  readonly mounts: Map<bigint, string>;
  /** By process id: 'child', or what the case calls it. */
  readonly children: Map<number, string>;
}

export function newVocabulary(): Vocabulary {
  return { handles: new Map(), mounts: new Map(), children: new Map() };
}

export function handleName(fsid: Fsid, handle: FileHandle): string {
  return `${fsid.join(':')}/${handle.type}/${handle.bytes.toString('hex')}`;
}

/** Describes an event completely. Its descriptors must still be open: their paths are read. */
export function describeEvent(event: DecodedEvent, machine: Machine, words: Vocabulary): ExpectedEvent {
  const described: { -readonly [K in keyof ExpectedEvent]: ExpectedEvent[K] } = {
    mask: maskNames(event.mask),
    pid: describePid(event.pid, machine, words),
    fd: event.fd >= 0 ? 'valid' : event.fd === FAN_NOFD ? 'NOFD' : `-${errnoName(-event.fd)}`,
  };
  if (event.fd >= 0) {
    described.path = machine.label(machine.kernel.readlink(`/proc/self/fd/${event.fd}`).toString());
  }
  if (event.records.length > 0) described.info = event.records.map((record) => describeRecord(record, words));
  return described;
}

function describePid(pid: number, machine: Machine, words: Vocabulary): string | number {
  if (pid === machine.kernel.pid) return 'self';
  return words.children.get(pid) ?? (pid === 0 ? 0 : 'other');
}

function describeRecord(record: InfoRecord, words: Vocabulary): ExpectedRecord {
  switch (record.type) {
    case 'FID':
    case 'DFID':
      return { type: record.type, object: describeHandle(record.fsid, record.handle, words) };
    case 'DFID_NAME':
    case 'OLD_DFID_NAME':
    case 'NEW_DFID_NAME':
      return {
        type: record.type,
        object: describeHandle(record.fsid, record.handle, words),
        name: record.name.toString(),
      };
    case 'PIDFD':
      return { type: record.type, pidfd: describePidfd(record.pidfd) };
    case 'ERROR':
      return { type: record.type, error: errnoName(record.error), errorCount: record.errorCount };
    case 'RANGE':
      return { type: record.type, offset: Number(record.offset), count: Number(record.count) };
    case 'MNT':
      return { type: record.type, mount: words.mounts.get(record.mountId) ?? `${UNNAMED} ${record.mountId}` };
    case 'UNKNOWN':
      return { type: `unknown ${record.infoType}`, name: record.bytes.toString('hex') };
  }
}

function describeHandle(fsid: Fsid, handle: FileHandle, words: Vocabulary): string {
  if (handle.type === FILEID_INVALID) return 'null';
  const name = handleName(fsid, handle);
  return words.handles.get(name) ?? `${UNNAMED} ${name}`;
}

function describePidfd(pidfd: number): string {
  if (pidfd >= 0) return 'valid';
  if (pidfd === FAN_NOPIDFD) return 'NOPIDFD';
  if (pidfd === FAN_EPIDFD) return 'EPIDFD';
  return `-${errnoName(-pidfd)}`;
}

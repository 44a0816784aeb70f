// Processes as fatrace writes them: `comm(pid) [uid:gid]` in front of what they did, and ` exe=…, parents=…` behind it.

import type { ProcessDepth, ProcessInfo } from '../index.ts';
import { shown, shownBytes } from './text.ts';

/** What is written besides comm and pid. */
export interface ProcessTextOptions {
  readonly user?: boolean;
  readonly exe?: boolean;
  readonly parents?: boolean;
  /** Container and unit. */
  readonly origin?: boolean;
}

/** What --who asks for, as text. */
export function textOptionsOf(who: ProcessDepth | undefined): Required<ProcessTextOptions> {
  const command = who === 'command' || who === 'full';
  return { user: command, exe: command, parents: who === 'full', origin: who === 'full' };
}

/** A process in front of what it did, and behind it. */
export interface ProcessText {
  readonly head: string;
  readonly tail: string;
}

/** One of which the kernel told nothing but the number. */
export function unknownProcess(pid: number): ProcessText {
  return { head: `unknown(${pid})`, tail: '' };
}

/** Makes texts of processes, each put together once. */
export function processText(options: ProcessTextOptions): (process: ProcessInfo) => ProcessText {
  const texts = new WeakMap<ProcessInfo, ProcessText>();
  return (process) => {
    const known = texts.get(process);
    if (known) return known;
    const head = `${nameOf(process)}(${process.pid})${options.user ? userOf(process) : ''}`;
    const text = { head, tail: tailOf(process, options) };
    // One that ended unread may still be named by what comes.
    if (process.rawComm !== null) texts.set(process, text);
    return text;
  };
}

/** The name of a process for people: of one that ended unread, that of its program. */
export function nameOf({ comm, rawComm, rawExe }: ProcessInfo): string {
  if (comm !== null) return shown(comm);
  if (rawComm) return shownBytes(rawComm);
  return rawExe ? shownBytes(rawExe.subarray(rawExe.lastIndexOf(0x2f) + 1)) : 'unknown';
}

function userOf({ uid, gid }: ProcessInfo): string {
  return uid === null ? '' : ` [${uid}:${gid}]`;
}

function exeOf({ exe, rawExe, exeForeign }: ProcessInfo): string {
  if (!rawExe) return '';
  // A path of somebody else's mount namespace, who may call anything what he likes.
  return ` exe=${exeForeign ? '(foreign)' : ''}${exe === null ? shownBytes(rawExe) : shown(exe)}`;
}

function tailOf(process: ProcessInfo, { exe, parents, origin }: ProcessTextOptions): string {
  const ancestors = process.ancestors.map(
    (parent) => `(pid=${parent.pid} comm=${nameOf(parent)}${exe ? exeOf(parent) : ''})`,
  );
  const { container, unit } = process;
  return [
    exe ? exeOf(process) : '',
    origin && container ? ` container=${container.runtime}:${container.id.slice(0, 12)}` : '',
    origin && unit ? ` unit=${shown(unit)}` : '',
    parents && ancestors.length > 0 ? `, parents=${ancestors.join(',')}` : '',
  ].join('');
}

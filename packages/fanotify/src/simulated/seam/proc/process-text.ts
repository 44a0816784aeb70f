// What the files of /proc/pid say, as proc_pid_stat(5), proc_pid_status(5) and proc_pid_limits(5) have it.

import type { Process, Task } from '../../tasks/task.ts';

/** linux/capability.h, by number. */
const CAPABILITIES =
  `CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
  NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE
  SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND
  AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`
    .split(/\s+/)
    .map((name) => `CAP_${name}`);
/** PF_FORKNOEXEC of linux/sched.h. */
const FORKED_NOT_EXECUTED = 0x40;
/** Where a program's code begins, and its stack: the next program has them elsewhere. */
const CODE_START = 0x5555_5555_4000;
const CODE_BYTES = 0x10_0000;
const STACK_START = 0x7fff_ffff_e000;

/** /proc/pid/stat: one line of 52 fields, of which those are true that say who it is, when it began and what it runs. */
export function statText({ process, leader, isZombie, parentPid, image, numberIn }: ProcessView): string {
  const { comm, startTicks, parent } = process;
  const pid = numberIn(leader);
  const code = isZombie ? 0 : CODE_START + image * CODE_BYTES;
  const fields: (string | number)[] = [pid, `(${comm})`, isZombie ? 'Z' : 'S', parentPid, pid, pid, 0, -1];
  fields.push(process.programs === 0 && parent !== undefined ? FORKED_NOT_EXECUTED : 0);
  // Faults and times, priority and nice, threads, itrealvalue.
  fields.push(0, 0, 0, 0, 0, 0, 0, 0, 20, 0, process.threads.length, 0);
  // startcode, endcode and startstack follow what it takes of memory and the limit of that.
  fields.push(startTicks, isZombie ? 0 : CODE_BYTES, isZombie ? 0 : 256, '18446744073709551615');
  fields.push(code, isZombie ? 0 : code + CODE_BYTES, isZombie ? 0 : STACK_START - image * 16);
  while (fields.length < 52) fields.push(0);
  return `${fields.join(' ')}\n`;
}

/** /proc/pid/status: a line for each field. */
export function statusText({ process, leader, isZombie, parentPid, numberIn }: ProcessView): string {
  const { credentials } = leader;
  const open = process.descriptors.slots.length;
  const lines: [string, string | number][] = [
    ['Name', escaped(process.comm)],
    ['Umask', leader.filesystem.umask.toString(8).padStart(4, '0')],
    ['State', isZombie ? 'Z (zombie)' : 'S (sleeping)'],
    ['Tgid', numberIn(leader)],
    ['Ngid', 0],
    ['Pid', numberIn(leader)],
    ['PPid', parentPid],
    ['TracerPid', 0],
    ['Uid', [credentials.uid, credentials.euid, credentials.suid, credentials.fsuid].join('\t')],
    ['Gid', [credentials.gid, credentials.egid, credentials.sgid, credentials.fsgid].join('\t')],
    ['FDSize', Math.max(64, 2 ** Math.ceil(Math.log2(Math.max(1, open))))],
    ['Groups', `${credentials.groups.join(' ')} `],
    ['NStgid', [...leader.numbers.values()].reverse().join('\t')],
    ['Threads', process.threads.length],
    ['CapInh', capabilityBits(new Set())],
    ['CapPrm', capabilityBits(credentials.permitted)],
    ['CapEff', capabilityBits(credentials.capabilities)],
    ['CapBnd', capabilityBits(new Set(CAPABILITIES))],
    ['CapAmb', capabilityBits(new Set())],
    ['NoNewPrivs', 0],
    ['Seccomp', 0],
    ['Seccomp_filters', 0],
  ];
  return lines.map(([name, value]) => `${name}:\t${value}\n`).join('');
}

/** /proc/pid/limits, of which the one is told that there is. */
export function limitsText({ descriptorLimit }: Process): string {
  const line = (name: string, soft: string | number, hard: string | number, unit: string) =>
    `${name.padEnd(25)} ${String(soft).padEnd(20)} ${String(hard).padEnd(20)} ${unit.padEnd(10)}\n`;
  return (
    line('Limit', 'Soft Limit', 'Hard Limit', 'Units') +
    line('Max open files', descriptorLimit, descriptorLimit, 'files')
  );
}

/** /proc/pid/cmdline: a NUL after each word, nothing once it has ended. */
export function cmdlineText({ process, isZombie }: ProcessView): string {
  return isZombie ? '' : process.argv.map((word) => `${word}\0`).join('');
}

/** What a reader sees of a process. */
export interface ProcessView {
  readonly process: Process;
  readonly leader: Task;
  readonly isZombie: boolean;
  /** 0: it has none, or the reader's PID namespace does not have it. */
  readonly parentPid: number;
  /** Of what it executes: who was forked shares it with its parent; each exec has another. */
  readonly image: number;
  /** A task's number in the PID namespace of the proc file system. */
  readonly numberIn: (task: Task) => number;
}

function capabilityBits(capabilities: ReadonlySet<string>): string {
  let bits = 0n;
  for (const [number, name] of CAPABILITIES.entries()) if (capabilities.has(name)) bits |= 1n << BigInt(number);
  return bits.toString(16).padStart(16, '0');
}

/** string_escape_mem(ESCAPE_SPACE | ESCAPE_SPECIAL) of what a process may call itself. */
function escaped(comm: string): string {
  return comm.replace(/[\n\\]/g, (char) => (char === '\n' ? '\\n' : '\\\\'));
}

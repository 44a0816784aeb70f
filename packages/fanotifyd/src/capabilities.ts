// Whether this process has the privilege that a daemon takes: better said at its start than to each client.

import { readFileSync } from 'node:fs';

/** By number: capabilities(7), linux/capability.h. */
const NEEDED = { CAP_SYS_ADMIN: 21, CAP_DAC_READ_SEARCH: 2, CAP_SETUID: 7, CAP_SETGID: 6 } as const;
const CAP_SYS_PTRACE = 19;

/** The daemon lacks a privilege that it cannot do without. */
export class CapabilityError extends Error {
  static {
    CapabilityError.prototype.name = 'CapabilityError';
  }
  readonly code = 'CAPABILITY';
}

/**
 * Whether this process may do what a daemon does.
 *
 * @returns What it will do less well, in sentences.
 * @throws CapabilityError when it may not.
 */
export function assertCapable(status: string = readFileSync('/proc/self/status', 'latin1')): string[] {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const has = (number: number) => ((effective >> BigInt(number)) & 1n) === 1n;
  const missing = Object.entries(NEEDED).flatMap(([name, number]) => (has(number) ? [] : [name]));
  if (missing.length > 0) {
    throw new CapabilityError(`this takes ${missing.join(', ')}: run it as root, with these in its bounding set`);
  }
  if (has(CAP_SYS_PTRACE)) return [];
  return ['without CAP_SYS_PTRACE whoever decides waits for its own deadline when a process that it starts is held'];
}

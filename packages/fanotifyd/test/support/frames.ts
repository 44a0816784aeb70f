// Requests as any client writes them, byte by byte: docs/PROTOCOL.md.

import { FAN_CLOEXEC, FAN_REPORT_DFID_NAME } from 'fanotify/abi';

const REQUEST_BYTES = 40;
const BIND = 1;
const STATISTICS = 9;
const VERSION = 1;

export interface Bind {
  readonly number?: number;
  readonly mask?: bigint;
  readonly priority?: number;
  readonly flags?: number;
  readonly version?: number;
}

export function request(type: number, number: number): Buffer {
  const bytes = Buffer.alloc(REQUEST_BYTES);
  bytes.writeUInt32LE(type, 0);
  bytes.writeUInt32LE(number, 4);
  return bytes;
}

export function bind({
  number = 1,
  mask = 0n,
  priority = 0,
  flags = FAN_CLOEXEC,
  version = VERSION,
}: Bind = {}): Buffer {
  const bytes = request(BIND, number);
  bytes.writeBigUInt64LE(mask, 8);
  bytes.writeUInt32LE(priority, 16);
  bytes.writeUInt32LE(flags, 24);
  bytes.writeUInt32LE(version, 28);
  return bytes;
}

export function bindNames(options: Bind = {}): Buffer {
  return bind({ flags: FAN_CLOEXEC | FAN_REPORT_DFID_NAME, ...options });
}

export function statistics(number: number): Buffer {
  return request(STATISTICS, number);
}

// Event masks as the kernel's names for their bits, and back.

import { FAN_CLOSE, FAN_MOVE } from './constants.ts';
import { AbiError } from './error.ts';
import { EVENT_BITS } from './since.ts';

/**
 * The kernel's names of the bits in a mask, lowest bit first. Bits that have no name come last, together, as one
 * hexadecimal number.
 *
 * @example
 * import { maskNames } from 'fanotify/abi';
 * console.log(maskNames(0x4000_0120n)); // [ 'FAN_OPEN', 'FAN_CREATE', 'FAN_ONDIR' ]
 * console.log(maskNames(0x2000_0020n)); // [ 'FAN_OPEN', '0x20000000' ]
 */
export function maskNames(mask: bigint): string[] {
  let rest = BigInt.asUintN(64, mask);
  const names: string[] = [];
  for (const { name, value } of EVENT_BITS) {
    if ((rest & value) === 0n) continue;
    names.push(name);
    rest &= ~value;
  }
  if (rest !== 0n) names.push(`0x${rest.toString(16)}`);
  return names;
}

const BITS = new Map<string, bigint>([
  ...EVENT_BITS.map(({ name, value }): [string, bigint] => [name, value]),
  ['FAN_CLOSE', FAN_CLOSE],
  ['FAN_MOVE', FAN_MOVE],
]);

/**
 * The mask of all the bits that are named: what `maskNames` returns, and FAN_CLOSE and FAN_MOVE.
 *
 * @throws AbiError NAME_UNKNOWN for what is neither the name of a bit nor a hexadecimal number of at most 64 bits.
 * @example
 * import { parseMask } from 'fanotify/abi';
 * console.log(parseMask(['FAN_OPEN', 'FAN_CLOSE'])); // 56n
 */
export function parseMask(names: Iterable<string>): bigint {
  let mask = 0n;
  for (const name of names) {
    const bits = BITS.get(name) ?? (/^0x[0-9a-f]{1,16}$/i.test(name) ? BigInt(name) : undefined);
    if (bits === undefined)
      throw new AbiError('NAME_UNKNOWN', `${JSON.stringify(name)} is not the name of an event bit`);
    mask |= bits;
  }
  return mask;
}

// Handles to bytes, bytes to handles, and keys of both.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { HOST_IS_LITTLE_ENDIAN, handleFromStruct, handleKey, handleToStruct } from '../../src/abi/index.ts';
import { fsids, handles } from './arbitraries.ts';

it.skipIf(!HOST_IS_LITTLE_ENDIAN)('writes struct file_handle', () => {
  expect(handleToStruct({ type: 0x81, bytes: Buffer.from('abc') }).toString('hex')).toBe('0300000081000000616263');
});

it('reads back what it wrote', () => {
  fc.assert(
    fc.property(handles, (handle) => {
      expect(handleFromStruct(handleToStruct(handle))).toEqual(handle);
    }),
  );
});

it('ignores what follows, as name_to_handle_at(2) leaves it in its buffer', () => {
  const handle = { type: 1, bytes: Buffer.from('abc') };
  expect(handleFromStruct(Buffer.concat([handleToStruct(handle), Buffer.alloc(125, 9)]))).toEqual(handle);
});

it('refuses a struct that is cut short', () => {
  const struct = handleToStruct({ type: 1, bytes: Buffer.from('abc') });
  for (let length = 0; length < struct.length; length++) {
    expect(() => handleFromStruct(struct.subarray(0, length))).toThrow(
      expect.objectContaining({ code: 'HANDLE_LENGTH' }),
    );
  }
});

it('has one key for one object', () => {
  fc.assert(
    fc.property(fsids, handles, fsids, handles, (fsidA, a, fsidB, b) => {
      const same = fsidA[0] === fsidB[0] && fsidA[1] === fsidB[1] && a.type === b.type && a.bytes.equals(b.bytes);
      expect(handleKey(fsidA, a) === handleKey(fsidB, b)).toBe(same);
      expect(handleKey(fsidA, a)).toBe(handleKey([...fsidA], { type: a.type, bytes: Buffer.from(a.bytes) }));
    }),
  );
});

// The smallest program: it ends with 0 as soon as it runs, and reads no other file for it.

/** Where it is in memory. */
const ADDRESS = 0x40_0000;
const HEADER_BYTES = 64;
const SEGMENT_BYTES = 56;
const BYTES = 4096;

// exit(0).
const CODE: Readonly<Record<string, { readonly machine: number; readonly bytes: readonly number[] }>> = {
  // xor edi, edi; mov eax, 60; syscall
  x64: { machine: 62, bytes: [0x31, 0xff, 0xb8, 60, 0, 0, 0, 0x0f, 0x05] },
  // mov x0, 0; mov x8, 93; svc 0
  arm64: { machine: 183, bytes: [0x00, 0x00, 0x80, 0xd2, 0xa8, 0x0b, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4] },
};

/** elf(5): one segment to be loaded, no interpreter. */
export function smallestProgram(): Buffer {
  const code = CODE[process.arch];
  if (code === undefined) throw new Error(`no program for ${process.arch}`);
  const bytes = Buffer.alloc(BYTES);
  const start = HEADER_BYTES + SEGMENT_BYTES;
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  bytes.writeUInt16LE(2, 16); // ET_EXEC
  bytes.writeUInt16LE(code.machine, 18);
  bytes.writeUInt32LE(1, 20);
  bytes.writeBigUInt64LE(BigInt(ADDRESS + start), 24);
  bytes.writeBigUInt64LE(BigInt(HEADER_BYTES), 32);
  bytes.writeUInt16LE(HEADER_BYTES, 52);
  bytes.writeUInt16LE(SEGMENT_BYTES, 54);
  bytes.writeUInt16LE(1, 56);
  bytes.writeUInt32LE(1, HEADER_BYTES); // PT_LOAD
  bytes.writeUInt32LE(5, HEADER_BYTES + 4); // PF_R | PF_X
  bytes.writeBigUInt64LE(BigInt(ADDRESS), HEADER_BYTES + 16);
  bytes.writeBigUInt64LE(BigInt(ADDRESS), HEADER_BYTES + 24);
  bytes.writeBigUInt64LE(BigInt(BYTES), HEADER_BYTES + 32);
  bytes.writeBigUInt64LE(BigInt(BYTES), HEADER_BYTES + 40);
  bytes.writeBigUInt64LE(4096n, HEADER_BYTES + 48);
  bytes.set(code.bytes, start);
  return bytes;
}

// What the kernel reads of a program before it runs it (fs/binfmt_elf.c): headers, the interpreter's name, what is mapped.

/** What execve(2) needs to know of an ELF file. */
export interface ElfHeader {
  readonly isRelocatable: boolean;
  readonly headersOffset: number;
  readonly headerCount: number;
}

export interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly fileBytes: number;
  readonly memoryBytes: number;
}

export const ELF_HEADER_BYTES = 64;
export const PROGRAM_HEADER_BYTES = 56;
const PT_LOAD = 1;
const PT_INTERP = 3;
const ET_EXEC = 2;
const ET_DYN = 3;
const PAGE_BYTES = 4096;

const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const u64 = (data: DataView, at: number) => data.getUint32(at, true) + data.getUint32(at + 4, true) * 0x1_0000_0000;

/** undefined for what is no ELF program of 64 bits, little-endian. */
export function parseElfHeader(bytes: Uint8Array): ElfHeader | undefined {
  if (bytes.length < ELF_HEADER_BYTES) return undefined;
  const data = view(bytes);
  if (data.getUint32(0, false) !== 0x7f45_4c46 || data.getUint8(4) !== 2 || data.getUint8(5) !== 1) return undefined;
  const type = data.getUint16(16, true);
  const headerCount = data.getUint16(56, true);
  if ((type !== ET_EXEC && type !== ET_DYN) || data.getUint16(54, true) !== PROGRAM_HEADER_BYTES) return undefined;
  if (headerCount === 0) return undefined;
  return { isRelocatable: type === ET_DYN, headersOffset: u64(data, 32), headerCount };
}

export function parseSegments(bytes: Uint8Array): Segment[] {
  const data = view(bytes);
  return Array.from({ length: Math.floor(bytes.length / PROGRAM_HEADER_BYTES) }, (_, index) => {
    const at = index * PROGRAM_HEADER_BYTES;
    return {
      type: data.getUint32(at, true),
      offset: u64(data, at + 8),
      address: u64(data, at + 16),
      fileBytes: u64(data, at + 32),
      memoryBytes: u64(data, at + 40),
    };
  });
}

export function interpreterOf(segments: readonly Segment[]): Segment | undefined {
  return segments.find(({ type }) => type === PT_INTERP);
}

/** What elf_load maps, in its order: the first of a relocatable one has room for all of it. */
export function mappedRanges(
  { isRelocatable }: ElfHeader,
  segments: readonly Segment[],
): { readonly offset: number; readonly count: number }[] {
  const loads = segments.filter(({ type }) => type === PT_LOAD);
  const [first] = loads;
  const last = loads.at(-1);
  if (first === undefined || last === undefined) return [];
  const whole = pageEnd(last.address + last.memoryBytes) - pageStart(first.address);
  return loads.map((load, index) => {
    const inPage = load.address - pageStart(load.address);
    const count = isRelocatable && index === 0 ? whole : pageEnd(load.fileBytes + inPage);
    return { offset: load.offset - inPage, count };
  });
}

function pageStart(address: number): number {
  return address - (address % PAGE_BYTES);
}

function pageEnd(address: number): number {
  return Math.ceil(address / PAGE_BYTES) * PAGE_BYTES;
}

/** The smallest program there is: execve(2) takes it, and maps all of it. What it then does is up to whoever plays it. */
export function programImage(): Uint8Array {
  const bytes = new Uint8Array(ELF_HEADER_BYTES + PROGRAM_HEADER_BYTES + 8);
  const data = view(bytes);
  const put64 = (at: number, value: number) => data.setUint32(at, value, true);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  data.setUint16(16, ET_EXEC, true);
  // EM_X86_64.
  data.setUint16(18, 62, true);
  data.setUint32(20, 1, true);
  const start = 0x40_0000;
  put64(24, start + ELF_HEADER_BYTES + PROGRAM_HEADER_BYTES);
  put64(32, ELF_HEADER_BYTES);
  data.setUint16(52, ELF_HEADER_BYTES, true);
  data.setUint16(54, PROGRAM_HEADER_BYTES, true);
  data.setUint16(56, 1, true);
  const at = ELF_HEADER_BYTES;
  data.setUint32(at, PT_LOAD, true);
  // PF_R | PF_X.
  data.setUint32(at + 4, 5, true);
  put64(at + 16, start);
  put64(at + 24, start);
  put64(at + 32, bytes.length);
  put64(at + 40, bytes.length);
  put64(at + 48, PAGE_BYTES);
  // xor edi, edi; mov eax, SYS_exit; syscall: it is a real program.
  bytes.set([0x31, 0xff, 0x6a, 0x3c, 0x58, 0x0f, 0x05], ELF_HEADER_BYTES + PROGRAM_HEADER_BYTES);
  return bytes;
}

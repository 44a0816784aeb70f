// execve(2) (fs/exec.c): the file is opened to be executed, read, mapped; then the process is another program.

import { AT_EMPTY_PATH, AT_FDCWD, O_LARGEFILE, O_RDONLY } from '../files/flags.ts';
import type { OpenFile } from '../files/objects.ts';
import { openFile, openPlace } from '../files/open.ts';
import { closeFile, closeTogether } from '../files/open-file.ts';
import { readFile } from '../files/read-write.ts';
import { walk } from '../files/walk.ts';
import { Refusal, refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import type { Blocking } from '../wait.ts';
import { ALL_CAPABILITIES, NO_CAPABILITIES } from './credentials.ts';
import { takeDescriptors } from './descriptors.ts';
import {
  ELF_HEADER_BYTES,
  type ElfHeader,
  interpreterOf,
  mappedRanges,
  PROGRAM_HEADER_BYTES,
  parseElfHeader,
  parseSegments,
  type Segment,
} from './elf.ts';
import { endThreads, takeMemory } from './process.ts';
import type { Mapping } from './task.ts';

/** BINPRM_BUF_SIZE: what is read first, to see what kind of file it is. */
const FIRST_BYTES = 256;
/** How deep scripts may have scripts as their interpreters. */
const MOST_INTERPRETERS = 5;
const COMM_BYTES = 15;
const SIGSEGV = 11;

interface Program {
  readonly file: OpenFile;
  readonly deniesWriting: boolean;
}

/** An ELF file, and what of it is to be mapped. */
interface Image {
  readonly file: OpenFile;
  readonly header: ElfHeader;
  readonly segments: readonly Segment[];
}

/**
 * execveat(2). Asks FAN_OPEN_EXEC_PERM and FAN_OPEN_PERM, tells FAN_OPEN_EXEC with FAN_OPEN, reads and maps the file, and that of its
 * interpreter. ENOEXEC for what is neither an ELF program nor a script; EACCES, ETXTBSY, ELOOP. Afterwards the process is it: what it
 * does is the caller's to play.
 */
export function* execute(
  system: System,
  path: string,
  argv: readonly string[] = [path],
  dirfd = AT_FDCWD,
  flags = 0,
): Blocking<void> {
  const opened: Program[] = [];
  let interpreter: Program | undefined;
  let isRunning = false;
  try {
    let words = [...argv];
    let program = yield* openProgram(system, dirfd, path, flags);
    opened.push(program);
    let first = yield* readAt(system, program.file, 0, FIRST_BYTES);
    for (let depth = 0; isScript(first); depth++) {
      if (depth >= MOST_INTERPRETERS) refuse('ELOOP');
      const line = scriptLine(first);
      words = [line.interpreter, ...line.argument, opened.length === 1 ? path : (words[0] ?? path), ...words.slice(1)];
      program = yield* openProgram(system, AT_FDCWD, line.interpreter, 0);
      opened.push(program);
      first = yield* readAt(system, program.file, 0, FIRST_BYTES);
    }
    const image = yield* readImage(system, program.file, first);
    const named = interpreterOf(image.segments);
    let loader: Image | undefined;
    if (named !== undefined) {
      const name = yield* readAt(system, program.file, named.offset, named.fileBytes);
      interpreter = yield* openProgram(system, AT_FDCWD, textOf(name), 0);
      loader = yield* readImage(system, interpreter.file, yield* readAt(system, interpreter.file, 0, ELF_HEADER_BYTES));
    }
    // The point of no return: from here on it is killed rather than refused.
    isRunning = true;
    becomeProgram(system, program, path, words);
    yield* mapImage(system, image);
    if (loader !== undefined) yield* mapImage(system, loader);
  } catch (error) {
    if (isRunning) system.current.pendingKill ??= SIGSEGV;
    throw error;
  } finally {
    if (interpreter !== undefined) dropProgram(system, interpreter);
    // Of scripts only the last is kept, by the process.
    for (const each of isRunning ? opened.slice(0, -1) : opened.toReversed()) dropProgram(system, each);
  }
}

/** do_open_execat. */
function* openProgram(system: System, dirfd: number, path: string, flags: number): Blocking<Program> {
  const how = O_RDONLY | O_LARGEFILE;
  const isEmpty = path === '' && (flags & AT_EMPTY_PATH) !== 0;
  const file = isEmpty
    ? yield* openPlace(system, walk(system, dirfd, path, { follows: true, allowsEmpty: true }), how, false, true)
    : yield* openFile(system, dirfd, path, how, 0, 0, true);
  const { inode } = file.path.dentry;
  // exe_file_deny_write_access: not where pre-content events may have it filled.
  const deniesWriting = file.quiet === 'permission' || file.quiet === 'all';
  if (deniesWriting && inode.writers > 0) {
    closeFile(system, file);
    refuse('ETXTBSY');
  }
  if (deniesWriting) inode.executing++;
  return { file, deniesWriting };
}

function dropProgram(system: System, { file, deniesWriting }: Program): void {
  if (deniesWriting) file.path.dentry.inode.executing--;
  closeFile(system, file);
}

/** kernel_read: what is there, up to `count`. */
function* readAt(system: System, file: OpenFile, offset: number, count: number): Blocking<Uint8Array> {
  const bytes = new Uint8Array(count);
  return bytes.subarray(0, yield* readFile(system, file, bytes, offset));
}

function isScript(first: Uint8Array): boolean {
  return first[0] === 0x23 && first[1] === 0x21;
}

function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('latin1');
}

/** The interpreter after '#!', and what follows it as one argument. */
function scriptLine(first: Uint8Array): { readonly interpreter: string; readonly argument: readonly string[] } {
  const [line = ''] = textOf(first).slice(2).split('\n', 1);
  const match = /^[ \t]*([^ \t]+)[ \t]*(.*?)[ \t]*$/.exec(line);
  if (match?.[1] === undefined) refuse('ENOEXEC');
  return { interpreter: match[1], argument: match[2] ? [match[2]] : [] };
}

/** load_elf_phdrs. ENOEXEC, whatever it is that keeps it from being read. */
function* readImage(system: System, file: OpenFile, first: Uint8Array): Blocking<Image> {
  const header = parseElfHeader(first) ?? refuse('ENOEXEC');
  const bytes = header.headerCount * PROGRAM_HEADER_BYTES;
  let headers: Uint8Array;
  try {
    headers = yield* readAt(system, file, header.headersOffset, bytes);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    refuse('ENOEXEC');
  }
  if (headers.length < bytes) refuse('ENOEXEC');
  return { file, header, segments: parseSegments(headers) };
}

/** elf_load: each part asks FAN_PRE_ACCESS, and keeps the file open. */
function* mapImage(system: System, { file, header, segments }: Image): Blocking<void> {
  const { mappings } = system.current.process;
  for (const { offset, count } of mappedRanges(header, segments)) {
    if (file.quiet !== 'all') {
      const held = system.fsnotify.mapPermission(file, offset, count);
      if (held !== undefined) yield* held;
    }
    const mapping: Mapping = { file, offset, count, isWritable: true, isShared: false };
    file.references++;
    mappings.push(mapping);
  }
}

/** begin_new_exec: other threads end, memory and what is closed on exec go; name, executable and credentials are the new ones. */
function becomeProgram(system: System, { file, deniesWriting }: Program, path: string, argv: readonly string[]): void {
  const { process, credentials } = system.current;
  endThreads(system, process, system.current);
  const old = { executable: process.executable, deniesWriting: process.deniesWriting, mappings: process.mappings };
  process.executable = file;
  process.deniesWriting = deniesWriting;
  process.mappings = [];
  process.argv = argv;
  process.comm = path.slice(path.lastIndexOf('/') + 1).slice(0, COMM_BYTES);
  process.programs++;
  const { inode } = file.path.dentry;
  if ((inode.mode & 0o4000) !== 0) credentials.euid = inode.uid;
  if ((inode.mode & 0o2010) === 0o2010) credentials.egid = inode.gid;
  credentials.suid = credentials.euid;
  credentials.fsuid = credentials.euid;
  credentials.sgid = credentials.egid;
  credentials.fsgid = credentials.egid;
  const isRoot = credentials.uid === 0 || credentials.euid === 0;
  if (credentials.userNamespace.parent === undefined) {
    credentials.permitted = isRoot ? ALL_CAPABILITIES : NO_CAPABILITIES;
    credentials.capabilities = credentials.euid === 0 ? ALL_CAPABILITIES : NO_CAPABILITIES;
  }
  const closing = takeDescriptors(process.descriptors, ({ closesOnExec }) => closesOnExec);
  closeTogether(system, [...takeMemory(old), ...closing]);
}

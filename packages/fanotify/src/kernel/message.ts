// Messages with descriptors on a Unix socket. koffi's struct arguments abort the process at times, so a struct msghdr is
// written here word for word, into memory that does not move, around the address of the caller's buffer: receiving 16 KiB
// takes 3.3 µs so, and 8.9 through a buffer of ours; 64 bytes take 1.9 and 2.1. Asking for the address anew takes 0.5.

import { ERRNO, KernelError } from './error.ts';
import type { Credentials, PeekedMessage, ReceivedMessage } from './kernel.ts';
import type { Libc } from './libc.ts';

const MSG_PEEK = 0x02;
const MSG_CTRUNC = 0x08;
const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x4000_0000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const SCM_CREDENTIALS = 2;
// SCM_MAX_FD of net/scm.h, and one more, so that it is the kernel that refuses what is beyond it.
const MAX_DESCRIPTORS = 253 + 1;

// Where the parts are, in 32-bit words: struct msghdr for 64-bit machines (musl's narrower lengths have zeros beside
// them), the one struct iovec that it points at, and struct cmsghdr with what it carries.
const IOV = 4;
const IOV_COUNT = 6;
const CONTROL = 8;
const CONTROL_BYTES = 10;
const FLAGS = 12;
const IOVEC = 14;
const IOVEC_BYTES = 16;
const CMSG = 18;
const CMSG_LEVEL = 2;
const CMSG_TYPE = 3;
const CMSG_DATA = 4;
const WORD_BYTES = 4;
const WORDS = CMSG + CMSG_DATA + MAX_DESCRIPTORS;

const NO_DESCRIPTORS: readonly number[] = Object.freeze([]);

/** {@link Kernel.sendMessage}, {@link Kernel.receiveMessage} and {@link Kernel.peekMessage}. */
export class Messages {
  readonly #libc: Libc;
  // A buffer made through its ArrayBuffer is outside of the heap that is moved about.
  readonly #words: Int32Array = new Int32Array(new ArrayBuffer(WORDS * WORD_BYTES));
  readonly #header: Uint8Array = new Uint8Array(this.#words.buffer);
  #buffer: Uint8Array | undefined;
  // Neither says anything but itself, and a stack trace costs more than the call: one for all.
  readonly #noRoom: KernelError = new KernelError('sendmsg', ERRNO.EAGAIN);
  readonly #noMessage: KernelError = new KernelError('recvmsg', ERRNO.EAGAIN);

  constructor(libc: Libc) {
    this.#libc = libc;
    const header = libc.addressOf(this.#header);
    this.#setAddress(IOV, header + IOVEC * WORD_BYTES);
    this.#words[IOV_COUNT] = 1;
    this.#setAddress(CONTROL, header + CMSG * WORD_BYTES);
  }

  send(fd: number, bytes: Uint8Array, descriptors: readonly number[] = NO_DESCRIPTORS): number {
    const plain = descriptors.length === 0;
    if (!plain) this.#attach(bytes, descriptors);
    for (;;) {
      const sent = plain
        ? this.#libc.send(fd, bytes, bytes.byteLength, MSG_NOSIGNAL | MSG_DONTWAIT)
        : this.#libc.sendmsg(fd, this.#header, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent !== -1) return sent;
      this.#failUnlessInterrupted('sendmsg', this.#noRoom);
    }
  }

  receive(fd: number, buffer: Uint8Array, closeOnExec: boolean): ReceivedMessage {
    const words = this.#words;
    this.#pointAt(buffer);
    const flags = MSG_DONTWAIT | (closeOnExec ? MSG_CMSG_CLOEXEC : 0);
    for (;;) {
      words[CONTROL_BYTES] = (WORDS - CMSG) * WORD_BYTES;
      const bytes = this.#libc.recvmsg(fd, this.#header, flags);
      if (bytes === -1) {
        this.#failUnlessInterrupted('recvmsg', this.#noMessage);
        continue;
      }
      const isPlain = words[CONTROL_BYTES] === 0;
      const descriptors = isPlain ? NO_DESCRIPTORS : this.#detach();
      if (((words[FLAGS] as number) & MSG_TRUNC) === 0) {
        const sender = isPlain ? undefined : this.#sender();
        return sender ? { bytes, descriptors, sender } : { bytes, descriptors };
      }
      for (const descriptor of descriptors) this.#libc.close(descriptor);
      throw new KernelError('recvmsg', ERRNO.EMSGSIZE);
    }
  }

  peek(fd: number, buffer: Uint8Array): PeekedMessage {
    const words = this.#words;
    this.#pointAt(buffer);
    for (;;) {
      // No room for descriptors: that there are some is all that is told of them.
      words[CONTROL_BYTES] = 0;
      const bytes = this.#libc.recvmsg(fd, this.#header, MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC);
      if (bytes !== -1) return { bytes, hasDescriptors: ((words[FLAGS] as number) & MSG_CTRUNC) !== 0 };
      this.#failUnlessInterrupted('recvmsg', this.#noMessage);
    }
  }

  #attach(bytes: Uint8Array, descriptors: readonly number[]): void {
    const words = this.#words;
    const count = Math.min(descriptors.length, MAX_DESCRIPTORS);
    this.#pointAt(bytes);
    words[CONTROL_BYTES] = (CMSG_DATA + count) * WORD_BYTES;
    this.#setControlHeader((CMSG_DATA + count) * WORD_BYTES);
    for (let at = 0; at < count; at++) words[CMSG + CMSG_DATA + at] = descriptors[at] as number;
  }

  #setControlHeader(bytes: number): void {
    const words = this.#words;
    words[CMSG] = bytes;
    words[CMSG + 1] = 0;
    words[CMSG + CMSG_LEVEL] = SOL_SOCKET;
    words[CMSG + CMSG_TYPE] = SCM_RIGHTS;
  }

  /** The descriptors among what came beside the bytes: a socket with SO_PASSCRED has more than those. */
  #detach(): readonly number[] {
    const descriptors: number[] = [];
    for (const [from, to] of this.#carried(SCM_RIGHTS)) {
      for (let at = from; at < to; at++) descriptors.push(this.#words[at] as number);
    }
    return descriptors;
  }

  #sender(): Credentials | undefined {
    const words = this.#words;
    for (const [at] of this.#carried(SCM_CREDENTIALS)) {
      const [pid = 0, uid = 0, gid = 0] = words.subarray(at, at + 3);
      return { pid, uid: uid >>> 0, gid: gid >>> 0 };
    }
    return undefined;
  }

  /** Where what came beside the bytes is, of one type: from a word to another. */
  *#carried(type: number): IterableIterator<readonly [number, number]> {
    const words = this.#words;
    const end = CMSG + (words[CONTROL_BYTES] as number) / WORD_BYTES;
    for (let at = CMSG; at + CMSG_DATA <= end; ) {
      const bytes = words[at] as number;
      if (words[at + CMSG_LEVEL] === SOL_SOCKET && words[at + CMSG_TYPE] === type) {
        yield [at + CMSG_DATA, at + bytes / WORD_BYTES];
      }
      // CMSG_NXTHDR: each begins at a multiple of eight bytes.
      at += 2 * Math.ceil(bytes / 8);
    }
  }

  /**
   * Mostly it is the buffer of the time before, and the bytes of a view stay where they are as long as it has its length
   * (a detached one has none). That it is kept here also keeps it from being collected during the call.
   */
  #pointAt(buffer: Uint8Array): void {
    if (this.#buffer === buffer && this.#words[IOVEC_BYTES] === buffer.byteLength) return;
    this.#setAddress(IOVEC, this.#libc.addressOf(buffer));
    this.#words[IOVEC_BYTES] = buffer.byteLength;
    this.#buffer = buffer;
  }

  #setAddress(at: number, address: number): void {
    this.#words[at] = address | 0;
    this.#words[at + 1] = Math.floor(address / 2 ** 32);
  }

  #failUnlessInterrupted(syscall: string, again: KernelError): void {
    const errno = this.#libc.errno();
    if (errno === ERRNO.EAGAIN) throw again;
    if (errno !== ERRNO.EINTR) throw new KernelError(syscall, errno);
  }
}

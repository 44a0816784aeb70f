// Sockets of AF_UNIX, as net/unix/af_unix.c has them: connections that carry bytes or messages, descriptors with these, and whose they are.

import type { Inode, OpenFile, SpecialOperations } from '../files/objects.ts';
import { refuse } from '../refusal.ts';
import type { Blocking } from '../wait.ts';
import { POLL } from './poll-bits.ts';
import type { Wakeups } from './wakeups.ts';

/** net.core.wmem_default: what messages that were not received may take of a sender's memory. */
const SEND_BUFFER_BYTES = 212_992;
/** A message may be so long: sk_sndbuf less what the kernel keeps for itself. */
const MOST_MESSAGE_BYTES = SEND_BUFFER_BYTES - 32;
/** SCM_MAX_FD. */
const MOST_DESCRIPTORS = 253;
// What a message takes beside its bytes: struct sk_buff, and struct skb_shared_info behind them. SKB_MAX_ALLOC comes in one piece.
const BUFFER_BYTES = 256;
const SHARED_INFO_BYTES = 320;
const MOST_IN_ONE_PIECE = 16_384 - SHARED_INFO_BYTES;
const SMALLEST_PIECE = 512;
const PAGE_BYTES = 4096;

export type SocketType = 'stream' | 'seqpacket';

/** Whose end of a connection it is: SO_PEERCRED, SCM_CREDENTIALS. */
export interface SocketCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

interface Message {
  bytes: Uint8Array;
  files: readonly OpenFile[];
  readonly sender: SocketCredentials;
  /** sk_buff.truesize. */
  readonly memory: number;
}

/** What a message that arrives is. */
export interface Received {
  /** How many bytes it has, which may be more than were copied. */
  readonly bytes: number;
  readonly files: readonly OpenFile[];
  /** For whom the files counted while they were under way. */
  readonly uid: number;
  /** Where the socket asks for it (SO_PASSCRED). */
  readonly sender: SocketCredentials | undefined;
}

/** What sockets need of the machine. */
export interface SocketParts {
  readonly wakeups: Wakeups;
  /** A reference less of an open file: of what was under way and arrives nowhere. */
  drop(file: OpenFile, uid: number): void;
}

export class UnixSocket implements SpecialOperations {
  readonly type: SocketType;
  readonly inode: Inode;
  readonly credentials: SocketCredentials;
  readonly #parts: SocketParts;
  /** SO_PASSCRED. */
  readonly #wantsCredentials: boolean;
  #peer: UnixSocket | undefined;
  /** As the other end was when the connection was made. */
  #peerCredentials: SocketCredentials | undefined;
  #arrived: Message[] = [];
  /** sk_wmem_alloc: of this end's messages that the other has not received. */
  #unsent = 0;
  /** The other end is closed. */
  #isCut = false;
  /** It was, with messages unread: told once. */
  #isReset = false;
  #backlog: UnixSocket[] | undefined;
  #mostWaiting = 0;

  constructor(
    parts: SocketParts,
    type: SocketType,
    inode: Inode,
    credentials: SocketCredentials,
    wantsCredentials = false,
  ) {
    this.#parts = parts;
    this.type = type;
    this.inode = inode;
    this.credentials = credentials;
    this.#wantsCredentials = wantsCredentials;
  }

  get label(): string {
    return `socket:[${this.inode.number}]`;
  }

  /** socketpair(2). */
  join(other: UnixSocket): void {
    this.#peer = other;
    this.#peerCredentials = other.credentials;
    other.#peer = this;
    other.#peerCredentials = this.credentials;
  }

  /** listen(2). */
  listen(backlog: number): void {
    this.#backlog = [];
    this.#mostWaiting = backlog;
  }

  /**
   * connect(2) of a new socket to this one, which listens.
   *
   * @param accepted The other end, to be accepted here: its credentials are those of whoever listens.
   */
  connect(from: UnixSocket, accepted: UnixSocket): void {
    if (this.#backlog === undefined) refuse('ECONNREFUSED');
    if (this.type !== from.type) refuse('EPROTOTYPE');
    if (this.#backlog.length > this.#mostWaiting) refuse('EAGAIN');
    from.join(accepted);
    this.#backlog.push(accepted);
    this.#parts.wakeups.changed();
  }

  /** accept(2). */
  accept(): UnixSocket {
    if (this.#backlog === undefined) refuse('EINVAL');
    const accepted = this.#backlog.shift();
    if (accepted === undefined) refuse('EAGAIN');
    return accepted;
  }

  /** SO_PEERCRED and SO_PEERGROUPS. */
  get peer(): SocketCredentials | undefined {
    return this.#peerCredentials;
  }

  /** SIOCOUTQ. */
  get unsentBytes(): number {
    return this.#unsent;
  }

  /** Sends, or says EAGAIN: MSG_DONTWAIT. `files` have a reference each for the message, which is theirs again when this fails. */
  send(bytes: Uint8Array, files: readonly OpenFile[], sender: SocketCredentials): number {
    if (files.length > MOST_DESCRIPTORS) refuse('EINVAL');
    this.#failIfReset();
    const to = this.#peer;
    if (to === undefined) refuse(this.#isCut ? 'EPIPE' : 'ENOTCONN');
    return this.type === 'stream' ? this.#stream(to, bytes, files, sender) : this.#post(to, bytes, files, sender);
  }

  /** A message of its own, whole or not at all. */
  #post(to: UnixSocket, bytes: Uint8Array, files: readonly OpenFile[], sender: SocketCredentials): number {
    if (bytes.byteLength > MOST_MESSAGE_BYTES) refuse('EMSGSIZE');
    // sock_alloc_send_pskb looks whether there is room, not whether there is enough.
    if (this.#unsent >= SEND_BUFFER_BYTES) refuse('EAGAIN');
    this.#deliver(to, bytes, files, sender);
    return bytes.byteLength;
  }

  /** As much as there is room for. Descriptors go with the first byte. */
  #stream(to: UnixSocket, bytes: Uint8Array, files: readonly OpenFile[], sender: SocketCredentials): number {
    let sent = 0;
    let with_ = files;
    // unix_stream_sendmsg: two of them have room at least, and none is longer than 32 KiB.
    const most = Math.min((SEND_BUFFER_BYTES >> 1) - 64, 32_768);
    while (sent < bytes.byteLength) {
      if (this.#unsent >= SEND_BUFFER_BYTES) {
        if (sent === 0) refuse('EAGAIN');
        break;
      }
      const piece = bytes.subarray(sent, sent + most);
      this.#deliver(to, piece, with_, sender);
      with_ = [];
      sent += piece.byteLength;
    }
    return sent;
  }

  #deliver(to: UnixSocket, bytes: Uint8Array, files: readonly OpenFile[], sender: SocketCredentials): void {
    const memory = memoryOf(bytes.byteLength);
    this.#unsent += memory;
    to.#arrived.push({ bytes: Uint8Array.from(bytes), files, sender, memory });
    this.#parts.wakeups.changed();
  }

  /**
   * Receives, or says EAGAIN: MSG_DONTWAIT. Of a message that is longer than `buffer` the rest is gone; of a stream nothing is.
   *
   * @param stays MSG_PEEK: it stays, and its files.
   */
  receive(buffer: Uint8Array, stays = false): Received {
    const message = this.#arrived[0];
    if (message === undefined) {
      this.#failIfReset();
      if (this.#isCut) return END;
      refuse(this.#peer === undefined ? (this.type === 'stream' ? 'EINVAL' : 'ENOTCONN') : 'EAGAIN');
    }
    return this.type === 'stream' ? this.#readStream(buffer, stays) : this.#readMessage(message, buffer, stays);
  }

  #readMessage(message: Message, buffer: Uint8Array, stays: boolean): Received {
    const { bytes, files } = message;
    buffer.set(bytes.subarray(0, buffer.byteLength));
    if (!stays) this.#take(message);
    return { bytes: bytes.byteLength, files, uid: message.sender.uid, sender: this.#senderOf(message) };
  }

  /** Bytes of one sender, up to where descriptors come. */
  #readStream(buffer: Uint8Array, stays: boolean): Received {
    let read = 0;
    let files: readonly OpenFile[] = [];
    let sender: SocketCredentials | undefined;
    let uid = 0;
    for (let at = 0; read < buffer.byteLength; ) {
      const message = this.#arrived[at];
      if (message === undefined) break;
      if (at > 0 || read > 0) {
        if (message.files.length > 0 || files.length > 0) break;
      }
      const part = message.bytes.subarray(0, buffer.byteLength - read);
      buffer.set(part, read);
      read += part.byteLength;
      if (message.files.length > 0) {
        files = message.files;
        uid = message.sender.uid;
      }
      sender ??= this.#senderOf(message);
      if (stays) at++;
      else if (part.byteLength < message.bytes.byteLength) {
        message.bytes = message.bytes.subarray(part.byteLength);
        message.files = [];
      } else this.#take(message);
    }
    return { bytes: read, files, uid, sender };
  }

  #take(message: Message): void {
    this.#arrived.shift();
    const peer = this.#peer;
    if (peer !== undefined) peer.#unsent -= message.memory;
    this.#parts.wakeups.changed();
  }

  #senderOf({ sender }: Message): SocketCredentials | undefined {
    return this.#wantsCredentials ? sender : undefined;
  }

  *read(buffer: Uint8Array, isBlocking: boolean): Blocking<number> {
    while (isBlocking && this.#arrived.length === 0 && this.#peer !== undefined && !this.#isReset) {
      yield this.#parts.wakeups.next('a message on a socket');
    }
    const { bytes, files, uid } = this.receive(buffer);
    // Nobody asked for what came with it.
    for (const file of files) this.#parts.drop(file, uid);
    return Math.min(bytes, buffer.byteLength);
  }

  *write(bytes: Uint8Array, isBlocking: boolean): Blocking<number> {
    while (isBlocking && this.#peer !== undefined && !this.#isReset && this.#unsent >= SEND_BUFFER_BYTES) {
      yield this.#parts.wakeups.next('room in a socket');
    }
    return this.send(bytes, [], this.credentials);
  }

  poll(): number {
    if (this.#backlog !== undefined) return this.#backlog.length > 0 ? POLL.in : 0;
    // unix_writable.
    let bits = this.#unsent << 2 <= SEND_BUFFER_BYTES ? POLL.out : 0;
    if (this.#arrived.length > 0) bits |= POLL.in;
    if (this.#peer === undefined) bits |= this.#isCut ? POLL.in | POLL.hup : POLL.out | POLL.hup;
    if (this.#isReset) bits |= POLL.err;
    return bits;
  }

  waitingBytes(): number {
    return this.type === 'stream'
      ? this.#arrived.reduce((sum, { bytes }) => sum + bytes.byteLength, 0)
      : (this.#arrived[0]?.bytes.byteLength ?? 0);
  }

  fdinfo(): string {
    return `scm_fds: ${this.#arrived.reduce((sum, { files }) => sum + files.length, 0)}\n`;
  }

  release(): void {
    const peer = this.#peer;
    this.#peer = undefined;
    if (peer !== undefined) {
      peer.#peer = undefined;
      peer.#isCut = true;
      peer.#isReset = this.#arrived.length > 0;
      peer.#unsent = 0;
    }
    for (const { files, sender } of this.#arrived) for (const file of files) this.#parts.drop(file, sender.uid);
    this.#arrived = [];
    for (const waiting of this.#backlog ?? []) waiting.release();
    this.#backlog = undefined;
    this.#parts.wakeups.changed();
  }

  /** ECONNRESET, once. */
  #failIfReset(): void {
    if (!this.#isReset) return;
    this.#isReset = false;
    refuse('ECONNRESET');
  }
}

const END: Received = { bytes: 0, files: [], uid: 0, sender: undefined };

/** sk_buff.truesize: what kmalloc(9) makes of it, a power of two. What is too long for one piece is in pages. */
function memoryOf(bytes: number): number {
  const inPages = Math.max(0, bytes - MOST_IN_ONE_PIECE);
  let piece = SMALLEST_PIECE;
  while (piece < bytes - inPages + SHARED_INFO_BYTES) piece *= 2;
  return BUFFER_BYTES + piece + Math.ceil(inPages / PAGE_BYTES) * PAGE_BYTES;
}

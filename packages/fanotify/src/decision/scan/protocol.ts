// What is said to clamd over a session, and what it answers: clamd(8), "IDSESSION". Pure.
//
// Commands are counted from 1 after IDSESSION, and answers name their command by that number: they come in the order in which scans
// are done. Each is one write of clamd's but for VERSION and STATS, which write their number first (clamd/session.c, print_ver()): the
// answer of a scan may come in between. So these two are asked over a connection that nothing is scanned over.

/** Begins a session, and asks for a sign of life: command 1. */
export const GREETING: Uint8Array = Buffer.from('zIDSESSION\0zPING\0');
export const PING: Uint8Array = Buffer.from('zPING\0');
/** The descriptor goes with the byte after the command. */
export const SCAN: Uint8Array = Buffer.from('zFILDES\0\0');
/** What clamd says of itself: command 1 its version, command 2 its threads and memory. Then it closes the connection. */
export const DESCRIBE: Uint8Array = Buffer.from('zIDSESSION\0zVERSION\0zSTATS\0zEND\0');

/** An answer to a command of a session. */
export type Reply =
  | { readonly kind: 'pong'; readonly id: number }
  | { readonly kind: 'clean'; readonly id: number }
  | { readonly kind: 'found'; readonly id: number; readonly signature: string }
  /** The file could not be scanned; or the command was refused. */
  | { readonly kind: 'error'; readonly id: number; readonly message: string }
  /** clamd ends the session, and says why. */
  | { readonly kind: 'ended'; readonly message: string }
  /** Not what a clamd says. */
  | { readonly kind: 'nonsense'; readonly text: string };

/** Longer than any answer to a command of a session. */
const MOST_REPLY_BYTES = 8192;
const SHOWN_CHARACTERS = 100;
/** It is the only one that ends with a line feed, whatever the commands end with (clamd/server-th.c, recvloop()). */
const TIMED_OUT = 'COMMAND READ TIMED OUT\n';

/** Collects what a stream brings into answers. */
export class ReplyReader {
  readonly #onReply: (reply: Reply) => void;
  #rest = '';

  constructor(onReply: (reply: Reply) => void) {
    this.#onReply = onReply;
  }

  /** `chunk` may be written to again afterwards. */
  push(chunk: Buffer): void {
    // As latin1, in which every byte is a character: a chunk may end within one of UTF-8.
    let text = this.#rest + chunk.toString('latin1');
    this.#rest = '';
    for (let end = text.indexOf('\0'); end >= 0; end = text.indexOf('\0')) {
      const line = text.slice(0, end);
      text = text.slice(end + 1);
      this.#onReply(parseReply(line));
    }
    if (text === TIMED_OUT) this.#onReply({ kind: 'ended', message: TIMED_OUT.trim() });
    else if (text.length > MOST_REPLY_BYTES) this.#onReply(nonsense(text));
    else this.#rest = text;
  }

  /** What has come of an answer whose end has not. */
  get rest(): string {
    return shown(this.#rest);
  }
}

/** @param line Without its NUL, as latin1 of its bytes. */
function parseReply(line: string): Reply {
  const [, number, body] = /^(\d{1,10}): (.*)$/s.exec(line) ?? [];
  if (number === undefined || body === undefined) {
    if (line.startsWith(TIMED_OUT) && line.length > TIMED_OUT.length) return parseReply(line.slice(TIMED_OUT.length));
    return /(^| )(ERROR|COMMAND|UNAVAILABLE)$/.test(line) ? { kind: 'ended', message: shown(line) } : nonsense(line);
  }
  const id = Number(number);
  if (body === 'PONG') return { kind: 'pong', id };
  if (/^[^:]*: OK$/.test(body)) return { kind: 'clean', id };
  const [, found] = /^[^:]*: (.+) FOUND$/s.exec(body) ?? [];
  if (found !== undefined) return { kind: 'found', id, signature: shown(found) };
  const [, message] = /^(?:fd\[\d+\]: )?(.+?)\.? ERROR$/s.exec(body) ?? [];
  if (message !== undefined) return { kind: 'error', id, message: shown(message) };
  return nonsense(line);
}

function nonsense(text: string): Reply {
  return { kind: 'nonsense', text: shown(text) };
}

/** As it can be told: what a signature is called is up to who has made it. */
function shown(latin1: string): string {
  const text = Buffer.from(latin1, 'latin1').toString();
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
}

/**
 * What of clamd's answers to {@link DESCRIBE} is another when its signatures are: the version tells that of the databases it is delivered with, and
 * the memory that signatures take tells others. Undefined when it does not say enough.
 */
export function describedSignatures(
  answers: string,
): { readonly version: string; readonly identity: string } | undefined {
  const [, version] = /^1: ([^\0]+)\0/.exec(answers) ?? [];
  if (version === undefined) return undefined;
  const [pools = ''] = /pools \d+ pools_used \S+ pools_total \S+/.exec(answers) ?? [];
  return { version: shown(version), identity: `${version}\n${pools}` };
}

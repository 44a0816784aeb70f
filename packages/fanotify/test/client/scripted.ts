// A daemon that says what a test tells it to say.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { encodeEvent, FAN_NOFD, FAN_Q_OVERFLOW } from '../../src/abi/index.ts';
import { answerEvent } from '../../src/core/process/event-wire.ts';

const PROGRAM = fileURLToPath(new URL('./scripted-daemon.mjs', import.meta.url));
/** In place of the number of the request that is answered. */
const NUMBER = Buffer.from('ffeeddcc', 'hex').readUInt32LE();

export interface Scripted {
  readonly socket: string;
  /** Requests as they came, in hexadecimal, and how many descriptors came with them. */
  readonly asked: string[];
  /** Resolves when it has said everything. */
  readonly end: Promise<void>;
}

/** A path for a socket. */
export function scratchSocket(): string {
  const directory = mkdtempSync(join(tmpdir(), 'fanotify-client-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, 'socket');
}

/** Starts it. By connection, by request: what it says, or null where it ends the connection instead. */
export async function scripted(script: readonly (readonly (readonly Buffer[] | null)[])[]): Promise<Scripted> {
  const socket = scratchSocket();
  const texts = script.map((requests) =>
    requests.map((messages) => messages?.map((each) => each.toString('base64')) ?? null),
  );
  const child = spawn(process.execPath, [PROGRAM, socket, JSON.stringify(texts)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const asked: string[] = [];
  const lines = createInterface({ input: child.stdout });
  const ready = once(lines, 'line');
  lines.on('line', (line) => asked.push(line));
  const end = once(lines, 'close').then(() => undefined);
  await ready;
  asked.length = 0;
  return { socket, asked, end };
}

/** The answer to the request at hand. */
export function answer(errno = 0, said: string | Uint8Array = ''): Buffer {
  return answerEvent(NUMBER, errno, said);
}

/** The answer to another one. */
export function otherAnswer(): Buffer {
  return answerEvent(7_000_000, 0, 'to another');
}

/** An event that is told apart by its pid. */
export function event(pid: number, mask: bigint = FAN_Q_OVERFLOW): Buffer {
  return Buffer.from(encodeEvent({ mask, fd: FAN_NOFD, pid, records: [] }));
}

// watchman: a server of the consumer's own, in the foreground on a socket in a directory of its own, and a subscription to the tree.

import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { Kind } from '../model.ts';
import { startChild } from './child.ts';
import type { Ear } from './ear.ts';
import type { Watch } from './watch.ts';

const START_MS = 10_000;
const CRAWL_MS = 120_000;
const FIELDS = ['name', 'exists', 'type'];

interface Answer {
  readonly error?: string;
  /** The name of what was subscribed to. */
  readonly subscribe?: string;
  /** It was not asked for. */
  readonly unilateral?: boolean;
  readonly is_fresh_instance?: boolean;
  readonly files?: readonly { readonly name: string; readonly exists: boolean; readonly type: string }[];
}

export const watchTree: Watch = async (root, ear) => {
  const state = mkdtempSync(join(tmpdir(), 'watchman-'));
  const place = (name: string) => join(state, name);
  const files = ['--logfile', place('log'), '--pidfile', place('pid'), '--statefile', place('state')];
  startChild(ear, 'watchman', '--foreground', '--no-save-state', '--sockname', place('socket'), ...files);
  const socket = await connected(place('socket'), ear);
  const ask = (...asked: readonly unknown[]) => socket.write(`${JSON.stringify(asked)}\n`);
  // One after the other: a question that comes with another may never be answered. A clock that is in step is told when it has looked
  // at all there is.
  const questions = [
    ['clock', root, { sync_timeout: CRAWL_MS }],
    ['subscribe', root, 'bench', { fields: FIELDS }],
  ];
  ask('watch', root);
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: socket }).on('line', (line) => {
      const answer = JSON.parse(line) as Answer;
      if (answer.error !== undefined) return reject(new Error(answer.error));
      // What is there comes at once, if there is anything.
      if (answer.subscribe !== undefined) resolve();
      if (answer.unilateral) apply(root, ear, answer);
      const question = answer.unilateral ? undefined : questions.shift();
      if (question) ask(...question);
    });
  });
};

/** A batch says what has become of each of its paths, newest first: what went goes first, and what is in others comes after them. */
function apply(root: string, ear: Ear, { files = [], is_fresh_instance: isFresh = false }: Answer): void {
  if (isFresh) ear.model.delete(root);
  for (const { name, exists } of files) if (!exists) ear.gone(join(root, name));
  const there = files.filter(({ exists }) => exists).sort((one, other) => one.name.length - other.name.length);
  for (const { name, type } of there) ear.told(join(root, name), kindOf(type));
}

function kindOf(type: string): Kind {
  return type === 'f' || type === 'd' || type === 'l' ? type : 'o';
}

async function connected(path: string, ear: Ear): Promise<Socket> {
  for (const end = performance.now() + START_MS; ; await delay(5)) {
    if (ear.ended !== undefined) throw new Error(ear.ended);
    const socket = connect(path);
    try {
      await once(socket, 'connect');
      return socket;
    } catch (error) {
      // Not there yet, or there and not listened to.
      if (performance.now() > end) throw error;
    }
  }
}

// Tries a place in a process of its own, which is given up when it does not come back: a system call on a file system whose
// server is gone waits without end, and with it the whole process.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Kernel, KernelError } from '../../kernel/index.ts';
import type { Tried } from '../../scope/coverage.ts';
import type { TryElsewhere } from '../../scope/looking.ts';
import { openTrials, type Trial } from '../../scope/trial.ts';
import type { Output } from '../output.ts';

const COMMAND = fileURLToPath(new URL('../../../bin/fanotify.cjs', import.meta.url));
/** How long a file system may take to answer. */
const ANSWER_MS = 2_000;
/** How long the other process may take to start, on a busy machine. */
const START_MS = 20_000;
const STARTED = 'started\n';

type Answer = { readonly trial: Trial } | { readonly syscall: string; readonly errno: number };

/** Tries a path by `fanotify doctor --trial`. */
export const tryInChild: TryElsewhere = (path) =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [COMMAND, 'doctor', '--trial', path.toString('base64')], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let told = '';
    const silent = () => {
      child.kill('SIGKILL');
      // It may hang in a call that not even this ends.
      child.unref();
      child.stdout.destroy();
      resolve('silent');
    };
    let timer = setTimeout(silent, START_MS);
    child.stdout.setEncoding('latin1').on('data', (text: string) => {
      if (told === '') {
        clearTimeout(timer);
        timer = setTimeout(silent, ANSWER_MS);
      }
      told += text;
    });
    child.on('error', reject);
    child.on('close', () => {
      clearTimeout(timer);
      const answer = told.slice(STARTED.length);
      if (answer.endsWith('\n')) resolve(triedOf(JSON.parse(answer) as Answer));
      else resolve('silent');
    });
  });

function triedOf(answer: Answer): Exclude<Tried, 'gone'> {
  return 'trial' in answer ? answer.trial : new KernelError(answer.syscall, answer.errno);
}

/** What that process does. */
export async function answerTrial(kernel: Kernel, base64: string, output: Output): Promise<void> {
  await output.write(STARTED);
  let answer: Answer;
  try {
    const trials = openTrials(kernel);
    answer = { trial: trials.try(Buffer.from(base64, 'base64')) };
    trials.close();
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    answer = { syscall: error.syscall, errno: error.errno };
  }
  await output.write(`${JSON.stringify(answer)}\n`);
}

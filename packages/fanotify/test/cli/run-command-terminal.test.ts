// `fanotify run` on a terminal, started by a shell with job control: keys do to the command what they do without us.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { canMount } from '../support/mounts.ts';
import { COMMAND, type RunningCommand, start } from './command.ts';

const has = (program: string) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
const CTRL_C = '\x03';
const CTRL_Z = '\x1a';
const RUN = `'${process.execPath}' '${COMMAND}' run --report /dev/null --`;

let directory: string;
let shell: RunningCommand;
let seen = 0;

/** Waits for what comes behind all that was waited for before. */
const until = async (pattern: RegExp): Promise<string> => {
  await shell.until(({ stdout }) => pattern.test(stdout.slice(seen)));
  const rest = shell.stdout.slice(seen);
  const match = pattern.exec(rest);
  const end = (match?.index ?? 0) + (match?.[0].length ?? 0);
  seen += end;
  return rest.slice(0, end);
};
const prompt = () => until(/PROMPT> /);
const type = (text: string) => shell.type(text);
const status = async () => {
  type('echo "status=$?"\n');
  const text = await until(/status=\d+\r/);
  await prompt();
  return Number(/status=(\d+)\r$/.exec(text)?.[1]);
};

beforeEach(async () => {
  if (!canMount) return;
  directory = mkdtempSync(join(tmpdir(), 'fanotify-run-'));
  seen = 0;
  shell = start('script', ['-qec', `TERM=dumb PS1='PROMPT> ' bash --norc --noprofile -i`, '/dev/null'], {
    cwd: directory,
  });
  await prompt();
});
afterEach(() => {
  if (directory) rmSync(directory, { recursive: true, force: true });
});

describe.skipIf(!canMount || !has('script') || !has('bash'))('fanotify run on a terminal', { timeout: 60_000 }, () => {
  it('lets Ctrl-C end the command, once', async () => {
    const wait = 'until [ "$line" = end ]; do read line; done';
    type(`${RUN} sh -c 'trap "echo interrupted" INT; echo up; ${wait}; echo over'\n`);
    await until(/\nup/);
    const texts: string[] = [];
    for (let times = 0; times < 2; times++) {
      type(CTRL_C);
      texts.push(await until(/interrupted/));
    }
    type('end\n');
    texts.push(await until(/\nover/));
    expect(texts.join('').match(/interrupted/g)).toHaveLength(2);
    await prompt();
    type(`${RUN} sh -c 'echo up; exec sleep 20'\n`);
    await until(/\nup/);
    type(CTRL_C);
    await prompt();
    expect(await status()).toBe(130);
  });

  it('stops with Ctrl-Z and goes on with fg', async () => {
    type(`${RUN} sh -c 'echo up; read line; echo "got $line"; exit 4'\n`);
    await until(/\nup/);
    type(CTRL_Z);
    await until(/Stopped/);
    await prompt();
    type('fg\n');
    await until(/read line/);
    type('word\n');
    await until(/got word/);
    await prompt();
    expect(await status()).toBe(4);
  });

  it('lets a shell have the terminal, with jobs of its own, and stops with it', async () => {
    type(`PS1='INNER> ' ${RUN} bash --norc --noprofile -i\n`);
    await until(/INNER> /);
    type(`sh -c 'echo up; exec sleep 30'\n`);
    await until(/\nup/);
    type(CTRL_Z);
    await until(/Stopped[\s\S]*INNER> /);
    type('suspend\n');
    await until(/Stopped[\s\S]*PROMPT> /);
    type('fg\n');
    await until(/norc/);
    type('echo "in$((1 + 1))"\n');
    await until(/\nin2/);
    type('exit 5\n');
    await until(/stopped jobs[\s\S]*INNER> /);
    type('exit 5\n');
    await prompt();
    expect(await status()).toBe(5);
  });

  it('leaves the terminal as the command has set it', async () => {
    type(`${RUN} stty -echo\n`);
    await prompt();
    type('stty -a; stty echo\n');
    expect(await until(/-echo [\s\S]*PROMPT> /)).toMatch(/-echo /);
  });

  it('says what it waits for, and ends that with Ctrl-C', async () => {
    type(`${RUN} sh -c 'sleep 1000 & exit 3'\n`);
    await until(/sh has ended; waiting for sleep\(\d+\); Ctrl-C ends them/);
    type(CTRL_C);
    await prompt();
    expect(await status()).toBe(3);
  });

  it.skipIf(!has('vi'))('lets an editor work', async () => {
    type(`TERM=xterm ${RUN} vi text\n`);
    await until(/text/);
    await until(/text/);
    type('ihello\x1b');
    await until(/hello/);
    type(':wq\n');
    await prompt();
    expect(existsSync(join(directory, 'text')) && readFileSync(join(directory, 'text'), 'utf8')).toBe('hello\n');
  });
});

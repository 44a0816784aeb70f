// `fanotify trace` beside the real fatrace, on the same workload, line by line where both can see it, and where one sees more.

import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { canMount, mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { type RunningCommand, start, tracing } from './command.ts';

const isInstalled = spawnSync('fatrace', ['--help']).error === undefined;
if (!isInstalled) console.error('No fatrace (package fatrace): nothing is compared with it.');

const LETTERS = /^[RCWO+D<>]+$/;

let mount: ScratchMount;
let root: string;
let log: string;
let shell: ChildProcessWithoutNullStreams;
let ours: RunningCommand;
let peer: RunningCommand;

const peerText = () => (existsSync(log) ? readFileSync(log, 'utf8') : '');

beforeEach(async () => {
  if (!isInstalled || !canMount) return;
  mount = mountTmpfs();
  root = mount.path;
  log = join(mkdtempSync(join(tmpdir(), 'fanotify-fatrace-')), 'log');
  // One process does everything, so that its name and number are the same for both, and it lives as long as anybody looks.
  shell = spawn('sh', [], { cwd: root });
  ours = await tracing(['-c'], { cwd: root });
  peer = start('fatrace', ['-c', '-o', log], { cwd: root });
  // It opens its file when its marks are placed.
  await ours.until(() => existsSync(log));
});

afterEach(() => {
  shell?.kill();
  peer?.kill('SIGKILL');
  mount?.unmount();
  if (log) rmSync(dirname(log), { recursive: true, force: true });
});

/** What a line tells: one entry for each letter, since both print whatever the kernel merged. */
type Told = readonly string[];

function toldIn(text: string): Told[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith(`sh(${shell.pid}): `))
    .map((line) => {
      const [types = '', ...path] = line.slice(`sh(${shell.pid}): `.length).split(/ +/);
      expect(types).toMatch(LETTERS);
      return [...types].map((letter) => `${letter} ${path.join(' ')}`);
    });
}

/** Ours as fatrace would have it: of what happens to an entry of a directory it knows the directory alone. */
function asFatrace(told: Told): Told {
  return told.map((one) => {
    const [letter = '', ...rest] = one.split(' ');
    const path = rest.join(' ');
    const [from = '', to = from] = path.split(' -> ');
    if (letter === '<') return `< ${dirname(from)}`;
    if (letter === '>') return `> ${dirname(to)}`;
    return letter === '+' || letter === 'D' ? `${letter} ${dirname(path)}` : one;
  });
}

/** Runs a step in the shell, and waits until both have told of it. */
async function step(number: number, script: string): Promise<void> {
  const end = `${root}/step-${number}`;
  shell.stdin.write(`${script}\n: > step-${number}\n`);
  const hasEnded = (text: string) => new RegExp(`: [RO+]*CW?[O+]* +${end}$`, 'm').test(text);
  await ours.until(({ stdout }) => hasEnded(stdout) && hasEnded(peerText()));
}

/** What was told between the ends of steps, as a set. */
function byStep(told: readonly Told[]): string[][] {
  const steps: string[][] = [[]];
  for (const one of told.flat()) {
    if (/\/step-\d+$/.test(one)) {
      if (steps.at(-1)?.length !== 0) steps.push([]);
    } else if (one !== `+ ${root}`) steps.at(-1)?.push(one);
  }
  return steps.map((some) => [...new Set(some)].sort()).filter((some) => some.length > 0);
}

describe.skipIf(!isInstalled || !canMount)('fanotify trace and fatrace', () => {
  it('print the same lines of what both can see', async () => {
    const steps = [
      'echo text > one',
      'read x < one',
      'echo more >> one',
      'exec 3< one; read x <&3; exec 3<&-',
      'for f in *; do :; done',
      'echo "x y" > "a name with blanks"',
      'read x < "a name with blanks"',
      'cd /; cd -; exec 3<> one; echo both >&3; exec 3<&-',
    ];
    for (const [number, script] of steps.entries()) await step(number, script);
    const own = byStep(toldIn(ours.stdout).map(asFatrace));
    expect(own.length).toBeGreaterThanOrEqual(6);
    expect(own).toEqual(byStep(toldIn(peerText())));
  });

  it('differ in what a name is worth: ours has those of what was made, renamed and deleted', async () => {
    // Processes of their own, which both may or may not be in time to name.
    spawnSync('sh', ['-c', 'mkdir dir; echo > dir/file; mv dir/file other; rm other'], { cwd: root });
    await step(1, ':');
    const pathsOf = (text: string, letter: string) =>
      text
        .split('\n')
        .map((line) => /^.*?\(\d+\): (\S+) +(.*)$/.exec(line))
        .filter((match) => match?.[1]?.includes(letter))
        .map((match) => match?.[2]);
    expect(pathsOf(ours.stdout, 'D')).toContain(`${root}/other`);
    expect(pathsOf(ours.stdout, '<')).toEqual([`${root}/dir/file -> ${root}/other`]);
    expect(pathsOf(ours.stdout, '+')).toContain(`${root}/dir/file`);
    const peers = peerText();
    expect(pathsOf(peers, 'D')).toContain(root);
    expect([...pathsOf(peers, '<'), ...pathsOf(peers, '>')].join()).not.toContain('file');
    expect(peers).not.toContain(`D   ${root}/other`);
  });

  it('differ in a loss: only ours says so', async () => {
    ours.kill('SIGSTOP');
    peer.kill('SIGSTOP');
    spawnSync('sh', ['-c', 'i=0; while [ $i -lt 20000 ]; do : > f$i; i=$((i+1)); done'], { cwd: root });
    ours.kill('SIGCONT');
    peer.kill('SIGCONT');
    await ours.until(({ stdout }) => /^! events after number \d+ were lost here/m.test(stdout));
    // Only when all that fitted has been read is there room for more.
    await ours.until(() => peerText().split('\n').length > 16_000);
    // fatrace 0.17 takes what an overflow has no bytes for from the memory behind it: it prints some other file, or ends.
    await Promise.race([step(1, ':'), peer.ended]);
    expect(peerText() + peer.stderr).not.toMatch(/lost|overflow/i);
  });
});

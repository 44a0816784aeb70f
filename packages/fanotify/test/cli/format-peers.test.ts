// `fanotify watch --format` beside the real fsnotifywait and inotifywait, line by line. Every step is one event, and the next waits
// until both have told it, so that nothing merges; what merges is made to while both are stopped.

import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { canMount, mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { type RunningCommand, start, watching } from './command.ts';

const isInstalled = spawnSync('fsnotifywait', ['--help']).error === undefined;
if (!isInstalled) console.error('No fsnotifywait (package inotify-tools): nothing is compared with it.');
// Not what a peer does itself when it looks into a new directory, which fanotify hears from every other process.
const EVENTS = ['create', 'modify', 'attrib', 'close_write', 'moved_from', 'moved_to', 'delete'];
const FORMAT = '%w|%f|%e|%:e|%%';
const LATIN = 'latin1';

let mount: ScratchMount;
let root: string;

beforeEach(() => {
  if (!isInstalled || !canMount) return;
  mount = mountTmpfs();
  root = `${mount.path}/root`;
  mkdirSync(`${root}/old`, { recursive: true });
  mkdirSync(`${root}/dir`);
  mkdirSync(`${mount.path}/outside`);
  writeFileSync(`${root}/kept`, '');
});

afterEach(() => mount?.unmount());

/** A peer and how it differs. */
interface Peer {
  readonly program: string;
  readonly args: readonly string[];
  /** It hears the whole file system, so the halves of renames outside too, which we leave out. */
  readonly hearsOutside?: true;
  /** It tells what happens to a directory twice: of the directory, and of the entry in the one above. */
  readonly tellsDirectoriesTwice?: true;
}

const PEERS: [string, Peer][] = [
  ['inotifywait -r', { program: 'inotifywait', args: ['-r'], tellsDirectoriesTwice: true }],
  ['fsnotifywait -r', { program: 'fsnotifywait', args: ['-F', '-r'] }],
  ['fsnotifywait -S', { program: 'fsnotifywait', args: ['-F', '-S'], hearsOutside: true }],
];

/** Lines as they are compared. */
function linesOf({ stdout }: RunningCommand, { hearsOutside, tellsDirectoriesTwice }: Partial<Peer> = {}): string[] {
  const lines = stdout
    .slice(0, stdout.lastIndexOf('\n') + 1)
    .split('\n')
    .slice(0, -1);
  return (
    lines
      // fsnotifywait prints what it learns of handles to the same output.
      .filter((line) => !line.startsWith('[fid='))
      // It asks /proc for names, and prints what that says of those that are gone.
      .map((line) => line.replace(/ \(deleted\)\|/, '|'))
      .filter((line) => !hearsOutside || line.startsWith(root))
      .filter((line) => !tellsDirectoriesTwice || !/\|[^|]+\|ATTRIB,ISDIR\|/.test(line))
  );
}

/** Both, watching `path`. */
async function beside(peer: Peer, path: string) {
  const events = EVENTS.flatMap((name) => ['-e', name]);
  // With -S it does not write line by line.
  const args = ['-oL', peer.program, '-m', ...peer.args, ...events, '--format', FORMAT, path];
  const theirs = start('stdbuf', args, { encoding: LATIN });
  await theirs.until(({ stderr }) => stderr.includes('Watches established'));
  const ours = await watching(['-r', '-e', EVENTS.join(','), '--format', FORMAT, root], { encoding: LATIN });
  return {
    theirs: () => linesOf(theirs, peer),
    ours: () => linesOf(ours),
    async both(lines: number) {
      await theirs.until(() => linesOf(theirs, peer).length >= lines);
      await ours.until(() => linesOf(ours).length >= lines);
    },
    signal(name: NodeJS.Signals) {
      for (const command of [theirs, ours]) command.kill(name);
    },
  };
}

/** One event each, and two for a rename inside. Nothing happens in new directories, where a peer may not listen yet. */
function steps(): [number, () => void][] {
  let fd = -1;
  const strange = Buffer.concat([Buffer.from(`${root}/dir/`), Buffer.from([0xff, 0x1b, 0x20, 0x7c, 0xc3, 0xbc])]);
  return [
    [1, () => mkdirSync(`${root}/made`)],
    [1, () => chmodSync(`${root}/dir`, 0o700)],
    [
      1,
      () => {
        fd = openSync(`${root}/dir/a`, 'wx');
      },
    ],
    [1, () => writeSync(fd, 'x')],
    [1, () => closeSync(fd)],
    [2, () => renameSync(`${root}/dir/a`, `${root}/dir/b`)],
    [2, () => renameSync(`${root}/dir/b`, `${root}/old/c d`)],
    [1, () => renameSync(`${root}/old/c d`, `${mount.path}/outside/e`)],
    [1, () => renameSync(`${mount.path}/outside/e`, `${root}/f`)],
    [2, () => renameSync(`${root}/f`, `${root}/kept`)],
    [1, () => symlinkSync('kept', `${root}/dir/symlink`)],
    [1, () => mkdirSync(strange)],
    [1, () => rmdirSync(strange)],
    [1, () => chmodSync(root, 0o700)],
    [2, () => renameSync(`${root}/old`, `${root}/new`)],
    [1, () => unlinkSync(`${root}/dir/symlink`)],
    [1, () => rmdirSync(`${root}/made`)],
  ];
}

describe.skipIf(!isInstalled || !canMount).each(PEERS)('beside %s', (_name, peer) => {
  it('prints the same lines', async () => {
    const { theirs, ours, both } = await beside(peer, peer.hearsOutside ? mount.path : root);
    for (const [lines, step] of steps()) {
      const before = ours().length;
      step();
      await both(before + lines);
    }
    expect(ours()).toEqual(theirs());
    expect(ours()).toHaveLength(steps().reduce((sum, [lines]) => sum + lines, 0));
  });

  it.skipIf(peer.program === 'inotifywait')('prints merged events the same', async () => {
    const { theirs, ours, both, signal } = await beside(peer, peer.hearsOutside ? mount.path : root);
    signal('SIGSTOP');
    writeFileSync(`${root}/a`, 'x');
    chmodSync(`${root}/a`, 0o600);
    appendFileSync(`${root}/kept`, 'x');
    chmodSync(`${root}/kept`, 0o600);
    signal('SIGCONT');
    await both(3);
    expect(ours()).toEqual(theirs());
    expect(ours().map((line) => line.replace(root, ''))).toEqual([
      '/|a|CREATE|CREATE|%',
      '/|a|MODIFY,ATTRIB,CLOSE_WRITE,CLOSE|MODIFY:ATTRIB:CLOSE_WRITE:CLOSE|%',
      '/|kept|MODIFY,ATTRIB,CLOSE_WRITE,CLOSE|MODIFY:ATTRIB:CLOSE_WRITE:CLOSE|%',
    ]);
  });
});

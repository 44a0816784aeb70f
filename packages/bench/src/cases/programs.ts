// Programs that people run in trees that are watched: git and npm, on a repository and packages that are made here.

import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Room } from '../room.ts';
import { type Case, madeOnce, runProgram } from './case.ts';

const FILES = 5_000;
const PACKAGES = 60;
const FILES_OF_PACKAGE = 40;

/** git checkout of another commit: of five files one stays, one changes, one moves, one goes, and one is where a directory was. */
export const gitCheckout: Case = {
  fileSystem: 'ext4',
  prepare: async (tree, room) => {
    const repository = await madeOnce(room, 'repository', (directory) => makeRepository(directory, room.scaled(FILES)));
    await runProgram('cp', ['-a', `${repository}/.`, tree]);
    await git(tree, 'update-index', '-q', '--refresh');
  },
  steps: [
    { key: 'git', label: 'git checkout', run: (tree) => git(tree, 'checkout', '-q', 'two') },
    { key: 'gitBack', label: 'and back', run: (tree) => git(tree, 'checkout', '-q', 'one') },
  ],
};

export const npmCi: Case = {
  fileSystem: 'tmpfs',
  prepare: async (tree, room) => {
    const project = await madeOnce(room, 'project', (directory) => makeProject(directory, room));
    await runProgram('cp', ['-a', `${project}/.`, tree]);
  },
  steps: [
    {
      key: 'npm',
      label: 'npm ci',
      run: (tree, room) => npm(tree, room, 'ci'),
    },
  ],
};

async function makeRepository(directory: string, files: number): Promise<void> {
  await mkdir(directory);
  await git(directory, 'init', '-q');
  const commit = async (
    name: string,
    fileAt: (index: number) => string | undefined,
    content: (index: number) => string,
  ) => {
    for (let index = 0; index < files; index++) {
      const at = fileAt(index);
      if (at !== undefined) write(join(directory, at), content(index));
    }
    await git(directory, 'add', '-A');
    await git(directory, 'commit', '-q', '-m', name);
    await git(directory, 'branch', name);
  };
  const at = (index: number) => `src/m${index % 200}/p${index % 7}/f${index}`;
  await commit('one', at, (index) => `first ${index}\n`);
  await rm(join(directory, 'src'), { recursive: true });
  await commit(
    'two',
    (index) => [at(index), at(index), `lib/m${index % 50}/f${index}`, undefined, `${at(index)}/in/it`][index % 5],
    (index) => `${index % 5 === 1 ? 'second' : 'first'} ${index}\n`,
  );
  await git(directory, 'checkout', '-q', 'one');
}

function git(directory: string, ...args: readonly string[]): Promise<void> {
  // Whatever is set here for others does not count.
  const nowhere = { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_SYSTEM: '/dev/null' };
  const settings = ['user.name=bench', 'user.email=bench@localhost', 'gc.auto=0', 'safe.directory=*'];
  const options = ['-C', directory, ...settings.flatMap((setting) => ['-c', setting])];
  return runProgram('git', [...options, ...args], { env: { ...process.env, ...nowhere } });
}

/** A project whose packages lie beside it as tarballs, so that no registry is asked. */
async function makeProject(directory: string, room: Room): Promise<void> {
  const dependencies: Record<string, string> = {};
  for (let index = 0; index < room.scaled(PACKAGES); index++) {
    const name = `bench-package-${index}`;
    const at = join(directory, '..', name, 'package');
    write(join(at, 'package.json'), JSON.stringify({ name, version: '1.0.0', bin: { [name]: 'bin/main.js' } }));
    write(join(at, 'bin/main.js'), '#!/usr/bin/env node\n');
    for (let file = 0; file < FILES_OF_PACKAGE; file++) write(join(at, `lib/d${file % 8}/f${file}.js`), `${index}\n`);
    mkdirSync(join(directory, 'packages'), { recursive: true });
    await runProgram('tar', ['-czf', join(directory, 'packages', `${name}.tgz`), '-C', dirname(at), 'package']);
    dependencies[name] = `file:packages/${name}.tgz`;
  }
  write(join(directory, 'package.json'), JSON.stringify({ name: 'bench-project', version: '1.0.0', dependencies }));
  await npm(directory, room, 'install', '--package-lock-only');
  // Once, so that every round finds the same cache.
  await npm(directory, room, 'ci');
  await rm(join(directory, 'node_modules'), { recursive: true });
}

function npm(directory: string, room: Room, ...args: readonly string[]): Promise<void> {
  const quiet = ['--offline', '--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier'];
  // Files that are not there: whatever is set here for others does not count.
  const own = ['cache', 'userconfig', 'globalconfig'].flatMap((one) => [`--${one}`, join(room.store, `npm-${one}`)]);
  return runProgram('npm', [...args, ...quiet, ...own], { cwd: directory });
}

function write(path: string, content: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

// Who watches beside whom: watch() with each of its baselines, as root and as an ordinary user, and the watchers that people have.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type Contestant, identity, libraryProgram, type Skipped, versionOf } from './contestant.ts';

const NOBODY = 65_534;

/** Node.js with a consumer and no watcher. */
export const NOBODY_WATCHES = libraryProgram('nobody', 'watcher', 'nothing');

export const OURS = ['none', 'memory', 'file'].map((baseline) => ours(`watch(), baseline ${baseline}`, baseline));

/** The last has the default baseline. */
export const OURS_WITHOUT_PRIVILEGE = ['none', 'file'].map(withoutPrivilege);

/** Served by a daemon, with each baseline. */
export const OURS_THROUGH_DAEMON = ['none', 'file'].map((baseline) => {
  const contestant = withoutPrivilege(baseline);
  const name = `watch(), ordinary user, fanotifyd, baseline ${baseline}`;
  return 'command' in contestant ? { ...contestant, name, daemon: true as const } : { ...contestant, name };
});

export const NSFW = library('nsfw', 'nsfw');

export function peers(): (Contestant | Skipped)[] {
  return [
    library('chokidar', 'chokidar'),
    library('@parcel/watcher', 'parcel'),
    NSFW,
    libraryProgram('fs.watch, recursive', 'watcher', 'fs-watch'),
    program('fsnotifywait', 'inotify-tools', '-S'),
    program('inotifywait', 'inotify-tools', '-r'),
    program('watchman', 'watchman'),
  ];
}

function ours(name: string, baseline: string): Contestant {
  return libraryProgram(name, 'watcher', 'ours', baseline);
}

function withoutPrivilege(baseline: string): Contestant | Skipped {
  const contestant = { ...ours(`watch(), ordinary user, baseline ${baseline}`, baseline), user: NOBODY };
  const files = [...contestant.command.slice(1, 2), createRequire(import.meta.url).resolve('fanotify/package.json')];
  const isReadable = (file: string) => {
    return spawnSync('setpriv', [...identity(NOBODY), 'test', '-r', file], { stdio: 'ignore' }).status === 0;
  };
  const hidden = files.find((file) => !isReadable(file));
  return hidden === undefined ? contestant : { name: contestant.name, because: `user ${NOBODY} cannot read ${hidden}` };
}

/** A package of npm, with its version in its name. */
function library(name: string, watcher: string): Contestant | Skipped {
  try {
    // Not every package exports its manifest: it is looked for where Node.js looks.
    const require = createRequire(import.meta.url);
    const [manifest] = (require.resolve.paths(name) ?? []).flatMap((place) => manifestIn(`${place}/${name}`));
    require.resolve(name);
    return libraryProgram(`${name} ${manifest?.version}`, 'watcher', watcher);
  } catch {
    return { name, because: `not installed: npm install ${name}` };
  }
}

function manifestIn(directory: string): { version: string }[] {
  try {
    return [JSON.parse(readFileSync(`${directory}/package.json`, 'utf8')) as { version: string }];
  } catch {
    return [];
  }
}

/** A program of a Debian package. */
function program(command: string, debianPackage: string, ...shown: readonly string[]): Contestant | Skipped {
  const found = spawnSync('sh', ['-c', 'command -v "$1"', 'sh', command], { stdio: 'ignore' });
  if (found.status !== 0) return { name: command, because: `not installed: apt-get install ${debianPackage}` };
  const name = [command, versionOf(debianPackage), ...shown].filter((word) => word !== undefined).join(' ');
  const watcher = debianPackage === 'inotify-tools' ? ['notifywait', command] : [command];
  return libraryProgram(name, 'watcher', ...watcher);
}

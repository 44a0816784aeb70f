// What a policy over everything that a build opens costs the build.

import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { attend } from '../attend.ts';
import { type Contestant, libraryProgram, nothingMarked } from '../contestant.ts';
import { furnishHouse, runInHouse } from '../house.ts';
import type { Room } from '../room.ts';
import type { Sample, Scenario } from '../scenario.ts';
import { readDecisions } from '../told.ts';
import { copyWorkspace, makeProject } from './run.ts';

const SOURCES = 200;
const ROOT = 0;
const NOBODY = 65_534;
const BARE = 'no policy';
const BARE_USER = "no policy, an ordinary user's";
const WARM = 'policy, warm';

/** Who builds how often under which guard; the last build is the one that is measured. */
const BUILDS: Readonly<Record<string, { readonly user: number; readonly builds: number; readonly trust?: 'nobody' }>> =
  {
    [BARE]: { user: ROOT, builds: 2 },
    [WARM]: { user: ROOT, builds: 2 },
    'policy, cold': { user: ROOT, builds: 1 },
    "policy, trust: 'nobody'": { user: ROOT, builds: 2, trust: 'nobody' },
    [BARE_USER]: { user: NOBODY, builds: 2 },
    "policy, an ordinary user's": { user: NOBODY, builds: 2 },
  };

/** Something to build, in a directory of the house. */
interface Project {
  prepare(directory: string): void;
  /** Removes what a build makes. */
  clear(directory: string): void;
  readonly command: readonly string[];
}

export const policyMake: Scenario = scenarioOf(
  'policy-make',
  'A make build under a policy',
  `make -j2 of a C program of ${SOURCES} files`,
  {
    prepare: (directory) => makeProject(directory, SOURCES),
    clear: (directory) => rmSync(join(directory, 'obj'), { recursive: true, force: true }),
    command: ['make', '-s', '-j2'],
  },
);

export const policyNpmCi: Scenario = scenarioOf(
  'policy-npm-ci',
  'npm ci under a policy',
  "npm ci --offline of the dependencies of this workspace, from a cache in the project's directory",
  {
    prepare: (directory) => copyWorkspace(directory, join(directory, 'cache')),
    clear: (directory) => rmSync(join(directory, 'node_modules'), { recursive: true, force: true }),
    command: ['npm', 'ci', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', '--cache', './cache'],
  },
);

function scenarioOf(name: string, title: string, what: string, project: Project): Scenario {
  return {
    name,
    title,
    about: () =>
      `${what}. Compiler, Node.js, libraries, headers, sources and what is built are on one file system (a tmpfs, with chroot), and every open and execution ` +
      "on it is decided by a policy of eight rules that read paths, modes and owners. Tools are root's; sources are of whoever builds. Warm: the same was built " +
      'once before, under the same guard, and what that made was removed. Decided: opens and executions that were asked about, in all builds of a measurement.',
    metrics: [
      { key: 'seconds', label: 'time', unit: 's', digits: 2 },
      { key: 'decisions', label: 'decided', unit: '', digits: 0 },
      { key: 'ignored', label: 'files ignored', unit: '', digits: 0 },
    ],
    comparisons: [
      { metric: 'seconds', against: BARE, label: 'against no policy' },
      { metric: 'seconds', against: BARE_USER, label: "against no policy, an ordinary user's" },
    ],
    targets: [{ contestant: WARM, metric: 'seconds', against: BARE, atMost: 1.03 }],
    contestants: (room) =>
      Object.entries(BUILDS).map(([contestant, { trust = 'root' }]) =>
        contestant === BARE || contestant === BARE_USER
          ? nothingMarked(contestant)
          : libraryProgram(contestant, 'decide', '--policy', policyOf(room), '--trust', trust),
      ),
    prepare: (room) => {
      furnishHouse(room.watched);
      for (const user of [ROOT, NOBODY]) {
        const directory = join(room.watched, directoryOf(user));
        mkdirSync(directory);
        project.prepare(directory);
        execFileSync('chown', ['-R', `${user}:${user}`, directory]);
      }
    },
    measure: (contestant, room) => measure(contestant, room, project),
  };
}

async function measure(contestant: Contestant, room: Room, project: Project): Promise<Sample> {
  const { user, builds } = BUILDS[contestant.name] ?? { user: ROOT, builds: 1 };
  const directory = join(room.watched, directoryOf(user));
  writeFileSync(policyOf(room), policyText(room.watched));
  const { result: seconds, outputFile } = await attend(contestant, room, async () => {
    let last = 0;
    for (let build = 0; build < builds; build++) {
      project.clear(directory);
      last = await runInHouse(room.watched, user, `/${directoryOf(user)}`, ...project.command);
    }
    return last;
  });
  if (contestant.marksNothing) return { figures: { seconds } };
  const { decisions, ignored } = readDecisions(outputFile);
  return { figures: { seconds, decisions, ...(ignored !== undefined && { ignored }) } };
}

const directoryOf = (user: number) => (user === ROOT ? 'roots' : 'users');
const policyOf = (room: Room) => join(room.output, 'policy.yaml');

function policyText(house: string): string {
  return `version: 1
default: allow
sets:
  tools: [${house}/usr/bin/**, ${house}/usr/lib/**, ${house}/usr/lib64/**, ${house}/usr/libexec/**]
rules:
  - { name: no setuid programs but the tools, on: [open, openExec], path: ['**', '!$tools'], mode: setuid, action: deny }
  - { name: secrets, path: [${house}/etc/shadow, ${house}/etc/ssh/**, '*.pem', '*.key'], owner: root, mode: '!worldWritable', action: allow }
  - { name: nothing runs from the temporary directory, on: openExec, path: ${house}/tmp/**, action: deny }
  - { name: tools, path: $tools, owner: root, action: allow }
  - { name: headers, path: ${house}/usr/include/**, action: allow }
  - { name: programs of Windows, path: ['*.exe', '*.dll', '*.scr'], action: deny }
  - { name: large, size: '>1G', action: deny }
  - { name: projects, path: [${house}/roots/**, ${house}/users/**], action: allow }
`;
}

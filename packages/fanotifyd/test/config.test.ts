// What a configuration may say, what is said of one that says something else, and who may do what by it.

import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, describe, expect, test } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { type Config, defaultConfig, loadConfig, needsRestart, parseConfig, rightsOf } from '../src/config/config.ts';
import { ConfigError } from '../src/config/config-text.ts';
import { explainConfig } from '../src/config/explain.ts';
import { USUAL_LIMITS } from '../src/config/limits.ts';
import { Accounts } from '../src/config/values.ts';

const directory = mkdtempSync(join(tmpdir(), 'fanotifyd-config-'));
afterAll(() => rmSync(directory, { recursive: true }));
writeFileSync(join(directory, 'passwd'), 'root:x:0:0::/root:/bin/sh\nanna:x:1000:1000::/:/bin/sh\nbroken\n');
writeFileSync(join(directory, 'group'), 'root:x:0:\nstaff:x:50:anna\n');
mkdirSync(join(directory, 'srv'));
symlinkSync('srv', join(directory, 'link'));
const accounts = new Accounts(join(directory, 'passwd'), join(directory, 'group'));
const srv = join(directory, 'srv');

function parse(text: string): Config {
  return parseConfig(text, 'fanotifyd.yaml', [], accounts);
}

/** What is wrong, as `line:column sentence`. */
function problemsOf(text: string): string[] {
  return detailsOf(text).map(({ line, column, message, severity }) => {
    return `${line}:${column} ${severity === 'warning' ? 'warning: ' : ''}${message}`;
  });
}

function detailsOf(text: string) {
  try {
    return parse(text).warnings;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems;
  }
}

const WHOLE = `
version: 1
socket: { path: /run/it/socket, mode: '0660', group: staff }
admin: /run/it/admin
metrics: { socket: /run/it/metrics, mode: '640', group: 50 }
log: { level: warn, format: json }
stuckAfterMs: 2000
limits: { groups: 4, marks: 10, queueBytes: 100000, descriptors: 5, pending: 6, requestsPerSecond: 7, longestMs: 8 }
grants:
  - { users: anna, under: ${srv}/, all: true, pids: true }
  - { groups: [staff, 77], decide: true, limits: { groups: 9, marks: 3 } }
  - { users: [anna, 5], groups: root, system: true, limits: { groups: 6 } }
`;

test('a configuration that says everything is read', () => {
  const config = parse(WHOLE);
  expect(config).toEqual({
    socket: { path: '/run/it/socket', mode: 0o660, gid: 50 },
    admin: '/run/it/admin',
    metrics: { path: '/run/it/metrics', mode: 0o640, gid: 50 },
    log: { level: 'warn', format: 'json' },
    stuckAfterMs: 2_000,
    limits: {
      groups: 4,
      marks: 10,
      queueBytes: 100_000,
      descriptors: 5,
      pending: 6,
      requestsPerSecond: 7,
      longestMs: 8,
    },
    grants: [
      {
        line: 10,
        uids: [1000],
        gids: [],
        grant: { under: [srv], all: true, decide: false, system: false, pids: true },
        limits: {},
      },
      {
        line: 11,
        uids: [],
        gids: [50, 77],
        grant: { under: null, all: false, decide: true, system: false, pids: false },
        limits: { groups: 9, marks: 3 },
      },
      {
        line: 12,
        uids: [1000, 5],
        gids: [0],
        grant: { under: null, all: false, decide: false, system: true, pids: false },
        limits: { groups: 6 },
      },
    ],
    warnings: [],
  });
});

test('without a file nobody is granted anything, and the socket is open to all', () => {
  const config = defaultConfig();
  expect(config).toMatchObject({
    socket: { path: '/run/fanotifyd/socket', mode: 0o666, gid: undefined },
    admin: '/run/fanotifyd/admin',
    metrics: undefined,
    limits: USUAL_LIMITS,
    grants: [],
    warnings: [],
  });
  const { groups: most, ...limits } = USUAL_LIMITS;
  const root = { pid: 1, uid: 0, gid: 0, groups: [] };
  expect(rightsOf(config, root)).toEqual({ rights: { peer: root, grants: [], limits }, groups: most });
});

test('a client has the grants of its user and of all its groups, in their order, and the largest of their limits', () => {
  const config = parse(WHOLE);
  const powersOf = (uid: number, gid: number, groups: number[]) => {
    const { rights, groups: most } = rightsOf(config, { pid: 1, uid, gid, groups });
    const names = rights.grants.map((grant) =>
      Object.entries(grant)
        .filter(([, value]) => value === true)
        .map(([name]) => name),
    );
    return { names, most, marks: rights.limits.marks };
  };
  expect(powersOf(2000, 2000, [])).toEqual({ names: [], most: 4, marks: 10 });
  expect(powersOf(2000, 77, [])).toEqual({ names: [['decide']], most: 9, marks: 3 });
  expect(powersOf(1000, 1000, [3, 50])).toEqual({
    names: [['all', 'pids'], ['decide'], ['system']],
    most: 9,
    marks: 3,
  });
  expect(powersOf(5, 5, [])).toEqual({ names: [['system']], most: 6, marks: 10 });
});

test('a grant of limits alone gives no power', () => {
  const config = parse('version: 1\ngrants:\n  - { users: 5, limits: { groups: 100 } }\n');
  const { rights, groups } = rightsOf(config, { pid: 1, uid: 5, gid: 5, groups: [] });
  expect([rights.grants, groups]).toEqual([[], 100]);
});

// Whether the schema takes it must be the same: what is about the shape, it says too.
const BAD: readonly (readonly [text: string, ...problems: string[]])[] = [
  ['', "1:1 nothing is said here: a configuration begins with 'version: 1'"],
  ['- version: 1', "1:1 a configuration is written as 'name: value' lines"],
  ['socket: {}', "1:1 a configuration begins with 'version: 1'"],
  ['version: 2', "1:10 this daemon knows version 1: say 'version: 1'"],
  [
    'version: 1\ngrant: []\nsomething: 1',
    "2:1 a configuration has no 'grant': did you mean 'grants'?",
    "3:1 a configuration has no 'something': it has version, socket, admin, metrics, log, stuckAfterMs, limits, grants",
  ],
  ['version: 1\nadmin:', "2:1 'admin' has no value: give it one, or leave it out"],
  ['version: 1\nadmin: run/x', "2:8 a socket's path is absolute: begin with '/'"],
  ["version: 1\nsocket: { mode: '999' }", "2:17 a mode is written as chmod(1) takes it, in quotes: '0660'"],
  ['version: 1\nsocket: { mode: 0660 }', "2:17 a mode is written as chmod(1) takes it, in quotes: '0660'"],
  ['version: 1\nmetrics: {}', "2:10 say where metrics are told: 'socket' and a path, or 'port' and a number"],
  ['version: 1\nmetrics: { port: 80, socket: /x }', "2:10 metrics are told in one place: 'socket', or 'port'"],
  ["version: 1\nmetrics: { port: 80, mode: '600' }", "2:28 'mode' is of a socket"],
  ['version: 1\nmetrics: { port: 65536 }', "2:18 'port' is a whole number from 1 to 65,535"],
  [
    'version: 1\nmetrics: { port: 80, address: 0.0.0.0 }',
    "2:31 metrics are told to this machine alone: 'address' is 127.0.0.1 or '::1'",
  ],
  ['version: 1\nlog: { level: loud }', '2:15 there is no such level: it is error, warn, info or debug'],
  ['version: 1\nlog: { format: xml }', '2:16 there is no such format: it is text or json'],
  ['version: 1\nstuckAfterMs: 1', "2:15 'stuckAfterMs' is a whole number from 200 to 60,000"],
  ['version: 1\nlimits: { marks: 1.5 }', "2:18 'marks' is a whole number from 1 to 1,000,000"],
  ['version: 1\nlimits: { mark: 1 }', "2:11 'limits' has no 'mark': did you mean 'marks'?"],
  ['version: 1\ngrants: { users: 1, all: true }', "2:9 'grants' is a list: a line that begins with '-' for each"],
  ['version: 1\ngrants: []', '2:9 it is an empty list: leave it out, or say what is in it'],
  ['version: 1\ngrants:\n  - all: true', "3:5 a grant says whose it is: 'users', 'groups', or both"],
  ['version: 1\ngrants:\n  - { users: [], all: true }', '3:14 it is an empty list: leave it out, or say what is in it'],
  ['version: 1\ngrants:\n  - { users: -1, all: true }', '3:14 a user is a name, or a number'],
  ['version: 1\ngrants:\n  - { users: 1, all: maybe }', "3:22 'all' is true or false"],
  [
    'version: 1\ngrants:\n  - { users: 1, all: true, under: srv }',
    "3:35 what a grant is under is absolute: begin with '/'",
  ],
];

const MEANINGLESS: readonly (readonly [text: string, ...problems: string[]])[] = [
  [
    'version: 1\ngrants:\n  - { users: ana, groups: stuff, all: true }',
    `3:14 there is no user 'ana' in ${directory}/passwd: write its number, if it is known elsewhere`,
    `3:27 there is no group 'stuff' in ${directory}/group: write its number, if it is known elsewhere`,
  ],
  [
    'version: 1\ngrants:\n  - { users: 1, all: false }',
    "3:5 this grants nothing: say 'all', 'decide', 'system' or 'pids' to be true, or 'limits'",
  ],
  [
    'version: 1\ngrants:\n  - { users: 1, system: true, under: /var/.. }',
    "3:38 what a grant is under goes up by '..': write where it leads",
    "3:25 'system' is of whole file systems: leave 'under' out, or 'system'",
  ],
  [
    `version: 1\ngrants:\n  - { users: 1, all: true, under: ${directory}/link }`,
    `3:35 "${directory}/link" leads through a symbolic link, and grants are of where directories are: write "${srv}"`,
  ],
  [`version: 1\nadmin: /${'x'.repeat(107)}`, "2:8 a socket's path has at most 107 bytes"],
  [
    'version: 1\nsocket: { path: /run/fanotifyd/admin }\nmetrics: { socket: /run/fanotifyd/admin }',
    "2:9 'admin' and 'socket' are at the same path: say another for one of them",
    "3:10 'metrics' and 'socket' are at the same path: say another for one of them",
    "3:10 'metrics' and 'admin' are at the same path: say another for one of them",
  ],
];

const WARNED: readonly (readonly [text: string, ...problems: string[]])[] = [
  [
    'version: 1\ngrants:\n  - { users: 1, all: true, under: /is/not/there }',
    '3:35 warning: "/is/not/there" is not there now',
  ],
  [
    `version: 1\ngrants:\n  - { users: 1, limits: { groups: 1 }, under: ${srv} }`,
    "3:47 warning: 'limits' are those of a user wherever its marks are: 'under' says nothing here",
  ],
  [
    `version: 1\ngrants:\n  - { users: 1, all: true, under: ${directory}/passwd }`,
    `3:35 warning: "${directory}/passwd" is no directory`,
  ],
];

const sorted = (problems: readonly string[]) => [...problems].sort();

test.each([...BAD, ...MEANINGLESS, ...WARNED])('%j is told', (text, ...problems) => {
  expect(sorted(problemsOf(text))).toEqual(sorted(problems));
});

test('all that is wrong is told at once, in the order of lines', () => {
  const found = problemsOf(
    'version: 1\nadmin: x\nlog: { level: loud }\ngrants:\n  - { users: nobody-here, al: true }\n',
  );
  expect(found.map((problem) => problem.replace(/:.*/, ''))).toEqual(['2', '3', '5', '5', '5']);
});

test('grants that do not fit into a message are told', () => {
  const under = Array.from({ length: 150 }, (_, index) => `/${String(index).padStart(219, '0')}`);
  const found = problemsOf(JSON.stringify({ version: 1, grants: [{ users: 1, all: true, under }] }));
  const message = 'the paths of all grants have 33000 bytes, and may have 32768: name what is above them';
  expect(found.filter((problem) => !problem.includes('warning'))).toEqual([`1:23 ${message}`]);
});

test('what is no YAML is told with its place', () => {
  expect(problemsOf('version: 1\n\tadmin: x')[0]).toMatch(/^2:1 this is no YAML: /);
  expect(problemsOf('version: 1\nversion: 1')).toEqual(['2:1 this name is given twice: keep one of them']);
  expect(problemsOf('version: 1\n---\nversion: 1')[0]).toBe("2:1 a configuration is one document: remove '---'");
  expect(problemsOf('version: &a 1\nstuckAfterMs: *a')[0]).toMatch(/^2:15 '\*' begins an alias/);
});

describe('the schema', () => {
  const schema = JSON.parse(readFileSync(join(import.meta.dirname, '../fanotifyd.schema.json'), 'utf8')) as object;
  const validate = new Ajv2020({ allErrors: true }).compile(schema);

  test.each(BAD)('refuses %j', (text) => {
    expect(validate(parseYaml(text))).toBe(false);
    expect(detailsOf(text).some(({ about }) => about === 'shape')).toBe(true);
  });

  test.each([[WHOLE], ['version: 1'], ...MEANINGLESS.map(([text]) => [text]), ...WARNED.map(([text]) => [text])])(
    'takes %j',
    (text) => {
      expect(validate(parseYaml(text)), JSON.stringify(validate.errors)).toBe(true);
      expect(detailsOf(text).every(({ about }) => about === 'meaning')).toBe(true);
    },
  );
});

test('what it means is said in sentences', () => {
  const lines = explainConfig(parse(WHOLE), accounts);
  expect(lines).toContain('Clients connect at /run/it/socket, mode 0660, group staff (or where the socket unit says).');
  expect(lines).toContain('Metrics also at /run/it/metrics, mode 0640, group staff.');
  expect(lines).toContain('Grant 2 (line 11) of group staff (50), group 77:');
  expect(lines).toContain('  Everywhere: holds accesses, and decides on them.');
  expect(lines).toContain('  At most 9 groups of one user, 3 marks of a group.');
  expect(explainConfig(defaultConfig(), accounts).at(-1)).toBe('Nobody is granted more.');
});

test('what takes a restart is known', () => {
  const text = 'version: 1\nmetrics: { port: 1 }\nlog: { level: warn }';
  expect(needsRestart(parse(text), parse('version: 1\nadmin: /x'))).toEqual(['admin', 'metrics']);
  expect(needsRestart(parse(text), parse('version: 1\nmetrics: { port: 1 }'))).toEqual([]);
});

describe('the file', () => {
  const file = join(directory, 'fanotifyd.yaml');

  test('has to be there, and to be a file', () => {
    expect(() => loadConfig(join(directory, 'none.yaml'))).toThrow(
      'none.yaml:1:1: the configuration cannot be read: it does not exist',
    );
    expect(() => loadConfig(srv)).toThrow('the configuration cannot be read: it is no file');
  });

  test('is refused where others can write it, or put another in its place', () => {
    writeFileSync(file, 'version: 1\n');
    chmodSync(file, 0o644);
    expect(loadConfig(file).warnings).toEqual([]);
    chmodSync(file, 0o664);
    expect(() => loadConfig(file)).toThrow(`others than its owner can write ${file}: chmod go-w ${file}`);
    expect(loadConfig(file, 'warn').warnings).toHaveLength(1);
    chmodSync(file, 0o644);
    chmodSync(directory, 0o777);
    try {
      expect(() => loadConfig(file)).toThrow(`others than its owner can write ${directory}`);
    } finally {
      chmodSync(directory, 0o755);
    }
  });

  test('is refused where others can put another link in the place of one on the way', () => {
    const place = mkdtempSync(join(tmpdir(), 'fanotifyd-links-'));
    try {
      for (const name of ['safe', 'open', 'real']) mkdirSync(join(place, name));
      writeFileSync(join(place, 'real/it.yaml'), 'version: 1\n', { mode: 0o644 });
      symlinkSync('../open/link', join(place, 'safe/way'));
      symlinkSync(join(place, 'real/../real'), join(place, 'open/link'));
      const named = join(place, 'safe/way/it.yaml');
      expect(loadConfig(named).warnings).toEqual([]);
      chmodSync(join(place, 'open'), 0o777);
      expect(() => loadConfig(named)).toThrow(`others than its owner can write ${join(place, 'open')}: chmod go-w`);
      // Another cannot be put there; but this one is as good as whose it is.
      chmodSync(join(place, 'open'), 0o1777);
      expect(loadConfig(named).warnings).toEqual([]);
      if (process.getuid?.() !== 0) return;
      lchownSync(join(place, 'open/link'), 12_345, 0);
      expect(() => loadConfig(named)).toThrow(
        `${join(place, 'open/link')} belongs to user 12345, who could grant anything: chown -h root`,
      );
    } finally {
      rmSync(place, { recursive: true });
    }
  });

  test.runIf(process.getuid?.() === 0)('is refused where it belongs to a user', () => {
    writeFileSync(file, 'version: 1\n');
    chownSync(file, 12_345, 0);
    expect(() => loadConfig(file)).toThrow(
      `${file} belongs to user 12345, who could grant anything: chown root ${file}`,
    );
  });
});

// `fanotify guard --policy`, the real command, where it marks nothing: as an ordinary user.

import { chmodSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type Ended, fanotify } from './command.ts';

const directory = realpathSync(mkdtempSync(join(tmpdir(), 'policy-cli-')));
chmodSync(directory, 0o755);
afterAll(() => rmSync(directory, { recursive: true }));
const policy = written(
  'policy.yaml',
  `version: 1
rules:
  - { name: readers, path: '${directory}/log', exe: ${realpathSync(process.execPath)}, action: allow }
  - { name: logs, path: '${directory}/**', uid: '!4242', action: deny, errno: EIO, message: not yours }
`,
);
const log = written('log', '{}\n');

function written(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const run = (...args: string[]): Promise<Ended> => fanotify(['guard', '--policy', ...args], { asNobody: true }).ended;

describe('--check', () => {
  test('a policy that is fine', async () => {
    const { code, stdout } = await run(policy, '--check');
    expect(stdout).toMatch(new RegExp(`^${policy}: 2 rules, 0 errors, 0 warnings\nsha256 [0-9a-f]{64}\n$`));
    expect(code).toBe(0);
  });

  test('one that is not: a line for each problem, and status 1', async () => {
    const bad = written(
      'bad.yaml',
      'version: 1\nrules:\n  - { pth: /a, action: deny }\n  - { path: a/b, action: deny }\n',
    );
    const { code, stdout } = await run(bad, '--check');
    expect(stdout.split('\n')).toEqual([
      `${bad}:3:7: a rule has no 'pth': did you mean 'path'?`,
      expect.stringMatching(/bad\.yaml:4:13: the glob "a\/b" cannot be used: paths are absolute/),
      `${bad}: no policy, 2 errors, 0 warnings`,
      '',
    ]);
    expect(code).toBe(1);
    const told = JSON.parse((await run(bad, '--check', '--json')).stdout);
    expect(told).toMatchObject({
      file: bad,
      identity: null,
      problems: [{ line: 3, column: 7, severity: 'error' }, { line: 4 }],
    });
    const { stderr } = await run(bad, '--explain', '/');
    expect(stderr.split('\n')).toHaveLength(3);
  });
});

describe('--explain', () => {
  test('says which rule decides, and why not those before', async () => {
    const { code, stdout } = await run(policy, '--explain', log, '--exe', '/nowhere/cat', '--uid', '5');
    expect(stdout.split('\n')).toEqual([
      expect.stringMatching(/^line 3 {2}"readers" {2}no: exe \/nowhere\/cat is not \/.*/),
      'line 4  "logs"  matches',
      `deny (EIO)  open  ${log}  by "logs" in line 4`,
      'read: path, process; the answer is kept nowhere, since it is about who asks',
      '',
    ]);
    expect(code).toBe(0);
    const json = JSON.parse((await run(policy, '--explain', log, '--exe', process.execPath, '--json')).stdout);
    expect(json).toMatchObject({
      action: 'allow',
      rule: { name: 'readers', line: 3 },
      reads: ['path', 'process'],
      notes: [],
    });
  });

  test('says what was not said', async () => {
    const { stdout } = await run(policy, '--explain', log);
    expect(stdout).toMatch(/--exe is not said: the executable is taken as not known/);
    const { stderr, code } = await run(policy, '--explain', log, '--uid', 'rot');
    expect([code, stderr]).toEqual([1, expect.stringMatching(/no user "rot" here: did you mean 'root'/)]);
  });
});

describe('--replay', () => {
  test('says what would change, with status 3', async () => {
    const record = { timeMs: 1, verdict: 'allow', by: 'default', kind: 'open', pid: 1, heldUs: 1, uid: 7, gids: [7] };
    const records = written(
      'records',
      `${JSON.stringify({ ...record, file: { state: 'here', path: `${directory}/x` } })}\nnonsense\n${JSON.stringify({ ...record, file: { state: 'here', path: '/etc' } })}\n${JSON.stringify({ ...record, file: { state: 'here', path: log } })}\n`,
    );
    const { code, stdout } = await run(policy, '--replay', records);
    expect(stdout.split('\n')).toEqual([
      `${records}:1: allow -> deny by "logs" in line 4  open  ${directory}/x`,
      `${records}:2: no record of a decision: it is no JSON`,
      'cannot be told: 1, since exe is not in the log, and a rule asks for it',
      '1 would change, 1 would not, 1 cannot be told, 1 lines are no records',
      '',
    ]);
    expect(code).toBe(3);
    const { stdout: json } = await run(policy, '--replay', records, '--json');
    expect(JSON.parse(json.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({
      sums: { changed: 1, same: 1, unknown: 1, noRecord: 1 },
    });
    expect((await run(policy, '--replay', join(directory, 'nowhere'))).stderr).toMatch(/it does not exist/);
  });
});

test('what does not go together is refused', async () => {
  const refused = async (why: RegExp, ...args: string[]) => {
    const { code, stderr } = await fanotify(['guard', ...args], { asNobody: true }).ended;
    expect([code, stderr]).toEqual([1, expect.stringMatching(why)]);
  };
  await Promise.all([
    refused(/--check is about a policy/, '--check', '/srv'),
    refused(/one at a time/, '--policy', policy, '--check', '--explain', '/'),
    refused(/goes with --policy alone/, '--policy', policy, '--check', '--deny', 'x'),
    refused(/--exe goes with --explain/, '--policy', policy, '--check', '--exe', '/x'),
    refused(/takes no PATH/, '--policy', policy, '--explain', '/x', '/srv'),
  ]);
});

// What --check, --explain and --replay say, without the command.

import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { checkPolicy } from '../../../src/decision/policy/check.ts';
import { explainDecision } from '../../../src/decision/policy/explain.ts';
import { Replayer } from '../../../src/decision/policy/replay.ts';
import type { Subject } from '../../../src/decision/policy/subject.ts';
import type { DecisionRecord } from '../../../src/decision/record.ts';
import { parsePolicy } from '../../../src/index.ts';

const directory = realpathSync(mkdtempSync(join(tmpdir(), 'policy-check-')));
afterAll(() => rmSync(directory, { recursive: true }));
mkdirSync(join(directory, 'a/deep'), { recursive: true });
writeFileSync(join(directory, 'a/deep/x.txt'), '');
writeFileSync(join(directory, 'line\nend.exe'), '');
symlinkSync(join(directory, 'a'), join(directory, 'link'));

/** A policy of rules, each a line from line 3. */
function policyOf(...rules: string[]) {
  return parsePolicy(
    `version: 1\nrules:\n${rules.map((rule) => `  - { ${rule} }`).join('\n')}\nscan: { clamd: /run/x }\n`,
    {
      accounts: { users: new Map([['root', 0]]), groups: new Map() },
    },
  );
}

/** What a check says of rules, as `line severity message`. */
function checked(rules: string[], guarded: string[] = [directory]): string[] {
  return checkPolicy(policyOf(...rules), guarded).map(
    ({ line, severity, message }) => `${line} ${severity} ${message}`,
  );
}

describe('rules that never decide', () => {
  const reached = (...rules: string[]) =>
    checked(rules)
      .filter((text) => / error /.test(text))
      .map((text) => Number(text.split(' ')[0]));

  test('are found by what is before them', () => {
    expect(reached("path: '/**', action: deny", 'path: /a/b, uid: 5, action: allow')).toEqual([4]);
    expect(reached("path: '*.txt', action: deny", "path: ['/a/x.txt', '/b/*.txt', y.txt], action: ask")).toEqual([4]);
    expect(reached('uid: 0-10, action: deny', 'uid: [3-4, root], action: deny', 'uid: 5-11, action: deny')).toEqual([
      4,
    ]);
    expect(reached("size: '>1k', action: deny", "size: '>2k', action: deny", "size: '<2k', action: deny")).toEqual([4]);
    expect(
      reached('on: open, action: deny', 'on: [open, openExec], action: deny', 'on: open, uid: 1, action: deny'),
    ).toEqual([5]);
    expect(reached('container: any, action: deny', 'container: docker, action: deny')).toEqual([4]);
    expect(reached('action: allow', 'action: deny')).toEqual([4]);
  });

  test('are not those that see what an allow does not', () => {
    expect(reached("path: '/**', action: allow", "path: '/**', action: deny")).toEqual([]);
    expect(reached('uid: root, action: allow', 'uid: root, action: deny')).toEqual([]);
    expect(reached("path: '!/a', action: allow", "path: [foreign, '!/a'], action: allow")).toEqual([]);
    expect(reached("path: '/**', action: deny", 'path: [foreign, /a], action: deny')).toEqual([]);
    expect(reached("path: '/a/*', action: deny", 'path: /a/**, action: deny')).toEqual([]);
  });
});

describe('globs', () => {
  test('that match nothing now, are outside, or lead through a link are told', () => {
    expect(
      checked([
        `path: ['${directory}/a/**', '${directory}/*/*/x.txt', '*.exe', x.txt], action: deny`,
        `path: ['${directory}/b', '*.dll'], action: deny`,
        `path: '${directory}/link/x', action: deny`,
        `path: '${directory}/link/**', action: deny`,
        'path: /etc/passwd, action: deny',
      ]),
    ).toEqual([
      `4 warning nothing on the disk matches "${directory}/b", "*.dll" of the rule "rule 2" now`,
      `5 warning nothing on the disk matches "${directory}/link/x" of the rule "rule 3" now`,
      `6 warning "${directory}/link/**" of the rule "rule 4" leads through a symbolic link, and rules see where files are: write "${directory}/a/**"`,
      `7 warning "/etc/passwd" of the rule "rule 5" is outside of what is guarded (${directory})`,
    ]);
  });

  test('are not said to match nothing when the walk was cut short', () => {
    const policy = policyOf("path: '*.dll', action: deny");
    expect(checkPolicy(policy, [directory], { entries: 1, ms: 1000 })).toEqual([]);
    expect(checkPolicy(policy, [directory], { entries: 1000, ms: 1000 })).toHaveLength(1);
  });
});

const SUBJECT: Subject = {
  kind: 'open',
  place: { state: 'here', path: '/srv/a' },
  file: { uid: 5, gid: 6, mode: 0o100644, sizeBytes: 7 },
  exe: { state: 'foreign', path: '/bin/x' },
  user: { uid: 1000, gids: [1000, 27] },
  ancestors: [{ state: 'here', path: '/sbin/init' }],
  container: null,
  sha256: 'aa',
};

test('an explanation says of each rule why it does not match', () => {
  const policy = policyOf(
    'on: [openExec, access], action: deny',
    "path: ['/home/**', '!/home/x'], action: deny",
    'uid: [root, 1-5], action: deny',
    'owner: 1, action: deny',
    'mode: [setuid, worldWritable], action: deny',
    "size: '>10', action: deny",
    "exe: '!/bin/*', action: deny",
    'exe: /bin/x, action: allow',
    'gid: 1, action: deny',
    'container: docker, action: deny',
    'ancestor: sshd, action: deny',
    `sha256: '${'b'.repeat(64)}', action: deny`,
    'name: last, path: a, action: scan',
    'action: deny',
  );
  const { tried, rule, reads } = explainDecision(policy.compiled, SUBJECT);
  expect(tried.map(({ why }) => why)).toEqual([
    'open is not openExec or access',
    'path /srv/a is not /home/** but not /home/x',
    'uid 1000 is not 0 or 1-5',
    'owner 5 is not 1',
    'mode 0644 is not with a bit of 04000 or with a bit of 02',
    'size 7 is not at least 11',
    'exe /bin/x (foreign) is not anything but /bin/*',
    'exe /bin/x (foreign) is not /bin/x',
    'gid 1000, 27 is not 1',
    'container none is not docker',
    'of the ancestors /sbin/init none is sshd',
    "sha256 aa is not in the rule's list",
    '',
  ]);
  expect([rule?.name, reads]).toEqual(['last', 15]);
});

describe('a replay', () => {
  const record: DecisionRecord = {
    timeMs: 1,
    verdict: 'allow',
    by: 'default',
    kind: 'open',
    file: { state: 'here', path: '/srv/a.exe' },
    pid: 1,
    heldUs: 10,
  };
  const replayer = new Replayer(
    policyOf("path: '*.exe', action: deny", "path: '*.scan', action: scan", 'path: /who, uid: 0, action: deny')
      .compiled,
  );
  const outcome = (changes: object) => {
    const replayed = replayer.replay(JSON.stringify({ ...record, ...changes }));
    return replayed.outcome === 'changed' ? `${replayed.from} -> ${replayed.to}` : replayed.outcome;
  };
  const at = (path: string) => ({ file: { state: 'here', path } });

  test('tells what would change', () => {
    expect(outcome({})).toBe('allow -> deny');
    expect(outcome(at('/srv/a'))).toBe('same');
    expect(outcome({ verdict: 'deny', by: 'rule', action: 'deny' })).toBe('same');
    expect(outcome({ wouldBe: 'deny' })).toBe('same');
    expect(outcome({ ...at('/srv/a'), verdict: 'deny', by: 'rule', action: 'deny' })).toBe('deny -> allow');
  });

  test('compares actions where somebody else decided', () => {
    expect(outcome({ ...at('/a.scan'), verdict: 'deny', by: 'scan', action: 'scan' })).toBe('same');
    expect(outcome(at('/a.scan'))).toBe('allow -> scan');
    expect(outcome({ ...at('/a.scan'), by: 'ask', action: 'ask' })).toBe('ask -> scan');
    expect(outcome({ verdict: 'deny', by: 'scan', action: 'scan' })).toBe('same');
    expect(outcome({ verdict: 'allow', by: 'scan', action: 'scan' })).toBe('allow -> deny');
    expect(outcome({ verdict: 'allow', by: 'timeout', action: 'scan' })).toBe('scan -> deny');
    expect(outcome({ verdict: 'allow', by: 'timeout' })).toBe('unknown');
  });

  test('says what it cannot tell, and what is no record', () => {
    expect(replayer.replay(JSON.stringify({ ...record, ...at('/who') }))).toMatchObject({
      outcome: 'unknown',
      why: 'uid is not in the log, and a rule asks for it',
    });
    expect(outcome({ ...at('/who'), uid: 0, gids: [] })).toBe('allow -> deny');
    for (const line of [
      '',
      'x',
      '1',
      '[]',
      '{}',
      '{"kind":"open"}',
      JSON.stringify({ ...record, file: 1 }),
      JSON.stringify({ ...record, gids: 'x' }),
      JSON.stringify({ ...record, exe: { state: 'where' } }),
    ]) {
      expect([line, replayer.replay(line).outcome]).toEqual([line, 'noRecord']);
    }
  });

  test('reads paths that are no UTF-8', () => {
    const raw = Buffer.from('/srv/\xff.exe', 'latin1').toString('base64');
    expect(outcome({ file: { state: 'here', path: null, raw } })).toBe('allow -> deny');
  });
});

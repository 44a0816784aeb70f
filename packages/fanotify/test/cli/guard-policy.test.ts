// `fanotify guard --policy`, the real command: rules, reloading, the log, and questions at a terminal.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { reads } from '../decision/changing.ts';
import { canMount, mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { COMMAND, fanotify, type RunningCommand, start } from './command.ts';

const ROOT = 0;
const hasScript = spawnSync('sh', ['-c', 'command -v script']).status === 0;

let directory: string;
let mount: ScratchMount;
let policy: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'fanotify-policy-'));
  policy = join(directory, 'policy.yaml');
  if (!canMount) return;
  mount = mountTmpfs();
  for (const name of ['letter', 'setup.exe']) writeFileSync(join(mount.path, name), '');
});
afterEach(() => {
  mount?.unmount();
  rmSync(directory, { recursive: true });
});

const write = (rules: string, head = '') => writeFileSync(policy, `version: 1\n${head}rules:\n${rules}`);
const at = (name: string) => join(mount.path, name);

async function guarding(...args: string[]): Promise<RunningCommand> {
  const command = fanotify(['guard', '--policy', policy, '--deadline', '10', ...args]);
  await command.until(({ stderr }) => /^policy [0-9a-f]{12}, /m.test(stderr));
  return command;
}

describe.skipIf(!canMount)('fanotify guard --policy', () => {
  test('decides by the rules, tells why, appends to the log, and says how often each did', async () => {
    write(`  - { name: no programs, path: '*.exe', action: deny, message: not here }\n`);
    const log = join(directory, 'log');
    const command = await guarding('--log', log, mount.path);
    expect(await reads(at('setup.exe'), ROOT)).toBe(false);
    expect(await reads(at('letter'), ROOT)).toBe(true);
    await command.until(({ stdout }) => stdout.split('\n').length > 2);
    expect(command.stdout).toMatch(
      new RegExp(`^\\S+  deny  open  cat\\(\\d+\\)  ${at('setup.exe')}  rule: no programs: not here$`, 'm'),
    );
    command.kill('SIGINT');
    const { stderr, signal } = await command.ended;
    expect(signal).toBe('SIGINT');
    expect(stderr).toMatch(/^ +1 {2}no programs$/m);
    expect(stderr).toMatch(/^ +1 {2}no rule \(allow\)$/m);
    const records = readFileSync(log, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(records).toMatchObject([
      { verdict: 'deny', rule: { name: 'no programs', line: 3 }, file: { path: at('setup.exe') } },
      { verdict: 'allow', by: 'default' },
    ]);
    expect(records[0].policy).toMatch(/^[0-9a-f]{64}$/);
    expect(await reads(at('setup.exe'), ROOT)).toBe(true);
    // What another policy would have decided.
    write(`  - { path: letter, action: deny }\n`);
    const replay = await fanotify(['guard', '--policy', policy, '--replay', log]).ended;
    expect(replay.code).toBe(3);
    expect(replay.stdout).toContain('2 would change');
  });

  test('reads the policy again when it changes, also by a file in its place; a bad one changes nothing', async () => {
    write(`  - { path: letter, action: deny }\n`);
    const command = await guarding(mount.path);
    expect(await reads(at('letter'), ROOT)).toBe(false);
    const next = join(directory, 'next');
    writeFileSync(next, `version: 1\nrules: [{ path: setup.exe, action: deny }]\n`);
    renameSync(next, policy);
    await command.until(({ stderr }) => /from now on, 1 rule$/m.test(stderr));
    expect(await reads(at('letter'), ROOT)).toBe(true);
    expect(await reads(at('setup.exe'), ROOT)).toBe(false);
    write(`  - { pth: setup.exe, action: allow }\n`);
    await command.until(({ stderr }) =>
      /^the policy stays as it was: .*policy\.yaml:3:7: .*did you mean 'path'\?/m.test(stderr),
    );
    expect(await reads(at('setup.exe'), ROOT)).toBe(false);
    write('');
    await command.until(({ stderr }) => stderr.split('the policy stays as it was').length > 2);
    rmSync(policy);
    await command.until(({ stderr }) => /stays as it was: .*does not exist/.test(stderr));
    expect(await reads(at('setup.exe'), ROOT)).toBe(false);
  });

  test('guards what the policy names, as it says, and in a dry run nothing', async () => {
    write(`  - { path: letter, action: deny }\n`, `paths: [${mount.path}]\nmode: dryRun\n`);
    const command = await guarding('--json', '--count', '1');
    expect(command.stderr).toContain('(dry run: everything is allowed)');
    expect(await reads(at('letter'), ROOT)).toBe(true);
    expect((await command.ended).code).toBe(0);
    expect(command.events).toMatchObject([{ verdict: 'allow', wouldBe: 'deny', file: { path: at('letter') } }]);
  });

  test.skipIf(!hasScript)('asks at the terminal, and does by default what nobody answers', async () => {
    write(
      `  - { name: programs, path: '*.exe', action: ask, message: is this right }\n`,
      'ask: { timeoutMs: 8000, default: deny }\n',
    );
    const shell = start('script', [
      '-qec',
      `'${process.execPath}' '${COMMAND}' guard --policy ${policy} ${mount.path}`,
      '/dev/null',
    ]);
    await shell.until(({ stdout }) => /policy [0-9a-f]{12}, /.test(stdout));
    const question = new RegExp(
      `cat\\(\\d+\\) of user 0 wants to open ${at('setup.exe')} \\(is this right\\): y or n\\?`,
      'g',
    );
    const asked = (times: number) => shell.until(({ stdout }) => (stdout.match(question)?.length ?? 0) >= times);
    const first = reads(at('setup.exe'), ROOT);
    await asked(1);
    shell.type('what\n');
    await shell.until(({ stdout }) => stdout.includes("say 'y' or 'n', and Enter"));
    shell.type('y\n');
    expect(await first).toBe(true);
    const second = reads(at('setup.exe'), ROOT);
    await asked(2);
    shell.type('n\n');
    expect(await second).toBe(false);
    expect(await reads(at('setup.exe'), ROOT)).toBe(false);
    await shell.until(({ stdout }) => stdout.includes('too late'));
    expect(await reads(at('letter'), ROOT)).toBe(true);
    shell.type('\x03');
    await shell.ended;
  });
});

test.each([
  [['--policy', '/no/such/policy', '/srv'], /cannot be read: it does not exist/],
  [['--policy', 'POLICY'], /say what to guard: a PATH, or 'paths' in /],
  [['--policy', 'POLICY', '--deny', '*', '/srv'], /--policy is a way to decide of its own/],
  [['--policy', 'POLICY', '/'], /'\/' is the root of everything/],
  [['--log', 'x', '--deny', '*', '/srv'], /--log is of decisions by --policy/],
  [['--policy', 'POLICY', '--log', '/no/such/log', '/srv'], /--log: "\/no\/such\/log" cannot be opened/],
])('fanotify guard %j says what is wrong', async (args, sentence) => {
  write(`  - { path: letter, action: deny }\n`);
  const { code, stderr } = await fanotify(['guard', ...args.map((word) => (word === 'POLICY' ? policy : word))]).ended;
  expect(code).toBe(1);
  expect(stderr).toMatch(sentence);
});

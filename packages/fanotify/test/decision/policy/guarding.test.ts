// A policy at work: a real guard on file systems mounted for the purpose, and other processes that open what is on them.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, chownSync, copyFileSync, mkdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DecisionRecord, type Guard, type GuardOptions, guard, parsePolicy } from 'fanotify';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { canMount, mountBind, mountTmpfs, type ScratchMount } from '../../support/mounts.ts';
import { NOBODY, reads } from '../changing.ts';

const ROOT = 0;
// Root's alone with all that leads to it, which the temporary directory is not.
const ROOTS_PLACE = '/run';
const isRootsPlace = canMount && statSync(ROOTS_PLACE).uid === ROOT && (statSync(ROOTS_PLACE).mode & 0o022) === 0;

let mount: ScratchMount;
let gate: Guard | undefined;
let records: DecisionRecord[];

beforeEach(() => {
  if (isRootsPlace) mount = mountTmpfs(undefined, ROOTS_PLACE);
});
afterEach(async () => {
  await gate?.close();
  gate = undefined;
  mount?.unmount();
});

const at = (name: string) => join(mount.path, name);

function file(name: string, content = name): string {
  writeFileSync(at(name), content);
  return at(name);
}

/** Opens a guard of the mount; MOUNT in a policy stands for where it is. */
async function guarding(policy: string, options: Partial<GuardOptions> = {}): Promise<Guard> {
  records = [];
  const opened = await guard(mount.path, { deadlineMs: 10_000, records: true, ...options, policy: policyOf(policy) });
  opened.on('decision', (record) => records.push(record));
  gate = opened;
  return opened;
}

const policyOf = (text: string) => parsePolicy(`version: 1\n${text.replaceAll('MOUNT', mount.path)}`);

/** The record of what was decided last, once it is told. */
async function recordOf(path: string): Promise<DecisionRecord> {
  await expect.poll(() => records.some(({ file }) => file.path === path), { timeout: 10_000 }).toBe(true);
  return records.findLast(({ file }) => file.path === path) as DecisionRecord;
}

describe.skipIf(!isRootsPlace)('rules', () => {
  test('are asked in their order, and the first that matches decides', async () => {
    const [ok, bad, other] = [file('ok.exe'), file('bad.exe'), file('letter')];
    await guarding(`
rules:
  - { path: MOUNT/ok.exe, action: allow }
  - { name: no programs, path: '*.exe', action: deny, message: not here }`);
    expect(await Promise.all([ok, bad, other].map((path) => reads(path, NOBODY)))).toEqual([true, false, true]);
    expect(await recordOf(bad)).toMatchObject({
      verdict: 'deny',
      by: 'rule',
      rule: { name: 'no programs', line: 5 },
      action: 'deny',
      message: 'not here',
      policy: gate && policyIdentity(),
      kind: 'open',
      file: { state: 'here', path: bad, owner: 0, sizeBytes: 7 },
      comm: 'cat',
      exe: { state: 'here', path: '/usr/bin/cat' },
      uid: NOBODY,
      container: null,
    });
    expect(await recordOf(other)).toMatchObject({ verdict: 'allow', by: 'default' });
    expect((await gate?.status())?.ruleHits).toEqual([1, 1, 1]);
  });

  const policyIdentity = () => records[0]?.policy;

  test('by who opens: user, program, ancestor', async () => {
    const path = file('file');
    await guarding(`
default: deny
rules:
  - { exe: /usr/bin/head, action: allow }
  - { uid: nobody, ancestor: /usr/bin/bash, action: allow }
  - { uid: root, ancestor: '!/usr/bin/bash', action: allow }`);
    expect(await readsLater('head', [path], NOBODY)).toBe(true);
    expect(await readsLater('cat', [path], NOBODY)).toBe(false);
    expect(await readsLater('bash', ['-c', `cat ${path}; exit $?`], NOBODY)).toBe(true);
    expect(await readsLater('bash', ['-c', `cat ${path}; exit $?`], ROOT)).toBe(false);
  });

  test('by what is opened: mode, owner, size, content', async () => {
    const setuid = file('setuid');
    chmodSync(setuid, 0o4755);
    const theirs = file('theirs');
    chownSync(theirs, NOBODY, NOBODY);
    const large = file('large', 'x'.repeat(100_000));
    const known = file('known', 'bad content');
    const plain = file('plain');
    const digest = createHash('sha256').update('bad content').digest('hex');
    await guarding(`
rules:
  - { mode: setuid, action: deny }
  - { owner: nobody, action: deny }
  - { size: '>50k', action: deny }
  - { sha256: ${digest}, action: deny }`);
    expect(await Promise.all([setuid, theirs, large, known, plain].map((path) => reads(path, ROOT)))).toEqual([
      false,
      false,
      false,
      false,
      true,
    ]);
    expect((await recordOf(known)).file.sha256).toBe(digest);
    expect((await recordOf(large)).file.sha256).toBeUndefined();
  });

  test('the content of many large files is looked at while others are let in', async () => {
    const large = Array.from({ length: 20 }, (_, n) => file(`large-${n}`, `${n}`.repeat(400_000)));
    const digest = createHash('sha256').update('5'.repeat(400_000)).digest('hex');
    await guarding(`
rules:
  - { path: MOUNT/small, action: allow }
  - { sha256: ['${digest}'], action: deny }`);
    const small = file('small');
    const all = await Promise.all([...large, small].map((path) => reads(path, NOBODY)));
    expect(all.flatMap((isRead, n) => (isRead ? [] : [n]))).toEqual([5]);
  });

  test('allow nothing by a path that a user has made up, and deny what it is really called', async () => {
    mkdirSync(at('allowed'));
    mkdirSync(at('secret'));
    const path = file('secret/file');
    await guarding(`
default: deny
rules:
  - { path: MOUNT/secret/**, exe: /usr/bin/tac, action: deny }
  - { path: MOUNT/allowed/**, action: allow }`);
    // As any user can: a mount of his own over what is allowed.
    const inNamespace = (program: string) =>
      readsLater('unshare', [
        ...['--user', '--map-root-user', '--mount', 'sh', '-c'],
        `mount --bind ${at('secret')} ${at('allowed')} && exec ${program} ${at('allowed/file')}`,
      ]);
    expect(await inNamespace('cat')).toBe(false);
    expect(await inNamespace('tac')).toBe(false);
    await gate?.setPolicy(policyOf(`default: deny\nrules: [{ path: foreign, uid: nobody, action: allow }]`));
    expect(await inNamespace('cat')).toBe(true);
    await expect.poll(() => records.length).toBe(3);
    expect(records.map(({ file: { state, path: told }, rule }) => [state, told, rule?.line])).toEqual([
      ['foreign', path, undefined],
      ['foreign', path, 5],
      ['foreign', path, 3],
    ]);
  });

  test('see names that are no text, or have line ends, as what they are', async () => {
    const odd = [Buffer.from('evil\xff.exe', 'latin1'), Buffer.from('e\nvil.exe'), Buffer.from('.exe')];
    const paths = odd.map((name) => Buffer.concat([Buffer.from(`${mount.path}/`), name]));
    for (const path of paths) writeFileSync(path, '');
    await guarding(`rules: [{ path: '*.exe', action: deny }]`);
    for (const path of paths) {
      const sh = spawn('bash', ['-c', `cat $'${[...path].map((byte) => `\\x${byte.toString(16)}`).join('')}'`]);
      expect((await once(sh, 'exit'))[0]).toBe(1);
    }
    await expect.poll(() => records.length).toBe(3);
    expect(records[0]?.file).toMatchObject({ path: null, raw: paths[0]?.toString('base64') });
  });
});

describe.skipIf(!isRootsPlace)('verdicts of rules are kept', () => {
  const kept = async () => {
    const { ignored, byCache, allowed } = (await gate?.status()) ?? { ignored: -1, byCache: -1, allowed: -1 };
    return { ignored, byCache, allowed };
  };

  test('by the kernel, where they were read from what root alone can change', async () => {
    const path = file('file');
    await guarding(`rules: [{ path: MOUNT/file, mode: '!setuid', action: allow }]`);
    for (let time = 0; time < 4; time++) expect(await reads(path, NOBODY)).toBe(true);
    // The first is not kept: whether anybody wrote to it was not looked at before.
    expect(await kept()).toEqual({ ignored: 1, byCache: 0, allowed: 2 });
    // Its mode is another now.
    chmodSync(path, 0o4755);
    await gate?.setPolicy(policyOf(`rules: [{ mode: setuid, action: deny }]`));
    expect(await reads(path, NOBODY)).toBe(false);
    chmodSync(path, 0o755);
    expect(await reads(path, NOBODY)).toBe(true);
    expect(await reads(path, NOBODY)).toBe(true);
    chmodSync(path, 0o4755);
    expect(await reads(path, NOBODY)).toBe(false);
  });

  test('not at all, where a rule on the way has looked at who asks', async () => {
    const path = file('file');
    await guarding(`rules: [{ path: MOUNT/file, uid: daemon, action: deny }]`);
    for (let time = 0; time < 4; time++) expect(await reads(path, NOBODY)).toBe(true);
    expect(await kept()).toEqual({ ignored: 0, byCache: 0, allowed: 4 });
  });

  test('not at all, where each is to be in the audit log', async () => {
    const path = file('file');
    await guarding(`rules: [{ path: MOUNT/file, action: allow, audit: true }]`);
    for (let time = 0; time < 4; time++) expect(await reads(path, NOBODY)).toBe(true);
    expect(await kept()).toEqual({ ignored: 0, byCache: 0, allowed: 4 });
  });

  test('though a later rule looks at who asks, or one does for other paths', async () => {
    const path = file('file');
    await guarding(`
rules:
  - { path: MOUNT/other, uid: daemon, action: deny }
  - { path: MOUNT/file, action: allow }
  - { uid: daemon, action: deny }`);
    for (let time = 0; time < 4; time++) expect(await reads(path, NOBODY)).toBe(true);
    expect(await kept()).toEqual({ ignored: 1, byCache: 0, allowed: 2 });
  });

  test('not of files in directories that others may change, where a path was read', async () => {
    mkdirSync(at('theirs'));
    chownSync(at('theirs'), NOBODY, NOBODY);
    const path = file('theirs/file');
    await guarding(`rules: [{ path: MOUNT/theirs/file, action: allow }, { path: MOUNT/**, action: deny }]`);
    for (let time = 0; time < 3; time++) expect(await reads(path, ROOT)).toBe(true);
    renameSync(at('theirs'), at('moved'));
    expect(await reads(at('moved/file'), ROOT)).toBe(false);
    expect(await kept()).toMatchObject({ ignored: 0, byCache: 0 });
  });

  test('not where another mount shows the file by a name that is decided otherwise', async () => {
    mkdirSync(at('dir'));
    const path = file('dir/file');
    const bind = mountBind(at('dir'), ROOTS_PLACE);
    try {
      await guarding(`rules: [{ path: MOUNT/**, action: allow }, { path: ${bind.path}/**, action: deny }]`);
      for (let time = 0; time < 3; time++) expect(await reads(path, NOBODY)).toBe(true);
      expect(await reads(join(bind.path, 'file'), NOBODY)).toBe(false);
      expect(await kept()).toMatchObject({ ignored: 0, byCache: 0 });
    } finally {
      await gate?.close();
      bind.unmount();
    }
  });

  test('until a mount shows it by another name', async () => {
    mkdirSync(at('dir'));
    const path = file('dir/file');
    await guarding(`rules: [{ path: MOUNT/**, action: allow }, { action: deny }]`);
    for (let time = 0; time < 3; time++) expect(await reads(path, NOBODY)).toBe(true);
    expect(await kept()).toMatchObject({ ignored: 1 });
    const bind = mountBind(at('dir'), ROOTS_PLACE);
    try {
      await expect.poll(() => reads(join(bind.path, 'file'), NOBODY), { timeout: 10_000 }).toBe(false);
    } finally {
      await gate?.close();
      bind.unmount();
    }
  });

  test('with trust nobody, by the responder alone and not by path', async () => {
    const path = file('file');
    await guarding(`rules: [{ path: MOUNT/file, action: allow }]`, { trust: 'nobody' });
    for (let time = 0; time < 4; time++) expect(await reads(path, NOBODY)).toBe(true);
    expect(await kept()).toEqual({ ignored: 0, byCache: 0, allowed: 4 });
    await gate?.setPolicy(policyOf(`rules: [{ size: '<1M', action: allow }]`));
    for (let time = 0; time < 4; time++) expect(await reads(path, NOBODY)).toBe(true);
    expect(await kept()).toMatchObject({ ignored: 0, byCache: 2 });
  });

  test('and a digest with them: by whoever the file is opened', async () => {
    const path = file('file', 'x'.repeat(3_000_000));
    const digest = createHash('sha256').update('x'.repeat(3_000_000)).digest('hex');
    await guarding(`rules: [{ sha256: ${digest}, uid: nobody, action: deny }]`);
    expect(await reads(path, ROOT)).toBe(true);
    expect(await reads(path, NOBODY)).toBe(false);
    writeFileSync(path, 'y');
    expect(await reads(path, NOBODY)).toBe(true);
  });
});

describe.skipIf(!isRootsPlace)('a policy', () => {
  test('in a dry run denies nothing, and says what it would', async () => {
    const path = file('file');
    await guarding(`mode: dryRun\nrules: [{ path: MOUNT/file, action: deny }]`);
    for (let time = 0; time < 3; time++) expect(await reads(path, NOBODY)).toBe(true);
    await expect.poll(() => records.length).toBe(3);
    expect(records[2]).toMatchObject({ verdict: 'allow', wouldBe: 'deny', by: 'rule' });
  });

  test('asks, with the time and the default that it says', async () => {
    const [yes, later] = [file('yes'), file('later')];
    const asked: unknown[] = [];
    await guarding(
      `
ask: { timeoutMs: 300, default: deny }
rules: [{ name: who knows, path: '*', action: ask, message: really? }]`,
      {
        onTimeout: 'allow',
        decide: async ({ path, rule, remainingMs }) => {
          asked.push({ path, rule, isShort: remainingMs <= 300 });
          return path === yes ? 'allow' : new Promise(() => undefined);
        },
      },
    );
    expect(await reads(yes, NOBODY)).toBe(true);
    expect(await reads(later, NOBODY)).toBe(false);
    expect(asked).toEqual(
      [yes, later].map((path) => ({ path, rule: { name: 'who knows', line: 4, message: 'really?' }, isShort: true })),
    );
    expect(await recordOf(yes)).toMatchObject({ by: 'ask', verdict: 'allow', action: 'ask' });
    expect(await recordOf(later)).toMatchObject({ by: 'timeout', verdict: 'deny', action: 'ask' });
    expect(await gate?.status()).toMatchObject({ timedOut: 1, ignored: 0 });
  });

  test('gives way to another at once, and to no bad one', async () => {
    const path = file('file');
    await guarding(`rules: [{ path: MOUNT/file, action: allow }]`);
    for (let time = 0; time < 3; time++) expect(await reads(path, NOBODY)).toBe(true);
    await gate?.setPolicy(policyOf(`rules: [{ path: MOUNT/file, action: deny }]`));
    expect(await reads(path, NOBODY)).toBe(false);
    await expect(gate?.setPolicy(policyOf(`rules: [{ path: MOUNT/file, action: ask }]`))).rejects.toThrow(
      'rule "rule 1" (line 2) asks, and there is nobody to ask: give guard() a function decide',
    );
    await expect(gate?.setPolicy(policyOf(`rules: [{ on: openExec, action: deny }]`))).rejects.toThrow(
      "the policy has rules for openExec, which this guard does not hold: say on: ['open', 'openExec']",
    );
    expect(await reads(path, NOBODY)).toBe(false);
  });

  test('stays when the responder dies', async () => {
    const path = file('file');
    const opened = await guarding(`rules: []`, { restart: true });
    opened.on('error', () => undefined);
    await opened.setPolicy(policyOf(`rules: [{ path: MOUNT/file, action: deny }]`));
    const restarted = new Promise<void>((resolve) => opened.on('restart', resolve));
    process.kill(opened.responderPid ?? 0, 'SIGKILL');
    await restarted;
    expect(await reads(path, NOBODY)).toBe(false);
  });

  test('denies executions alone', async () => {
    copyFileSync('/bin/true', at('true'));
    chmodSync(at('true'), 0o755);
    await guarding(`rules: [{ on: openExec, path: MOUNT/true, action: deny }]`);
    expect(await readsLater('cat', [at('true')], NOBODY)).toBe(true);
    const sh = spawn('sh', ['-c', `exec ${at('true')}`], { stdio: 'ignore' });
    expect((await once(sh, 'exit'))[0]).toBe(126);
  });

  test('tells what its log says, and no more', async () => {
    const [one, two, three] = [file('one'), file('two'), file('three')];
    await guarding(`
log: denied
rules:
  - { path: MOUNT/one, action: deny }
  - { path: MOUNT/two, action: deny, log: false }
  - { path: MOUNT/three, action: allow, log: true }`);
    for (const path of [one, two, file('four'), three]) await reads(path, NOBODY);
    await recordOf(three);
    expect(records.map(({ file: { path } }) => path)).toEqual([one, three]);
  });
});

/** Whether a command ends well: what it opens is decided on. */
async function readsLater(program: string, args: string[], uid = NOBODY): Promise<boolean> {
  const child = spawn(program, args, { uid, gid: uid, stdio: 'ignore' });
  return (await once(child, 'exit'))[0] === 0;
}

// Whether the bench runs at all: some scenarios once, with loads so small that the figures mean nothing.

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const PACKAGE = join(import.meta.dirname, '..');
const WORKSPACE = join(PACKAGE, '../..');
const hasCompiler = spawnSync('cc', ['--version']).status === 0;
const canMount = process.getuid?.() === 0 && spawnSync('unshare', ['--mount', 'true']).status === 0;

interface Report {
  readonly machine: { readonly kernel: string };
  readonly scenarios: readonly {
    readonly name: string;
    readonly contestants: readonly { readonly name: string; readonly samples: readonly unknown[] }[];
    readonly skipped: readonly { readonly because: string }[];
    readonly failed: readonly unknown[];
  }[];
}

describe.runIf(hasCompiler && canMount)('a run of the bench', () => {
  let built: string;

  // Somewhere else, since the checkout may belong to another user.
  beforeAll(() => {
    built = mkdtempSync(join(tmpdir(), 'bench-test-'));
    // Some contestants are ordinary users.
    chmodSync(built, 0o755);
    symlinkSync(join(WORKSPACE, 'node_modules'), join(built, 'node_modules'));
    symlinkSync(join(PACKAGE, 'c'), join(built, 'c'));
    symlinkSync(join(PACKAGE, 'package.json'), join(built, 'package.json'));
    const tsc = join(WORKSPACE, 'node_modules/typescript/bin/tsc');
    const places = ['--outDir', join(built, 'dist'), '--tsBuildInfoFile', join(built, 'tsbuildinfo')];
    const { status, stdout } = spawnSync(process.execPath, [tsc, '--project', PACKAGE, ...places], {
      encoding: 'utf8',
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
  });

  afterAll(() => rmSync(built, { recursive: true, force: true }));

  it('prints a table and JSON of what it measured, and leaves nothing behind', { timeout: 120_000 }, () => {
    const temporary = mkdtempSync(join(built, 'temporary-'));
    const json = join(built, 'report.json');
    const only = ['event-cost', 'lines', 'decide'];
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(built, 'dist/main.js'), '--rounds', '1', '--scale', '0.005', '--only', only.join(), '--json', json],
      { encoding: 'utf8', env: { ...process.env, TMPDIR: temporary } },
    );
    expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
    const report = JSON.parse(readFileSync(json, 'utf8')) as Report;
    expect(report.machine.kernel).toMatch(/^\d+\.\d+/);
    expect(report.scenarios.map(({ name }) => name)).toEqual(only);
    for (const { name, contestants, skipped, failed } of report.scenarios) {
      expect(stdout).toContain(`npm run bench -- --only ${name}`);
      expect(failed).toEqual([]);
      expect(contestants.map((contestant) => contestant.name)).toContainEqual(
        expect.stringMatching(/^(Group|fanotify watch|guard)/),
      );
      for (const { samples } of contestants) expect(samples).toHaveLength(1);
      for (const { because } of skipped) expect(because).not.toBe('');
    }
    expect(spawnSync('ls', ['-A', temporary], { encoding: 'utf8' }).stdout).toBe('');
  });

  it('measures the core and the daemon beside a guard', { timeout: 240_000 }, () => {
    const temporary = mkdtempSync(join(built, 'temporary-'));
    const json = join(built, 'core.json');
    const only = ['core-held', 'core-dispatch', 'daemon-held', 'policy-decision'];
    const who = ['C, a', 'core, three', 'directed', 'guard', '10 rules', 'fanotifyd, 10 c'].flatMap((name) => [
      '--who',
      name,
    ]);
    const scale = ['--rounds', '1', '--scale', '0.02'];
    const { status, stderr } = spawnSync(
      process.execPath,
      [join(built, 'dist/main.js'), ...scale, '--only', only.join(), ...who, '--json', json],
      { encoding: 'utf8', env: { ...process.env, TMPDIR: temporary } },
    );
    expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
    const { scenarios } = JSON.parse(readFileSync(json, 'utf8')) as Report;
    const figuresOf = (scenario: string, name: string) => {
      const measured = scenarios.find((one) => one.name === scenario)?.contestants.find((one) => one.name === name);
      return (measured?.samples[0] as { figures: Record<string, number> } | undefined)?.figures;
    };
    expect(scenarios.map(({ name }) => name)).toEqual(only);
    expect(scenarios.flatMap(({ failed }) => failed)).toEqual([]);
    expect(figuresOf('core-held', 'core, three listeners in turn')).toMatchObject({ opens: 500 });
    expect(figuresOf('core-dispatch', '100 directed groups, ten marks each')).toMatchObject({ visits: 0.5 });
    expect(figuresOf('policy-decision', 'fanotify, 10 rules')).toMatchObject({ hits: 0.5 });
    expect(figuresOf('policy-decision', 'picomatch, 10 rules')).toMatchObject({ hits: 0.5 });
    expect(figuresOf('daemon-held', 'fanotifyd, 10 clients')).toMatchObject({ opens: 500 });
  });

  it('compares what watchers tell with the disk, and does not measure again what it has', { timeout: 240_000 }, () => {
    const temporary = mkdtempSync(join(built, 'temporary-'));
    chmodSync(temporary, 0o755);
    const [json, journal] = [join(built, 'watchers.json'), join(built, 'journal')];
    const only = ['watch-burst'];
    const arguments_ = [
      '--rounds',
      '1',
      '--scale',
      '0.005',
      '--only',
      only.join(),
      '--json',
      json,
      '--resume',
      journal,
    ];
    const who = ['--who', 'watch(), baseline file', '--who', '@parcel/watcher'];
    const run = () =>
      spawnSync(process.execPath, [join(built, 'dist/main.js'), ...arguments_, ...who], {
        encoding: 'utf8',
        env: { ...process.env, TMPDIR: temporary },
      });
    const { status, stdout, stderr } = run();
    expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
    const report = JSON.parse(readFileSync(json, 'utf8')) as Report;
    expect(report.scenarios.map(({ name }) => name)).toEqual(only);
    for (const { contestants, failed } of report.scenarios) {
      expect(failed).toEqual([]);
      expect(contestants.map(({ name }) => name)).toEqual([
        'watch(), baseline file',
        expect.stringMatching(/^@parcel/),
      ]);
      for (const { samples } of contestants) expect(samples).toHaveLength(1);
    }
    const burst = report.scenarios[0]?.contestants[0]?.samples[0] as { figures: Record<string, number> };
    expect(burst.figures).toMatchObject({ wrong: 0, 'tmpfsOne:equal': 1, 'ext4Spread:equal': 1, 'stopped:equal': 1 });
    expect(stdout).toContain('| watch(), baseline file | 0 | 1 of 1 | 1 of 1 |');
    expect(spawnSync('ls', ['-A', temporary], { encoding: 'utf8' }).stdout).toBe('');
    expect(run().stderr).toBe('');
  });
});

// The command line in this process: on kernels that are older (emulated), poorer or not there.

import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Output } from '../../src/cli/output.ts';
import { run } from '../../src/cli/run.ts';
import type { Ending } from '../../src/cli/surroundings.ts';
import { type Kernel, KernelUnavailableError, limitKernel, linuxKernel } from '../../src/kernel/index.ts';
import { withoutPrivilege } from '../scope/listen.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'fanotify-run-'));
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

/** This process's own doings are left out, unless the kernel says that another did them. */
function asIfByAnother(kernel: Kernel): Kernel {
  return new Proxy(kernel, {
    get: (target, name: keyof Kernel) => {
      if (name === 'pid') return -1;
      const value = target[name];
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

interface Told {
  readonly ending: Ending;
  readonly out: string;
  readonly said: string;
}

/** Runs a command; `meanwhile` is called when it watches. */
async function tell(args: string[], kernel: () => Kernel, meanwhile: () => void = () => undefined): Promise<Told> {
  let out = '';
  let said = '';
  const ending = await run(args, {
    kernel,
    openOutput: () =>
      new Output(async (text) => {
        out += text;
      }),
    say: (text) => {
      said += `${text}\n`;
      if (text.startsWith('watching')) setImmediate(meanwhile);
    },
  });
  return { ending, out, said };
}

describe.each(['5.15', '6.1', '6.8', '6.12'])('fanotify watch on Linux %s (emulated)', (version) => {
  const kernel = () => asIfByAnother(limitKernel(linuxKernel(), version));
  const ways: [string, () => Kernel][] = [
    ['as it is', kernel],
    ['without privilege', () => withoutPrivilege(kernel())],
  ];

  it.each(ways)('tells of new, renamed and deleted files, %s', async (_way, kernelOf) => {
    mkdirSync(join(root, 'sub'));
    const hasTargets = version !== '5.15';
    const args = ['watch', '-r', '--json', '--count', hasTargets ? '3' : '2', root];
    const { ending, out } = await tell(args, kernelOf, () => {
      writeFileSync(join(root, 'sub/a'), '');
      renameSync(join(root, 'sub/a'), join(root, 'b'));
      rmSync(join(root, 'b'));
    });
    expect(ending).toEqual({ status: 0 });
    const events = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events).toMatchObject(
      hasTargets
        ? [
            { kinds: ['create'], path: join(root, 'sub/a') },
            { kinds: ['rename'], from: join(root, 'sub/a'), path: join(root, 'b') },
            { kinds: ['delete'], path: join(root, 'b'), deleted: true },
          ]
        : // Without targets events of one name are merged.
          [
            { kinds: ['movedFrom', 'create'], path: join(root, 'sub/a') },
            { kinds: ['movedTo', 'delete'], path: join(root, 'b'), deleted: true },
          ],
    );
  });

  it.skipIf(version !== '5.15')('tells renames by a format as those that have an event of their own', async () => {
    writeFileSync(join(root, 'a'), '');
    const args = ['watch', '-r', '-e', 'rename', '--format', '%e %f', '--count', '2', root];
    const { out } = await tell(args, kernel, () => renameSync(join(root, 'a'), join(root, 'b')));
    expect(out).toBe('MOVED_FROM a\nMOVED_TO b\n');
  });

  it.skipIf(version !== '5.15')('says which Linux brought what is asked for by name', async () => {
    const { ending, said } = await tell(['watch', '-e', 'rename', root], kernel);
    expect(ending).toEqual({ status: 1 });
    expect(said).toMatch(
      /^fanotify: FAN_RENAME needs Linux 5\.17 or later, and this is Linux \S+ \(emulated 5\.15\)\n$/,
    );
  });
});

describe('an event in a directory that has no path', () => {
  it('is told with its name', async () => {
    mkdirSync(join(root, 'd0/s'), { recursive: true });
    const kernel = () => withoutPrivilege(asIfByAnother(limitKernel(linuxKernel(), '5.15')));
    const { out } = await tell(['watch', '-r', '-e', 'create', '--count', '2', root], kernel, () => {
      writeFileSync(join(root, 'd0/s/f\n'), '');
      mkdirSync(join(root, 'd0/s/g'));
      renameSync(join(root, 'd0'), join(root, 'd1'));
    });
    expect(out).toMatch(/ create +\?\/f\\n\n.* create +\?\/g\/\n$/);
  });
});

describe('a kernel that cannot', () => {
  it('is told of: no Linux', async () => {
    const { ending, said } = await tell(['watch', root], () => {
      throw new KernelUnavailableError('fanotify is a Linux interface; this is darwin.');
    });
    expect([ending, said]).toEqual([{ status: 1 }, 'fanotify: fanotify is a Linux interface; this is darwin.\n']);
  });

  it('is told of: not enough marks', async () => {
    for (let i = 0; i < 5; i++) mkdirSync(join(root, `${i}`));
    const { ending, said } = await tell(['watch', '-r', root], () => withoutPrivilege(linuxKernel(), 3));
    expect(ending).toEqual({ status: 1 });
    expect(said).toMatch(/^fanotify: .*each of the 6 directories.*fs\.fanotify\.max_user_marks = \d+.*sysctl -w .*\n$/);
  });

  it('keeps its stack where nobody expected the error', async () => {
    const { said } = await tell(['watch', root], () => {
      throw new TypeError('a bug');
    });
    expect(said).toMatch(/^fanotify: unexpected: TypeError: a bug\n {4}at /);
  });
});

describe('loss', () => {
  it.each([
    ['JSON', ['--json'], /"kinds":\["overflow"\],"lastSeq":\d+\b/],
    ['text', [], / overflow +events after number \d+ were lost: the kernel's queue was full\n/],
    ['a format', ['--format', '%w|%f|%e'], /^\|\|Q_OVERFLOW$/m],
  ])(
    'is a line of its own, in %s',
    async (_how, options, expected) => {
      const limit = Number(linuxKernel().readFile('/proc/sys/fs/fanotify/max_queued_events').toString());
      const args = ['watch', '-e', 'create', '--timeout', '50', '--count', `${limit + 1}`, ...options, root];
      const { out, said } = await tell(
        args,
        () => asIfByAnother(linuxKernel()),
        () => {
          for (let i = 0; i < limit + 10; i++) writeFileSync(join(root, `${i}`), '');
        },
      );
      expect(out.slice(-400)).toMatch(expected);
      if (options[0] === '--format')
        expect(said).toContain("fanotify: events were lost: the kernel's queue was full\n");
    },
    60_000,
  );
});

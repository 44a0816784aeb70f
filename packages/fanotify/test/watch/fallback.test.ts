// Where fanotify is refused: watch() and the face of @parcel/watcher hear through @parcel/watcher, and say so once.

import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, test } from 'vitest';
import { LimitError, NoSuchPathError, NotPermittedError, UnsupportedError } from '../../src/index.ts';
import { KernelError, KernelUnavailableError } from '../../src/kernel/index.ts';
import { isRefusal } from '../../src/watch/fallback/refusal.ts';
import { type RunningCommand, start } from '../cli/command.ts';
import { ALL_OURS, NUDGE_MS, nudgeIn, WatcherProcess } from './parcel/watcher-process.ts';
import { compileRefuser, hasCompiler, REFUSALS, type Refuser } from './refusing.ts';

const WATCHING = join(import.meta.dirname, 'watching.mjs');
const WITHOUT_PEER = ['--import', join(import.meta.dirname, 'without-peer.mjs')];

let refuser: Refuser;
let home: string;
let root: string;

beforeAll(() => {
  if (hasCompiler) refuser = compileRefuser();
});
afterAll(() => refuser?.remove());
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'fanotify-refused-'));
  chmodSync(home, 0o755);
  root = join(home, 'root');
  mkdirSync(root);
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

interface Said {
  readonly ready?: string;
  readonly warning?: { code: string; message: string };
  readonly error?: { name: string; code: string; message: string; cause: string; fallbackCause?: string };
  readonly type?: string;
  readonly path?: string;
  readonly fileType?: string;
  readonly size?: number | null;
  readonly by?: null;
  readonly found?: string;
  readonly snapshot?: string;
}

interface Running {
  readonly command: RunningCommand;
  /** Resolves with all that was said when something fits. */
  until(fits: (said: Said) => boolean): Promise<Said[]>;
}

function watching(
  errno: string,
  { paths = [root], options = {}, node = [] }: { paths?: string[]; options?: object; node?: string[] } = {},
): Running {
  const [program = '', ...args] = refuser.launcher(errno);
  const command = start(program, [...args, process.execPath, ...node, WATCHING, JSON.stringify([paths, options])]);
  const said = () => (command.events as Said[]).filter(({ path }) => !path?.includes('~end'));
  return {
    command,
    until: async (fits) => {
      // What comes while @parcel/watcher is telling may wait until something else happens.
      const nudge = setInterval(() => nudgeIn(root), NUDGE_MS);
      await command.until(() => said().some(fits)).finally(() => clearInterval(nudge));
      return said();
    },
  };
}

const isReady = ({ ready }: Said) => ready !== undefined;
const changesOf = (said: Said[]) =>
  said.filter(({ type }) => type).map(({ type, path }) => `${type} ${path?.slice(root.length + 1)}`);

describe.runIf(hasCompiler).each(REFUSALS)('watch() where seccomp answers %s', (_, errno) => {
  it('hears through @parcel/watcher, and warns once of what is lost', async () => {
    const { command, until } = watching(errno, { options: { ignore: ['*.o'] } });
    await until(isReady);
    mkdirSync(join(root, 'sub'));
    await until(({ path }) => path === join(root, 'sub'));
    writeFileSync(join(root, 'sub/a.o'), '');
    writeFileSync(join(root, 'sub/a'), 'hello');
    await until(({ path }) => path === join(root, 'sub/a'));
    unlinkSync(join(root, 'sub/a'));
    const said = await until(({ type }) => type === 'delete');
    command.type('end');
    expect(await command.ended).toMatchObject({ code: 0 });

    expect(said.filter(isReady)).toEqual([{ ready: 'fallback' }]);
    const [warning, ...more] = said.filter((line) => line.warning).map((line) => line.warning);
    expect(more).toEqual([]);
    expect(warning).toEqual({
      code: 'FANOTIFY_FALLBACK',
      message: expect.stringMatching(/seccomp profile.*@parcel\/watcher.*may be lost.*who did it.*fallback: false/),
    });
    expect(changesOf(said)).toEqual(expect.arrayContaining(['create sub', 'delete sub/a']));
    expect(changesOf(said).join()).not.toContain('a.o');
    const created = said.find(({ path, type }) => type === 'create' && path === join(root, 'sub/a'));
    expect(created).toMatchObject({ fileType: 'file', by: null });
  });

  it('tells what is there already, files, paths yet to come and what links lead to', async () => {
    mkdirSync(join(root, 'sub'));
    writeFileSync(join(root, 'sub/a'), 'hello');
    writeFileSync(join(home, 'file'), '');
    symlinkSync('root', join(home, 'link'));
    const paths = [join(home, 'link'), join(home, 'file'), join(home, 'later/{x},y')];
    const { until } = watching(errno, { paths, options: { initial: true } });
    await until(isReady);
    const initial = await until(({ path }) => path === paths[1]);
    expect(initial.filter(({ found }) => found === 'initial')).toMatchObject([
      { type: 'create', path: paths[0], fileType: 'directory' },
      { type: 'create', path: `${paths[0]}/sub`, fileType: 'directory' },
      { type: 'create', path: `${paths[0]}/sub/a`, fileType: 'file', size: 5 },
      { type: 'create', path: paths[1], fileType: 'file', size: 0 },
    ]);
    writeFileSync(join(home, 'file'), 'more');
    await until(({ type, path, size }) => type === 'update' && path === paths[1] && size === 4);
    writeFileSync(join(root, 'b'), '');
    await until(({ path }) => path === `${paths[0]}/b`);
    writeFileSync(join(home, 'beside'), '');
    mkdirSync(join(home, 'made/{x},y'), { recursive: true });
    renameSync(join(home, 'made'), join(home, 'later'));
    writeFileSync(join(home, 'file'), 'once more');
    const said = await until(({ size, path }) => path === paths[1] && size === 9);
    expect(said.filter(({ path }) => path === join(home, 'beside'))).toEqual([]);
  });

  it('tells of the entries alone, not recursively', async () => {
    mkdirSync(join(root, 'sub'));
    const { until } = watching(errno, { options: { recursive: false } });
    await until(isReady);
    writeFileSync(join(root, 'sub/a'), '');
    writeFileSync(join(root, 'b'), '');
    const said = await until(({ path }) => path === join(root, 'b'));
    expect(changesOf(said)).not.toContain('create sub/a');
  });

  it('tells what has changed since a snapshot that it wrote', async () => {
    const snapshot = join(home, 'snapshot');
    mkdirSync(join(root, 'sub'));
    for (const name of ['sub/a', 'gone', 'x.o']) writeFileSync(join(root, name), 'x');
    const options = { ignore: ['*.o'] };
    const before = watching(errno, { options });
    await before.until(isReady);
    before.command.type(`snapshot ${snapshot}`);
    await before.until(({ snapshot }) => snapshot !== undefined);
    before.command.type('end');
    await before.command.ended;
    writeFileSync(join(root, 'sub/a'), 'hello');
    unlinkSync(join(root, 'gone'));
    unlinkSync(join(root, 'x.o'));
    mkdirSync(join(root, 'new'));
    const after = watching(errno, { options: { ...options, since: snapshot } });
    const said = await after.until(({ path }) => path === join(root, 'sub/a'));
    expect(said.filter(({ found }) => found === 'snapshot').map(({ type, path, size }) => [type, path, size])).toEqual([
      ['delete', join(root, 'gone'), null],
      ['create', join(root, 'new'), null],
      ['update', join(root, 'sub/a'), 5],
    ]);
    const missing = watching(errno, { options: { since: join(home, 'no') } });
    const [failed] = (await missing.until(({ error }) => error !== undefined)).filter(({ error }) => error);
    expect(failed?.error?.code).toBe('SNAPSHOT');
  });

  it('fails with fallback: false, and when asked for who did it', async () => {
    for (const options of [{ fallback: false }, { by: 'name' }]) {
      const [said] = await watching(errno, { options }).until(({ error }) => error !== undefined);
      expect(said?.error?.code).toMatch(/^(NOT_PERMITTED|UNSUPPORTED)$/);
    }
    const [said] = await watching(errno, { options: { fallback: false } }).until(({ error }) => error !== undefined);
    expect(said?.error?.message).toMatch(/seccomp profile/);
  });

  it('says both causes where @parcel/watcher is not installed', async () => {
    const [said] = await watching(errno, { node: WITHOUT_PEER }).until(({ error }) => error !== undefined);
    expect(said?.error).toMatchObject({
      name: 'NoFallbackError',
      code: 'NO_FALLBACK',
      message: expect.stringMatching(/seccomp.*@parcel\/watcher.*is not installed.*npm install @parcel\/watcher/),
      cause: errno === '1' ? 'NotPermittedError' : 'UnsupportedError',
      fallbackCause: 'ERR_MODULE_NOT_FOUND',
    });
  });
});

describe.runIf(hasCompiler).each(REFUSALS)('the face of @parcel/watcher where seccomp answers %s', (_, errno) => {
  for (const ours of ALL_OURS) {
    it(`is @parcel/watcher itself, and says so once (${ours.name})`, async () => {
      const watcher = await WatcherProcess.start({ ...ours, withholds: true, launcher: refuser.launcher(errno) });
      const recording = await watcher.subscribe(root, { ignore: ['b', /c/] });
      for (const name of ['a', 'b', 'c']) writeFileSync(join(root, name), '');
      expect(await recording.now()).toEqual(['create a']);
      mkdirSync(join(home, 'other'));
      const other = await watcher.subscribe(join(home, 'other'));
      await other.end();
      await recording.end();
      expect(watcher.warnings).toEqual([
        { code: 'FANOTIFY_FALLBACK', message: expect.stringMatching(/seccomp profile.*@parcel\/watcher/) },
      ]);
      await watcher.stop();
    });
  }

  it('rejects without it, or where it may not be taken', async () => {
    const [ours] = ALL_OURS;
    if (!ours) return;
    const without = await WatcherProcess.start({ ...ours, launcher: refuser.launcher(errno), node: WITHOUT_PEER });
    await expect(without.subscribe(root)).rejects.toMatchObject({ nameThere: 'NoFallbackError', code: 'NO_FALLBACK' });
    await expect(without.subscribe(join(root, 'no'))).rejects.toMatchObject({ code: 'NO_SUCH_PATH' });
    await without.stop();
    const forbidden = await WatcherProcess.start({ ...ours, launcher: refuser.launcher(errno) });
    await expect(forbidden.subscribe(root, { fallback: false })).rejects.toThrow(/seccomp profile/);
    expect(forbidden.warnings).toEqual([]);
    await forbidden.stop();
  });
});

describe('is no refusal:', () => {
  const caused = (syscall: string, errno: number) => ({ cause: new KernelError(syscall, errno) });

  test.each([
    ['a path that is not there', new NoSuchPathError('', caused('fanotify_mark', 2))],
    ['a limit', new LimitError('', 'fs.fanotify.max_user_marks', 1, caused('fanotify_mark', 28))],
    ['groups used up', new LimitError('', 'user.max_fanotify_groups', 1, caused('fanotify_init', 24))],
    ['a directory that may not be read', new NotPermittedError('', caused('fanotify_mark', 13))],
    ['want of root, told by us', new NotPermittedError('who did it is told to root alone')],
    ['a mistake in a program', new TypeError('')],
    ['nothing', undefined],
  ])('%s', (_, error) => {
    expect(isRefusal(error)).toBe(false);
  });

  test.each([
    ['another system', new KernelUnavailableError('')],
    ['a kernel before 5.13', new UnsupportedError('', caused('fanotify_init', 22))],
    ['no fanotify', new UnsupportedError('', caused('fanotify_init', 38))],
    ['a profile that forbids marks', new NotPermittedError('', caused('fanotify_mark', 1))],
  ])('but is one: %s', (_, error) => {
    expect(isRefusal(error)).toBe(true);
  });
});

// What users of @parcel/watcher expect of writeSnapshot() and getEventsSince(), held to by @parcel/watcher itself and by what has its face.

import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Options } from '../../../src/parcel-watcher.ts';
import { ALL_OURS, type Contestant, describeAll, ORIGINAL, WatcherProcess } from './watcher-process.ts';

let watcher: WatcherProcess;
let home: string;
/** What is compared. */
let root: string;
let snapshot: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'fanotify-since-'));
  // Whoever watches writes snapshots into it.
  chmodSync(home, 0o777);
  root = join(home, 'root');
  mkdirSync(root);
  snapshot = join(home, 'snapshot');
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const at = (...names: string[]) => join(root, ...names);
const write = (path: string, text = 'x') => writeFileSync(at(path), text);

/** Waits until the clock of the file system has gone on: what is written within a tick of it has the same time. */
async function tick(): Promise<void> {
  const probe = join(home, 'probe');
  const mtime = () => {
    writeFileSync(probe, '');
    return statSync(probe, { bigint: true }).mtimeNs;
  };
  const before = mtime();
  while (mtime() === before) await new Promise((resolve) => setImmediate(resolve));
}

/** What is told of it when something is done after a snapshot was written. */
async function toldOf(change: () => void, options?: Options): Promise<string[]> {
  await watcher.writeSnapshot(root, snapshot, options);
  await tick();
  change();
  return await watcher.since(root, snapshot, options);
}

function startAndStop(contestant: Contestant): void {
  beforeAll(async () => {
    watcher = await WatcherProcess.start(contestant);
  });
  afterAll(() => watcher.stop());
}

describeAll((contestant) => {
  startAndStop(contestant);

  it('tells nothing where nothing happened', async () => {
    mkdirSync(at('d'));
    write('d/a');
    expect(await toldOf(() => undefined)).toEqual([]);
  });

  it('tells of files that were created, updated, renamed and deleted', async () => {
    for (const name of ['updated', 'old', 'gone']) write(name);
    expect(
      await toldOf(() => {
        write('created');
        write('updated', 'hi');
        renameSync(at('old'), at('new'));
        unlinkSync(at('gone'));
      }),
    ).toEqual(['create created', 'create new', 'delete gone', 'delete old', 'update updated']);
  });

  it('tells of directories that were created and deleted', async () => {
    mkdirSync(at('gone'));
    expect(
      await toldOf(() => {
        mkdirSync(at('created'));
        rmSync(at('gone'), { recursive: true });
      }),
    ).toEqual(['create created', 'delete gone']);
  });

  it('tells of all that is in directories that were renamed, created or deleted', async () => {
    mkdirSync(at('d/sub'), { recursive: true });
    write('d/a');
    mkdirSync(at('gone'));
    write('gone/a');
    expect(
      await toldOf(() => {
        renameSync(at('d'), at('e'));
        mkdirSync(at('new'));
        write('new/a');
        rmSync(at('gone'), { recursive: true });
      }),
    ).toEqual([
      'create e',
      'create e/a',
      'create e/sub',
      'create new',
      'create new/a',
      'delete d',
      'delete d/a',
      'delete d/sub',
      'delete gone',
      'delete gone/a',
    ]);
  });

  it('tells of what is in directories, and not of them', async () => {
    mkdirSync(at('d/sub'), { recursive: true });
    for (const name of ['updated', 'old', 'gone']) write(`d/${name}`);
    expect(
      await toldOf(() => {
        write('d/created');
        write('d/updated', 'hi');
        renameSync(at('d/old'), at('d/new'));
        unlinkSync(at('d/gone'));
        renameSync(at('d/sub'), at('d/sub2'));
      }),
    ).toEqual([
      'create d/created',
      'create d/new',
      'create d/sub2',
      'delete d/gone',
      'delete d/old',
      'delete d/sub',
      'update d/updated',
    ]);
  });

  it('tells of symbolic links, and not of where they lead', async () => {
    write('a');
    symlinkSync('a', at('old'));
    symlinkSync('a', at('gone'));
    symlinkSync('a', at('through'));
    expect(
      await toldOf(() => {
        symlinkSync('a', at('link'));
        renameSync(at('old'), at('new'));
        unlinkSync(at('gone'));
        write('through', 'hi');
      }),
    ).toEqual(['create link', 'create new', 'delete gone', 'delete old', 'update a']);
  });

  it('makes one of several changes', async () => {
    write('updated');
    write('gone');
    expect(
      await toldOf(() => {
        write('created');
        write('created', 'updated');
        write('passing');
        unlinkSync(at('passing'));
        write('first');
        renameSync(at('first'), at('second'));
        renameSync(at('second'), at('third'));
        write('updated', '1');
        write('updated', '2');
        write('gone', 'update');
        unlinkSync(at('gone'));
      }),
    ).toEqual(['create created', 'create third', 'delete gone', 'update updated']);
  });

  it('leaves out what is ignored', async () => {
    mkdirSync(at('d'));
    expect(
      await toldOf(
        () => {
          for (const name of ['a', 'b', 'd/a', 'x.log', 'y.tmp']) write(name);
        },
        { ignore: ['d', at('b'), '*.log', /\.tmp$/] },
      ),
    ).toEqual(['create a']);
  });

  it('tells the same while it is subscribed to the directory', async () => {
    const recording = await watcher.subscribe(root);
    write('a');
    expect(await recording.now()).toEqual(['create a']);
    await watcher.writeSnapshot(root, snapshot);
    await tick();
    write('b');
    await recording.now();
    expect((await watcher.since(root, snapshot)).filter((line) => !line.includes('~end'))).toEqual(['create b']);
    await recording.end();
  });

  it('rejects where nothing is, where a file is, and without a snapshot', async () => {
    write('a');
    await expect(watcher.writeSnapshot(at('no'), snapshot)).rejects.toThrow();
    await expect(watcher.writeSnapshot(at('a'), snapshot)).rejects.toThrow();
    await expect(watcher.writeSnapshot(root, join(home, 'no/snapshot'))).rejects.toThrow(/No such file|ENOENT/);
    await expect(watcher.since(root, join(home, 'no'))).rejects.toThrow();
  });
});

// Where it is held to more.
describe.each(ALL_OURS)('$name, and not @parcel/watcher,', (contestant) => {
  startAndStop(contestant);

  it('tells of files whose mode or content changed while their times were put back', async () => {
    for (const name of ['mode', 'content']) write(name);
    const { atime, mtime } = statSync(at('content'));
    utimesSync(at('content'), atime, mtime);
    expect(
      await toldOf(() => {
        chmodSync(at('mode'), 0o600);
        write('content', 'y');
        utimesSync(at('content'), atime, mtime);
      }),
    ).toEqual(['update content', 'update mode']);
  });

  it('tells of a file that became a directory', async () => {
    write('a');
    expect(
      await toldOf(() => {
        unlinkSync(at('a'));
        mkdirSync(at('a'));
        write('a/b');
      }),
    ).toEqual(['create a/b', 'update a']);
  });

  it('does not take for gone what is ignored by now', async () => {
    write('a');
    mkdirSync(at('d'));
    write('d/a');
    await watcher.writeSnapshot(root, snapshot);
    expect(await watcher.since(root, snapshot, { ignore: ['a', 'd'] })).toEqual([]);
    expect(await watcher.since(root, snapshot, { ignore: ['.'] })).toEqual([]);
  });

  it('follows a symbolic link, and tells paths below its name', async () => {
    symlinkSync('root', join(home, 'link'));
    await watcher.writeSnapshot(join(home, 'link'), snapshot);
    await tick();
    write('a');
    expect(await watcher.since(join(home, 'link'), snapshot)).toEqual(['create a']);
    expect(await watcher.since(root, snapshot)).toEqual(['create a']);
  });

  it('tells the changes of a directory below the one that the snapshot is of', async () => {
    mkdirSync(at('d'));
    await watcher.writeSnapshot(root, snapshot);
    await tick();
    write('a');
    write('d/b');
    expect(await watcher.since(at('d'), snapshot)).toEqual(['create b']);
  });

  it('gives the path of the snapshot, and leaves what was there when it cannot be written', async () => {
    expect(await watcher.writeSnapshot(root, `${home}/./snapshot`)).toBe(snapshot);
    const before = readFileSync(snapshot);
    await expect(watcher.writeSnapshot(at('no'), snapshot)).rejects.toMatchObject({ code: 'NO_SUCH_PATH' });
    expect(readFileSync(snapshot).equals(before)).toBe(true);
  });

  it('says what is wrong with a snapshot', async () => {
    const reasonOf = async (path: string) => {
      await expect(watcher.since(root, path)).rejects.toMatchObject({ nameThere: 'SnapshotError', code: 'SNAPSHOT' });
    };
    await reasonOf(join(home, 'no'));
    writeFileSync(join(home, 'garbage'), 'hello');
    await reasonOf(join(home, 'garbage'));
    await watcher.writeSnapshot(root, snapshot);
    truncateSync(snapshot, statSync(snapshot).size - 1);
    await reasonOf(snapshot);
    mkdirSync(join(home, 'other'));
    await watcher.writeSnapshot(join(home, 'other'), snapshot);
    await reasonOf(snapshot);
  });

  it('reads a snapshot of @parcel/watcher', async () => {
    mkdirSync(at('d/sub'), { recursive: true });
    for (const name of ['a', 'd/1', 'd/updated', 'd/ünï 1 2\n3', 'ignored']) write(name);
    const original = await WatcherProcess.start(ORIGINAL);
    await original.writeSnapshot(root, snapshot);
    await original.stop();
    await tick();
    expect(await watcher.since(root, snapshot)).toEqual([]);
    write('d/updated', 'hi');
    unlinkSync(at('d/ünï 1 2\n3'));
    mkdirSync(at('new'));
    const told = await watcher.since(root, snapshot, { ignore: ['ignored'] });
    expect(told).toEqual(['create new', 'delete d/ünï 1 2\n3', 'update d/updated']);
    truncateSync(snapshot, statSync(snapshot).size - 3);
    await expect(watcher.since(root, snapshot)).rejects.toThrow(/cut off/);
  });

  it('takes what may no longer be read to be as it was', async () => {
    if (!contestant.asNobody) return;
    mkdirSync(at('d'));
    write('d/a');
    expect(existsSync(at('d/a'))).toBe(true);
    expect(await toldOf(() => chmodSync(at('d'), 0o700))).toEqual([]);
  });
});

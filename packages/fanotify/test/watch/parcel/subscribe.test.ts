// What users of @parcel/watcher expect of subscribe(), held to by @parcel/watcher itself and by what has its face.

import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Options } from '../../../src/parcel-watcher.ts';
import { ALL_OURS, type Contestant, describeAll, ORIGINAL, WatcherProcess } from './watcher-process.ts';

let watcher: WatcherProcess;
let home: string;
/** What is watched. */
let root: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'fanotify-parcel-'));
  chmodSync(home, 0o755);
  root = join(home, 'root');
  mkdirSync(root);
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const at = (...names: string[]) => join(root, ...names);
const write = (path: string, text = 'x') => writeFileSync(at(path), text);

/** What is told of it when something is done, in lines of one a path. */
async function toldOf(change: () => void | Promise<void>, options?: Options): Promise<string[]> {
  const recording = await watcher.subscribe(root, options);
  await change();
  const told = await recording.now();
  await recording.end();
  return told;
}

function startAndStop(contestant: Contestant): void {
  beforeAll(async () => {
    watcher = await WatcherProcess.start(contestant);
  });
  afterAll(() => watcher.stop());
}

describeAll((contestant) => {
  startAndStop(contestant);

  describe('tells of files', () => {
    it('that are created, empty ones too', async () => {
      expect(
        await toldOf(() => {
          write('a');
          write('b', '');
        }),
      ).toEqual(['create a', 'create b']);
    });

    it('that are written to, in place and from the start', async () => {
      write('a');
      write('b');
      expect(
        await toldOf(() => {
          write('a', 'hi');
          writeFileSync(at('b'), 'more', { flag: 'a' });
        }),
      ).toEqual(['update a', 'update b']);
    });

    it('whose mode changes', async () => {
      write('a');
      expect(await toldOf(() => chmodSync(at('a'), 0o600))).toEqual(['update a']);
    });

    it('that are renamed: a delete and a create', async () => {
      write('a');
      expect(await toldOf(() => renameSync(at('a'), at('b')))).toEqual(['delete a', 'create b']);
    });

    it('that are renamed in case alone', async () => {
      write('name');
      expect(await toldOf(() => renameSync(at('name'), at('NAME')))).toEqual(['create NAME', 'delete name']);
    });

    it('that are deleted', async () => {
      write('a');
      expect(await toldOf(() => unlinkSync(at('a')))).toEqual(['delete a']);
    });

    it('that are linked', async () => {
      write('a');
      expect(await toldOf(() => linkSync(at('a'), at('b')))).toContain('create b');
    });

    it('with names in any language', async () => {
      expect(await toldOf(() => write('ünï-日本-😀'))).toEqual(['create ünï-日本-😀']);
    });

    it('whose names are no UTF-8, with replacements', async () => {
      const bytes = Buffer.concat([Buffer.from(at('bad')), Buffer.from([0xff])]);
      expect(await toldOf(() => writeFileSync(bytes, ''))).toEqual(['create bad\ufffd']);
    });

    it('and not of those that are read', async () => {
      write('a');
      expect(await toldOf(() => void readFileSync(at('a')))).toEqual([]);
    });
  });

  describe('tells of directories', () => {
    it('that are created', async () => {
      expect(await toldOf(() => mkdirSync(at('d')))).toEqual(['create d']);
    });

    it('that are renamed', async () => {
      mkdirSync(at('d'));
      expect(await toldOf(() => renameSync(at('d'), at('e')))).toEqual(['delete d', 'create e']);
    });

    it('that are renamed with what is in them, of which nothing is told', async () => {
      mkdirSync(at('d/sub'), { recursive: true });
      write('d/a');
      expect(await toldOf(() => renameSync(at('d'), at('e')))).toEqual(['delete d', 'create e']);
    });

    it('that are deleted', async () => {
      mkdirSync(at('d'));
      expect(await toldOf(() => rmSync(at('d'), { recursive: true }))).toEqual(['delete d']);
    });

    it('that are deleted with files in them, of which each is told', async () => {
      mkdirSync(at('d'));
      write('d/a');
      expect(await toldOf(() => rmSync(at('d'), { recursive: true }))).toEqual(['delete d', 'delete d/a']);
    });

    it('that are moved out, of which no more is told', async () => {
      mkdirSync(at('d/sub'), { recursive: true });
      const recording = await watcher.subscribe(root);
      renameSync(at('d'), join(home, 'out'));
      expect(await recording.now()).toEqual(['delete d']);
      writeFileSync(join(home, 'out/late'), '');
      expect(await recording.now()).toEqual([]);
      await recording.end();
    });

    it('whose mode changes, and not of those in which something is made', async () => {
      mkdirSync(at('d'));
      mkdirSync(at('e'));
      expect(
        await toldOf(() => {
          chmodSync(at('d'), 0o700);
          write('e/a');
        }),
      ).toEqual(['update d', 'create e/a']);
    });
  });

  describe('tells of what is in directories', () => {
    beforeEach(() => mkdirSync(at('d')));

    it('when it is created', async () => {
      expect(
        await toldOf(() => {
          write('d/a');
          mkdirSync(at('d/sub'));
        }),
      ).toEqual(['create d/a', 'create d/sub']);
    });

    it('when it is updated', async () => {
      write('d/a');
      expect(await toldOf(() => write('d/a', 'hi'))).toEqual(['update d/a']);
    });

    it('when it is renamed', async () => {
      write('d/a');
      mkdirSync(at('d/sub'));
      expect(
        await toldOf(() => {
          renameSync(at('d/a'), at('d/b'));
          renameSync(at('d/sub'), at('d/sub2'));
        }),
      ).toEqual(['delete d/a', 'create d/b', 'delete d/sub', 'create d/sub2']);
    });

    it('when it is deleted', async () => {
      write('d/a');
      expect(await toldOf(() => unlinkSync(at('d/a')))).toEqual(['delete d/a']);
    });

    it('when both are renamed', async () => {
      mkdirSync(at('d/sub'));
      expect(
        await toldOf(() => {
          renameSync(at('d'), at('e'));
          renameSync(at('e/sub'), at('e/sub2'));
        }),
      ).toEqual(['delete d', 'create e', 'delete e/sub', 'create e/sub2']);
    });
  });

  describe('tells of symbolic links', () => {
    it('that are created, renamed and deleted, and not of where they lead', async () => {
      write('a');
      mkdirSync(join(home, 'elsewhere'));
      symlinkSync('a', at('old'));
      symlinkSync('a', at('gone'));
      expect(
        await toldOf(() => {
          symlinkSync('a', at('link'));
          symlinkSync('nowhere', at('dangling'));
          symlinkSync('../elsewhere', at('directory'));
          renameSync(at('old'), at('renamed'));
          unlinkSync(at('gone'));
          writeFileSync(join(home, 'elsewhere/late'), '');
        }),
      ).toEqual(['create dangling', 'create directory', 'delete gone', 'create link', 'delete old', 'create renamed']);
    });

    it('that are written through: an update of the file', async () => {
      write('a');
      symlinkSync('a', at('link'));
      expect(await toldOf(() => write('link', 'hi'))).toEqual(['update a']);
    });
  });

  describe('makes one of several changes', () => {
    it('of a file that is created and updated', async () => {
      expect(
        await toldOf(() => {
          write('a');
          write('a', 'updated');
        }),
      ).toEqual(['create a']);
    });

    it('of a file that is deleted and created: an update', async () => {
      write('a');
      expect(
        await toldOf(() => {
          unlinkSync(at('a'));
          write('a', 'again');
        }),
      ).toEqual(['update a']);
    });

    it('of a file that is created and deleted: nothing', async () => {
      expect(
        await toldOf(() => {
          write('a');
          write('b');
          unlinkSync(at('b'));
        }),
      ).toEqual(['create a']);
    });

    it('of a file that is created and renamed, and again', async () => {
      expect(
        await toldOf(() => {
          write('a');
          renameSync(at('a'), at('b'));
          renameSync(at('b'), at('c'));
        }),
      ).toEqual(['create c']);
    });

    it('of a file that is updated several times, and of one that is updated and deleted', async () => {
      write('a');
      write('b');
      expect(
        await toldOf(() => {
          for (const text of ['1', '2', '3']) write('a', text);
          write('b', 'update');
          unlinkSync(at('b'));
        }),
      ).toEqual(['update a', 'delete b']);
    });

    it('of a file that becomes a directory: an update', async () => {
      write('a');
      expect(
        await toldOf(() => {
          unlinkSync(at('a'));
          mkdirSync(at('a'));
        }),
      ).toEqual(['update a']);
    });
  });

  it('tells paths of one call in the order of their bytes', async () => {
    const recording = await watcher.subscribe(root);
    write('first');
    await recording.until(({ lines }) => lines.includes('create first'));
    for (const name of ['b', 'a.b', 'B', 'é', '\uffff', '😀', 'a']) write(name);
    await recording.now();
    await recording.end();
    for (const batch of recording.batches) {
      const paths = batch.map(({ path }) => Buffer.from(path));
      expect(paths).toEqual(paths.toSorted(Buffer.compare));
    }
  });

  describe('when the directory itself', () => {
    it('is deleted tells that, and nothing of another that comes in its place', async () => {
      write('a');
      const recording = await watcher.subscribe(root);
      rmSync(root, { recursive: true });
      await recording.until(({ lines }) => lines.includes('delete .'), 'its end');
      await recording.until(({ lines }) => lines.includes('delete a'), 'the end of what was in it');
      const { length } = recording.lines;
      mkdirSync(root);
      // Another subscription is told of what this one must not be told of.
      const other = await watcher.subscribe(root, { ignore: ['nothing'] });
      write('late');
      expect(await other.now()).toEqual(['create late']);
      expect(recording.lines).toHaveLength(length);
      await other.end();
      await recording.end();
    });

    it('is moved away tells that it is gone', async () => {
      const recording = await watcher.subscribe(root);
      renameSync(root, join(home, 'elsewhere'));
      await recording.until(({ lines }) => lines.includes('delete .'), 'its end');
      await recording.end();
    });

    it('does not exist rejects', async () => {
      await expect(watcher.subscribe(at('no'))).rejects.toThrow();
    });

    it('is a file rejects', async () => {
      write('a');
      await expect(watcher.subscribe(at('a'))).rejects.toThrow(/not a directory/i);
    });
  });

  describe('with several subscriptions', () => {
    it('tells each of the same directory', async () => {
      const one = await watcher.subscribe(root);
      const two = await watcher.subscribe(root);
      write('a');
      expect(await one.now()).toEqual(['create a']);
      expect(await two.now()).toEqual(['create a']);
      await one.end();
      write('b');
      expect(await two.now()).toEqual(['create b']);
      expect(one.lines).not.toContain('create b');
      await two.end();
    });

    it('leaves out for each what it ignores', async () => {
      const one = await watcher.subscribe(root, { ignore: [at('a')] });
      const two = await watcher.subscribe(root, { ignore: ['b'] });
      write('a');
      write('b');
      expect(await one.now()).toEqual(['create b']);
      expect(await two.now()).toEqual(['create a']);
      await one.end();
      await two.end();
    });

    it('tells each of its own directory', async () => {
      mkdirSync(at('d'));
      mkdirSync(at('e'));
      const one = await watcher.subscribe(at('d'));
      const two = await watcher.subscribe(at('e'));
      write('d/a');
      write('e/b');
      expect(await one.now()).toEqual(['create a']);
      expect(await two.now()).toEqual(['create b']);
      await one.end();
      await two.end();
    });

    it('takes the same function with the same options for one', async () => {
      const one = await watcher.subscribe(root);
      const again = await watcher.subscribe(root, {}, one.number);
      write('a');
      await one.now();
      expect(one.lines.filter((line) => line === 'create a')).toHaveLength(1);
      await again.end();
      await one.end();
    });

    it('ends one by its function and options, and minds none that is not there', async () => {
      const ignore = ['x', '*.y'];
      const one = await watcher.subscribe(root, { ignore });
      await watcher.unsubscribe(root, one, { ignore: ['other'] });
      write('a');
      expect(await one.now()).toEqual(['create a']);
      await watcher.unsubscribe(root, one, { ignore: ['*.y', at('x')] });
      await watcher.unsubscribe(root, one, { ignore });
      const other = await watcher.subscribe(root);
      write('b');
      await other.now();
      expect(one.lines).not.toContain('create b');
      await other.end();
    });
  });

  describe('ignores', () => {
    it('directories, there or yet to come, with all in them', async () => {
      mkdirSync(at('there'));
      expect(
        await toldOf(
          () => {
            mkdirSync(at('later'));
            write('a');
            write('there/a');
            write('later/a');
          },
          { ignore: [at('there'), 'later'] },
        ),
      ).toEqual(['create a']);
    });

    it('files', async () => {
      expect(
        await toldOf(
          () => {
            write('a');
            write('b');
          },
          { ignore: ['b'] },
        ),
      ).toEqual(['create a']);
    });

    it('globs', async () => {
      mkdirSync(at('g/ignore'), { recursive: true });
      mkdirSync(at('g/erongi/deep'), { recursive: true });
      mkdirSync(at('sub'));
      expect(
        await toldOf(
          () => {
            for (const path of [
              'g/a',
              'g/a.ignore',
              'g/ignore/a',
              'g/erongi/a',
              'g/erongi/deep/a',
              'x.log',
              'sub/x.log',
            ]) {
              write(path);
            }
          },
          { ignore: ['g/*.ignore', 'g/ignore/**', 'g/[a-e]?on(g|l)i/**', '*.log'] },
        ),
      ).toEqual(['create g/a', 'create sub/x.log']);
    });

    it('regular expressions', async () => {
      expect(
        await toldOf(
          () => {
            mkdirSync(at('node_modules/package'), { recursive: true });
            write('a');
            write('a.ignore');
            write('node_modules/package/index.js');
          },
          { ignore: [/.*\.ignore$/, /node_modules/] },
        ),
      ).toEqual(['create a']);
    });

    it('no regular expression with flags', async () => {
      await expect(watcher.subscribe(root, { ignore: [/foo/i] })).rejects.toThrow(/Flags are not supported/);
    });
  });

  it('rejects what is no function, no path and no object', async () => {
    await expect(watcher.wrong('subscribe', root, undefined)).rejects.toThrow(/Expected a function/);
    await expect(watcher.wrong('subscribe', undefined, 'function')).rejects.toThrow(/must be of type string/);
    await expect(watcher.wrong('subscribe', root, 'function', 3)).rejects.toThrow(/Expected an object/);
    await expect(watcher.wrong('subscribe', root, 'function', { ignore: [3] })).rejects.toThrow(/type string/);
  });
});

it('has the same names', async () => {
  const original = await WatcherProcess.start(ORIGINAL);
  for (const contestant of ALL_OURS) {
    const ours = await WatcherProcess.start(contestant);
    const names = original.exports.filter((name) => name !== 'module.exports');
    expect(ours.exports).toEqual(expect.arrayContaining(names));
    await ours.stop();
  }
  await original.stop();
});

// Where it is held to more.
describe.each(ALL_OURS)('$name, and not @parcel/watcher,', (contestant) => {
  startAndStop(contestant);

  it('tells of what is made right after its directory', async () => {
    const directories = Array.from({ length: 300 }, (_, index) => `d${index}`);
    const told = await toldOf(() => {
      for (const directory of directories) {
        mkdirSync(at(directory, 'sub'), { recursive: true });
        write(`${directory}/a`);
        write(`${directory}/sub/b`);
      }
    });
    const expected = directories.flatMap((name) => [name, `${name}/a`, `${name}/sub`, `${name}/sub/b`]);
    expect(told.toSorted()).toEqual(expected.map((path) => `create ${path}`).toSorted());
  });

  it('tells of what comes with a directory that is moved in, and of what happens there later', async () => {
    mkdirSync(join(home, 'out/sub'), { recursive: true });
    writeFileSync(join(home, 'out/sub/a'), '');
    const recording = await watcher.subscribe(root);
    renameSync(join(home, 'out'), at('in'));
    // What is below is found, and no event of its own that what is made next is behind.
    await recording.until(({ lines }) => lines.includes('create in/sub/a'), 'what is below');
    expect(await recording.now()).toEqual(['create in', 'create in/sub', 'create in/sub/a']);
    write('in/sub/late');
    expect(await recording.now()).toEqual(['create in/sub/late']);
    await recording.end();
  });

  it('knows where things are deep below a directory that was renamed', async () => {
    mkdirSync(at('d/sub'), { recursive: true });
    const recording = await watcher.subscribe(root);
    renameSync(at('d'), at('e'));
    await recording.now();
    write('e/sub/late');
    expect(await recording.now()).toEqual(['create e/sub/late']);
    await recording.end();
  });

  it('follows a symbolic link, and tells paths below its name', async () => {
    symlinkSync('root', join(home, 'link'));
    const recording = await watcher.subscribe(join(home, 'link'));
    mkdirSync(at('d'));
    write('d/a');
    expect(await recording.now()).toEqual(['create d', 'create d/a']);
    await recording.end();
  });

  it('says what is wrong with the directory', async () => {
    write('a');
    await expect(watcher.subscribe(at('no'))).rejects.toMatchObject({ nameThere: 'NoSuchPathError' });
    await expect(watcher.subscribe(at('a'))).rejects.toMatchObject({ nameThere: 'NotDirectoryError' });
  });

  it('takes any name of a backend', async () => {
    expect(await toldOf(() => write('a'), { backend: 'brute-force' })).toEqual(['create a']);
  });
});

import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Listed } from '../../src/watch/baseline.ts';
import { SnapshotError } from '../../src/watch/errors.ts';
import { openSnapshot, type SnapshotHeader, writeSnapshot } from '../../src/watch/snapshot.ts';
import { canMount, mountTmpfs } from '../support/mounts.ts';
import { change, known, ModelTree, ROOT } from './model-tree.ts';

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'fanotify-snapshot-'));
  path = join(directory, 'snapshot');
});

afterEach(() => rmSync(directory, { recursive: true }));

const HEADER: SnapshotHeader = {
  roots: [Buffer.from(ROOT), Buffer.from([0x2f, 0xff, 0xfe])],
  timeMs: 1_700_000_000_000,
  options: { ignore: ['node_modules', '*.tmp'], crossMounts: false },
};

const many: Listed[] = Array.from({ length: 5000 }, (_, index) => ({
  path: Buffer.from(`${ROOT}/${String(index).padStart(5, '0')}`),
  known: known(index % 3 === 0 ? 'directory' : 'file', BigInt(index), index, BigInt(index), index * 2 ** 30),
}));

async function read(root = ROOT, isExcluded?: (path: Buffer) => boolean): Promise<Listed[]> {
  const snapshot = await openSnapshot(path);
  try {
    return [...snapshot.entries(Buffer.from(root), isExcluded)];
  } finally {
    snapshot.close();
    snapshot.close();
  }
}

async function refusal(): Promise<SnapshotError> {
  const error = await openSnapshot(path).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(error instanceof SnapshotError)) throw new Error(`no SnapshotError: ${error}`);
  expect(error.path).toBe(path);
  return error;
}

describe('what is written', () => {
  it('is read again', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 60, size: 'max' }), async (changes) => {
        const tree = new ModelTree(true);
        for (const one of changes) tree.apply(one);
        await writeSnapshot(path, HEADER, tree.list());
        expect(await read()).toEqual(tree.list());
      }),
      { numRuns: 50 },
    );
  });

  it('says what it is of', async () => {
    await writeSnapshot(path, HEADER, []);
    const snapshot = await openSnapshot(path);
    expect(snapshot).toMatchObject(HEADER);
    snapshot.close();
    expect(await read()).toEqual([]);
  });

  it('in many blocks, from any place', async () => {
    await writeSnapshot(path, HEADER, many);
    expect(await read()).toEqual(many);
    expect(await read(`${ROOT}/04711`)).toEqual([many[4711]]);
    expect(await read('/elsewhere')).toEqual([]);
    expect(await read('/z')).toEqual([]);
  });

  it('without what is left out by now, and what is below', async () => {
    const paths = ['', '/a', '/a/b', '/a/b/c', '/a-b', '/z'].map((path) => Buffer.from(`${ROOT}${path}`));
    await writeSnapshot(
      path,
      HEADER,
      paths.map((path) => ({ path, known: known('directory', 1n, 1, 1n) })),
    );
    const left = await read(ROOT, (path) => /\/(a|z|r)$/.test(path.toString()));
    expect(left.map(({ path }) => path.toString())).toEqual([ROOT, `${ROOT}/a-b`]);
  });

  it('replaces the one before as a whole, and leaves nothing beside it', async () => {
    await writeSnapshot(path, HEADER, many);
    await writeSnapshot(path, HEADER, many.slice(0, 1));
    expect(await read()).toEqual(many.slice(0, 1));
    const failing = function* (): Generator<Listed> {
      yield* many;
      throw new Error('no more');
    };
    await expect(writeSnapshot(path, HEADER, failing())).rejects.toThrow('no more');
    expect(await read()).toEqual(many.slice(0, 1));
    expect(readdirSync(directory)).toEqual(['snapshot']);
  });

  it.skipIf(!canMount)('is not there when the disk is full', async () => {
    const mount = mountTmpfs(64 * 1024);
    try {
      const full = join(mount.path, 'snapshot');
      await expect(writeSnapshot(full, HEADER, many)).rejects.toThrow(/cannot be written: ENOSPC/);
      await expect(writeSnapshot(full, HEADER, many)).rejects.toMatchObject({ code: 'SNAPSHOT', reason: 'failed' });
      expect(readdirSync(mount.path)).toEqual([]);
    } finally {
      mount.unmount();
    }
  });
});

describe('what cannot be used', () => {
  it('nothing there, or no file', async () => {
    expect(await refusal()).toMatchObject({ reason: 'missing', message: expect.stringContaining('write one first') });
    path = directory;
    expect(await refusal()).toMatchObject({ reason: 'failed' });
  });

  it('something else', async () => {
    for (const content of ['', '\n', '{}', 'fanotify-snapshot', 'fanotify-snapshot x\n', 'x'.repeat(100_000)]) {
      writeFileSync(path, content);
      expect(await refusal()).toMatchObject({ reason: 'foreign', message: expect.stringContaining('is no snapshot') });
    }
  });

  it('another version', async () => {
    await writeSnapshot(path, HEADER, many);
    const bytes = readFileSync(path, 'latin1').replace('snapshot 1\n', 'snapshot 2\n');
    writeFileSync(path, bytes, 'latin1');
    const error = await refusal();
    expect(error.reason).toBe('version');
    expect(error.message).toMatch(/version 2, and this library reads version 1: list the tree anew/);
  });

  it('cut off anywhere', async () => {
    await writeSnapshot(path, HEADER, many.slice(0, 20));
    const whole = readFileSync(path);
    const line = whole.indexOf('\n') + 1;
    for (let length = line; length < whole.length; length++) {
      truncateSync(path, length);
      expect((await refusal()).reason).toBe('damaged');
      writeFileSync(path, whole);
    }
    expect(await read()).toEqual(many.slice(0, 20));
  });

  it('changed anywhere, or longer than it was', async () => {
    await writeSnapshot(path, HEADER, many.slice(0, 20));
    const whole = readFileSync(path);
    for (let at = whole.indexOf('\n') + 1; at < whole.length; at += 7) {
      const other = Buffer.from(whole);
      other[at] = (other[at] as number) ^ 0x40;
      writeFileSync(path, other);
      expect((await refusal()).reason).toBe('damaged');
    }
    writeFileSync(path, Buffer.concat([whole, Buffer.alloc(1)]));
    expect((await refusal()).reason).toBe('damaged');
  });

  it('a header that says nothing, of a right sum', async () => {
    for (const text of ['{"roots":[1]}', 'null', '{', '']) {
      const header = Buffer.from(text);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(header.length);
      const content = Buffer.concat([Buffer.from('fanotify-snapshot 1\n'), length, header, Buffer.alloc(4)]);
      const sum = Buffer.alloc(4);
      sum.writeUInt32LE(crc32(content));
      writeFileSync(path, Buffer.concat([content, sum]));
      expect((await refusal()).reason).toBe('damaged');
    }
  });

  it('leaves no descriptor open', async () => {
    const probe = () => {
      const fd = openSync('/dev/null', 'r');
      closeSync(fd);
      return fd;
    };
    const before = probe();
    writeFileSync(path, 'no');
    await refusal();
    await writeSnapshot(path, HEADER, many);
    await read();
    expect(probe()).toBe(before);
  });
});

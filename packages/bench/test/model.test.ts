// The model of what was told, and how it is compared with what is there.

import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { differenceOf, differenceText } from '../src/difference.ts';
import { Model } from '../src/model.ts';
import { Ear } from '../src/watchers/ear.ts';

describe('the model of a tree', () => {
  let model: Model;
  const lines = () => model.lines().sort();

  beforeEach(() => {
    model = new Model('/r');
    model.set('/r/a', 'd');
    model.set('/r/a/b', 'd');
    model.set('/r/a/b/f', 'f');
    model.set('/r/l', 'l');
  });

  it('has what was told', () => {
    expect(lines()).toEqual(['d a', 'd a/b', 'f a/b/f', 'l l']);
    expect(model.has('/r/a/b')).toBe(true);
    expect(model.has('/r/a/c')).toBe(false);
  });

  it('says whether something is news', () => {
    expect(model.set('/r/a/b/f', 'f')).toBe(false);
    expect(model.set('/r/a/b/g', 'f')).toBe(true);
  });

  it('loses with a directory all that was below', () => {
    model.delete('/r/a');
    expect(lines()).toEqual(['l l']);
    model.delete('/r');
    expect(lines()).toEqual([]);
  });

  it('moves with a directory all that is below, over what was there', () => {
    model.set('/r/t', 'd');
    model.set('/r/t/old', 'f');
    expect(model.move('/r/a/b', '/r/t')).toBe(true);
    expect(lines()).toEqual(['d a', 'd t', 'f t/f', 'l l']);
    expect(model.move('/r/nowhere', '/r/x')).toBe(false);
  });

  it('keeps what was told before its directory, and does not make that up', () => {
    model.set('/r/n/m/f', 'f');
    expect(model.has('/r/n')).toBe(false);
    expect(lines()).toContain('f n/m/f');
    expect(lines()).not.toContain('d n');
    model.set('/r/n', 'd');
    expect(lines()).toEqual(expect.arrayContaining(['d n', 'f n/m/f']));
  });

  it('drops what was in a directory that is a file now', () => {
    model.set('/r/a', 'f');
    expect(lines()).toEqual(['f a', 'l l']);
    model.set('/r/a', 'd');
    model.set('/r/a/g', 'f');
    expect(lines()).toEqual(['d a', 'f a/g', 'l l']);
  });

  it('refuses paths of elsewhere', () => {
    expect(() => model.set('/rest', 'f')).toThrow('/rest is not below /r');
  });
});

describe('a difference', () => {
  it('is none between the same in another order', () => {
    expect(differenceOf(['f b', 'd a'], ['d a', 'f b'])).toEqual({ missing: [], extra: [] });
  });

  it('is what was not told, what is not there, and both of what is something else', () => {
    const difference = differenceOf(['f a', 'f c'], ['d a', 'f b', 'f d', 'f e']);
    expect(difference).toEqual({ missing: ['d a', 'f b', 'f d', 'f e'], extra: ['f a', 'f c'] });
    expect(differenceText(difference)).toBe('not told: d a, f b and 2 more; told and not there: f a, f c');
  });
});

describe('the consumer of a watcher', () => {
  let root: string;
  let ear: Ear;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'bench-ear-'));
    ear = new Ear(root);
  });

  afterEach(() => rmSync(root, { recursive: true }));

  it('looks what is at a path, and lists a directory that is new', () => {
    mkdirSync(join(root, 'a/b'), { recursive: true });
    writeFileSync(join(root, 'a/b/f'), '');
    symlinkSync('nowhere', join(root, 'a/l'));
    ear.look(join(root, 'a'));
    expect(ear.model.lines().sort()).toEqual(['d a', 'd a/b', 'f a/b/f', 'l a/l']);
    writeFileSync(join(root, 'a/g'), '');
    ear.look(join(root, 'a'));
    expect(ear.model.has(join(root, 'a/g'))).toBe(false);
    renameSync(join(root, 'a'), join(root, 'z'));
    ear.look(join(root, 'a'));
    expect(ear.model.lines()).toEqual([]);
  });

  it('takes the tree as it is when it has to be listed again', () => {
    ear.told(join(root, 'gone'), 'f');
    writeFileSync(join(root, 'there'), '');
    ear.relist(root);
    expect(ear.model.lines()).toEqual(['f there']);
  });

  it('says when a path was told, also when that was before', async () => {
    const heard = ear.listenFor(join(root, 'f'));
    ear.told(join(root, 'f'), 'f');
    expect(await heard).toBe(true);
    expect(await ear.listenFor(join(root, 'f'))).toBe(true);
  });

  it('takes the time of files whose name says when they were made, once', () => {
    const made = join(root, `t${process.hrtime.bigint() - 5_000_000n}`);
    ear.told(made, 'f');
    ear.told(made, 'f');
    ear.told(join(root, 'tall'), 'f');
    expect(ear.latenciesUs).toHaveLength(1);
    expect(ear.latenciesUs[0]).toBeGreaterThanOrEqual(5000);
  });
});

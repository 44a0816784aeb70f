// What `ignore` of the face of @parcel/watcher leaves out.

import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileIgnore, isGlob } from '../../../src/watch/parcel/ignoring.ts';

const ignores = (ignore: (string | RegExp)[], relative: string) =>
  compileIgnore('/home/me', ignore).isIgnored?.(relative) ?? false;

describe('ignore', () => {
  it.each<[(string | RegExp)[], string, boolean]>([
    [['node_modules'], 'node_modules', true],
    [['node_modules'], 'a/node_modules', false],
    [['./a/../b'], 'b', true],
    [['/home/me/a'], 'a', true],
    [['/elsewhere/a'], 'a', false],
    [['app/[slug]'], 'app/s', true],
    [['app/(group)'], 'app/(group)', true],
    [['*.log'], 'x.log', true],
    [['*.log'], 'a/x.log', false],
    [['**/*.log'], 'a/.b/x.log', true],
    [['**/node_modules/**'], 'a/node_modules', true],
    [['!src/**'], 'dist', true],
    [['!src/**'], 'src/a', false],
    [[/node_modules/], 'a/node_modules/b', true],
    [[/^a$/], 'a', true],
    [[/^a$/], 'b/a', false],
    [[/(?<=x)y/], 'xy', true],
  ])('%j leaves %s out: %s', (ignore, relative, expected) => {
    expect(ignores(ignore, relative)).toBe(expected);
  });

  it('leaves all out with the directory itself or what it is in', () => {
    expect(compileIgnore('/home/me', ['.']).isAll).toBe(true);
    expect(compileIgnore('/home/me', ['/home']).isAll).toBe(true);
    expect(compileIgnore('/home/me', ['/home/m', 'a']).isAll).toBe(false);
  });

  it('is the same in whatever order it is given', () => {
    const id = (ignore: (string | RegExp)[]) => compileIgnore('/home/me', ignore).id;
    expect(id(['a', '/home/me/b', /c/, 'd*'])).toBe(id([/c/, 'd*', 'b', './a', 'b']));
    expect(id(['a'])).not.toBe(id(['b']));
  });

  it('refuses flags, which @parcel/watcher does not know either', () => {
    expect(() => compileIgnore('/', [/a/i])).toThrow(/Flags are not supported/);
  });
});

it('tells globs from paths as is-glob does, which @parcel/watcher asks', () => {
  const require = createRequire(createRequire(import.meta.url).resolve('@parcel/watcher'));
  const name = 'is-glob';
  const original = require(name) as (pattern: string) => boolean;
  const letters = fc.constantFrom(...'ab/.!?*+@()[]{}|:=,-');
  fc.assert(
    fc.property(fc.string({ unit: letters, minLength: 1, maxLength: 12 }), (pattern) => {
      expect([pattern, isGlob(pattern)]).toEqual([pattern, original(pattern)]);
    }),
    { numRuns: 20_000 },
  );
});

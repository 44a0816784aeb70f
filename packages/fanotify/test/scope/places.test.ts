import { describe, expect, it } from 'vitest';
import { ResolvedPath } from '../../src/identity/path.ts';
import { assertNear, compileExclusion, isAtOrBelow, isEntry, relativePath } from '../../src/scope/places.ts';

const at = (path: string | Buffer) => new ResolvedPath(Buffer.from(path), 'event');

describe('excluding globs', () => {
  const excludes = (globs: string[], relative: string) => compileExclusion(globs, ['/home/me'])?.(relative);

  it.each([
    [['.git'], '.git', true],
    [['.git'], 'a/.git/config', true],
    [['.git'], 'a/.github', false],
    [['*.swp'], 'src/.main.c.swp', true],
    [['*.swp'], 'src/swp', false],
    [['build/*.o'], 'build/a.o', true],
    [['build/*.o'], 'src/build/a.o', false],
    [['build/*.o'], 'build/a.o/inside', true],
    [['**/cache/**'], 'x/y/cache/z', true],
    [['node_modules/'], 'a/node_modules/b', true],
    [['/home/me/src'], 'src/a', true],
    [['/home/me/src/'], 'a/src', false],
    [['/home/*/src/**/*.o'], 'src/a/b.o', true],
    [['/home/{me/src,you/b}'], 'src/a', true],
    [['/home'], 'src/a', false],
    [['./src'], 'a/src', true],
    [['./node_modules/x'], 'node_modules/x/b', true],
    [['!keep'], 'keep', false],
    [['!keep'], '!keep', true],
    [['{a,b}', 'c/d'], 'x/b', true],
    [['{a,b}', 'c/d'], 'c', false],
  ])('%j leave %s out: %s', (globs, relative, expected) => {
    expect(excludes(globs, relative)).toBe(expected);
  });

  it('can be functions, asked name by name on the way down', () => {
    const asked: string[] = [];
    const isExcluded = compileExclusion([(relative) => asked.push(relative) > 0 && relative === 'a/b', '*.o']);
    expect(isExcluded?.('a/b/c')).toBe(true);
    expect(asked).toEqual(['a', 'a/b']);
    expect(isExcluded?.('a/c')).toBe(false);
    expect(isExcluded?.('x/y.o')).toBe(true);
  });

  it('are none where there is no glob, and an empty one is refused', () => {
    expect(compileExclusion([])).toBeUndefined();
    expect(() => compileExclusion([''])).toThrow(/empty glob/);
  });
});

describe('absolute globs', () => {
  it.each(['/home/me/src', '/home/me/*.o', '/home/*/src', '/**/src', '/home/me/*', '/home/me/', '/data/a'])(
    'are refused when they match nothing below any root, or not: %s',
    (glob) => {
      const near = glob !== '/home/me/' && glob !== '/data/a';
      const attempt = () => assertNear([glob, 'src', 'a/b'], ['/home/me', '/srv']);
      if (near) expect(attempt).not.toThrow();
      else expect(attempt).toThrow(`exclude: "${glob}" matches nothing below /home/me, /srv: `);
    },
  );

  it('are all near where the root is /', () => {
    expect(() => assertNear(['/home/me'], ['/'])).not.toThrow();
    expect(() => assertNear(['/'], ['/'])).toThrow(/matches nothing below \/:/);
  });
});

describe('inside', () => {
  it.each([
    ['/a/b', '/a/b', true],
    ['/a/b/c', '/a/b', true],
    ['/a/bc', '/a/b', false],
    ['/a', '/a/b', false],
    ['/a', '/', true],
    ['/', '/', true],
  ])('%s is at or below %s: %s', (path, root, expected) => {
    expect(isAtOrBelow(at(path), at(root))).toBe(expected);
  });

  it('compares bytes where names are not UTF-8', () => {
    const root = Buffer.from('/a/\xff', 'latin1');
    expect(isAtOrBelow(at(Buffer.from('/a/\xff/b', 'latin1')), at(root))).toBe(true);
    expect(isAtOrBelow(at(Buffer.from('/a/\xfe/b', 'latin1')), at(root))).toBe(false);
    expect(isAtOrBelow(at(Buffer.from('/a/\xff', 'latin1')), at('/a'))).toBe(true);
  });

  it('knows the root as an entry of its parent', () => {
    expect(isEntry(at('/a'), Buffer.from('b'), at('/a/b'))).toBe(true);
    expect(isEntry(at('/'), Buffer.from('b'), at('/b'))).toBe(true);
    expect(isEntry(at('/a'), Buffer.from('c'), at('/a/b'))).toBe(false);
  });

  it('tells the path relative to the root', () => {
    expect(relativePath(Buffer.from('/a/b/c'), at('/a'))).toBe('b/c');
    expect(relativePath(Buffer.from('/a'), at('/a'))).toBe('');
    expect(relativePath(Buffer.from('/b'), at('/'))).toBe('b');
    expect(relativePath(Buffer.from('/ab'), at('/a'))).toBeUndefined();
  });
});

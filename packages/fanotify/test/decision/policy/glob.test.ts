// What globs of policies mean beyond what they share with picomatch, and what they cost.

import { expect, test } from 'vitest';
import { compileGlob, globTest } from '../../../src/decision/policy/glob.ts';

function matches(glob: string, ...paths: string[]): boolean[] {
  const tests = compileGlob(glob).map(globTest);
  return paths.map((path) => tests.some((one) => one(path)));
}

test('line ends and other odd characters hide no name, in whatever form a glob has', () => {
  const odd = ['\n', '\r', '\u2028', '\u2029', '\u0085', '\ufffd', '\u{1f600}', '\ud800'];
  for (const character of odd) {
    const path = `/srv/up${character}load/x${character}.exe`;
    const globs = [
      '*.exe',
      'x*',
      'x?.exe',
      '*',
      '**',
      '/srv/**',
      '/srv/*/*.exe',
      '/srv/up?load/**',
      '**/*.exe',
      '**/up*/**',
      '/**/x*',
      '/srv/up[!a]load/*',
    ];
    for (const glob of globs) expect([glob, matches(glob, path)]).toEqual([glob, [true]]);
  }
});

test('brackets, quotes and the like are what they are; a backslash makes the rest so', () => {
  expect(matches('/srv/a (1).txt', '/srv/a (1).txt', '/srv/a 1.txt')).toEqual([true, false]);
  expect(matches('/srv/"a"', '/srv/"a"', '/srv/a')).toEqual([true, false]);
  expect(matches('a+b|c$', '/x/a+b|c$')).toEqual([true]);
  expect(matches('\\*\\?\\[\\{\\}\\\\', '/x/*?[{}\\', '/x/a?[{}\\')).toEqual([true, false]);
  expect(matches('\\d', '/d', '/1')).toEqual([true, false]);
  expect(matches('\\!a', '/!a')).toEqual([true]);
  expect(matches('\\$x', '/$x')).toEqual([true]);
  expect(matches('[]a]b', '/]b', '/ab', '/[]a]b')).toEqual([true, true, false]);
  expect(matches('[a-c\\-]', '/b', '/-', '/d')).toEqual([true, true, false]);
  expect(matches('[!a-c]', '/b', '/d')).toEqual([false, true]);
  expect(matches('[\u{1f600}-\u{1f64f}]', '/\u{1f601}', '/\ud83d')).toEqual([true, false]);
});

test('braces are spelt out, within one another too', () => {
  expect(matches('/{a,b{c,d}}/x', '/a/x', '/bc/x', '/bd/x', '/b/x')).toEqual([true, true, true, false]);
  expect(matches('*.{exe,dll,}', '/a.exe', '/a.', '/a')).toEqual([true, true, false]);
  expect(matches('{/srv,/home}/**', '/srv/a', '/home', '/var')).toEqual([true, true, false]);
});

test('the kinds that are looked up', () => {
  const kinds = Object.fromEntries(
    [
      'foreign',
      '/a/b',
      '/a/**',
      '/**',
      'x',
      '*.x',
      '**/x',
      '/**/*.x',
      '/a/*',
      '**/x/*.y',
      '*x*',
      '/*/y',
      '\\*.x',
      '**/foreign',
    ].map((glob) => [glob, compileGlob(glob)]),
  );
  expect(kinds).toEqual({
    foreign: [{ kind: 'foreign' }],
    '/a/b': [{ kind: 'path', path: '/a/b' }],
    '/a/**': [{ kind: 'below', directory: '/a' }],
    '/**': [{ kind: 'below', directory: '' }],
    x: [{ kind: 'name', name: 'x' }],
    '*.x': [{ kind: 'suffix', suffix: '.x' }],
    '**/x': [{ kind: 'name', name: 'x' }],
    '/**/*.x': [{ kind: 'suffix', suffix: '.x' }],
    '/a/*': [{ kind: 'pattern', glob: '/a/*', directory: '/a' }],
    '**/x/*.y': [{ kind: 'pattern', glob: '/**/**/x/*.y', directory: '', end: { suffix: '.y' }, part: 'x' }],
    '*x*': [{ kind: 'pattern', glob: '/**/*x*', directory: '' }],
    '/*/y': [{ kind: 'pattern', glob: '/*/y', directory: '', end: { name: 'y' } }],
    '\\*.x': [{ kind: 'name', name: '*.x' }],
    '**/foreign': [{ kind: 'name', name: 'foreign' }],
  });
});

test('no name makes a glob take long', () => {
  const worst = [
    '**/a*b*c*d*e*f*g*',
    '**/*a*a*a*a*a*a*a*a*b',
    `/${'**/a*/'.repeat(20)}b`,
    '**/*/*/*/*/*/*/*/b',
    `*${'?*'.repeat(50)}b`,
  ];
  const paths = [
    `/${'a'.repeat(4_000)}`,
    `/${'abcdefg'.repeat(570)}!`,
    '/a'.repeat(2_040),
    '/aaaaaaaaaaaaaaaaaaa'.repeat(200),
  ];
  for (const glob of worst) {
    const tests = compileGlob(glob).map(globTest);
    const startMs = performance.now();
    for (const path of paths) for (const one of tests) one(path);
    // Milliseconds, where regular expressions take minutes; a slow machine is not what is tested.
    expect(performance.now() - startMs).toBeLessThan(500);
  }
});

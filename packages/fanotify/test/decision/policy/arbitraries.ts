// Random policies and accesses, of few words, so that they meet.

import fc from 'fast-check';
import { KINDS } from '../../../src/decision/permission.ts';
import type { FileFacts, Place, Subject } from '../../../src/decision/policy/subject.ts';
import type { PlainGlobs, PlainRule } from './reference.ts';

const NAMES = ['a', 'b', 'ab', 'a.exe', '.exe', 'b\n.exe', '.a', 'x y', 'ä', '\ufffd.exe', 'aab'];
const name = fc.constantFrom(...NAMES);
export const path = fc.array(name, { maxLength: 4 }).map((names) => `/${names.join('/')}`);

const PIECES = [
  'a',
  'b',
  '*',
  '?',
  '.exe',
  'a*',
  '*b',
  '*.exe',
  '[ab]',
  '[!a]',
  '{a,b}',
  'a*b',
  '*a*',
  '.a',
  '{a,*.exe}',
  '?*',
  'x y',
];
const piece = fc.constantFrom(...PIECES);
/** Of those globs that mean the same to picomatch. */
export const glob = fc.oneof(
  piece,
  fc.constant('**'),
  fc
    .tuple(fc.constantFrom('/', '**/'), fc.array(fc.oneof(piece, fc.constant('**')), { minLength: 1, maxLength: 4 }))
    .map(([start, pieces]) => `${start}${pieces.join('/')}`),
  fc
    .array(
      name.filter((text) => !text.includes('\ufffd')),
      { minLength: 1, maxLength: 3 },
    )
    .map((names) => `/${names.join('/')}`),
  fc.constantFrom('/a/**', '/a/b/**', '**/a'),
);

const globOrForeign = fc.oneof({ weight: 8, arbitrary: glob }, { weight: 1, arbitrary: fc.constant('foreign') });
function halves<Item>(item: fc.Arbitrary<Item>): fc.Arbitrary<{ positive: Item[]; negative: Item[] }> {
  return fc
    .record({ positive: fc.array(item, { maxLength: 2 }), negative: fc.array(item, { maxLength: 1 }) })
    .filter(({ positive, negative }) => positive.length + negative.length > 0);
}
const globs: fc.Arbitrary<PlainGlobs> = halves(globOrForeign);
const id = fc.nat(4);
const numbers = halves(fc.tuple(id, fc.nat(1)).map(([least, more]) => [least, least + more] as const));
const bits = fc.constantFrom(0o4000, 0o111, 0o002);
const container = fc.oneof(
  fc.constant({ kind: 'any' } as const),
  fc.constant({ kind: 'none' } as const),
  fc.constant({ kind: 'id', id: 'c0' } as const),
  fc.constant({ kind: 'runtime', runtime: 'docker' } as const),
);
export const DIGESTS = [['d0'], ['d1', 'd0'], []];

/** A rule with few conditions. */
export const rule: fc.Arbitrary<PlainRule> = fc
  .record({
    action: fc.constantFrom('allow', 'deny', 'ask', 'scan'),
    conditions: fc.subarray(
      ['on', 'path', 'owner', 'group', 'mode', 'size', 'exe', 'uid', 'gid', 'ancestor', 'container', 'sha256'],
      { maxLength: 3 },
    ),
    all: fc.record({
      on: fc.integer({ min: 1, max: 15 }),
      path: globs,
      owner: numbers,
      group: numbers,
      mode: halves(bits),
      size: fc.tuple(id, id).map(([a, b]) => ({ least: Math.min(a, b), most: Math.max(a, b) })),
      exe: globs,
      uid: numbers,
      gid: numbers,
      ancestor: globs,
      container: halves(container),
      sha256: halves(fc.nat(DIGESTS.length - 1)),
    }),
  })
  .map(({ action, conditions, all }) => {
    const said = Object.fromEntries(Object.entries(all).filter(([key]) => conditions.includes(key)));
    return { name: 'r', line: 1, column: 1, action, ...said } as PlainRule;
  });

export const place: fc.Arbitrary<Place> = fc.oneof(
  { weight: 6, arbitrary: path.map((at) => ({ state: 'here', path: at }) as const) },
  { weight: 2, arbitrary: path.map((at) => ({ state: 'foreign', path: at }) as const) },
  { weight: 1, arbitrary: fc.constant({ state: 'elsewhere', path: null } as const) },
  { weight: 1, arbitrary: fc.constant({ state: 'unknown', path: null } as const) },
);

export interface PlainSubject extends Subject {
  readonly file: FileFacts | undefined;
}

export const subject: fc.Arbitrary<PlainSubject> = fc.record({
  kind: fc.constantFrom(...KINDS),
  place,
  file: fc.option(fc.record({ uid: id, gid: id, mode: fc.constantFrom(0o100644, 0o104755, 0o100646), sizeBytes: id }), {
    nil: undefined,
    freq: 6,
  }),
  exe: place,
  user: fc.option(fc.record({ uid: id, gids: fc.array(id, { maxLength: 2 }) }), { nil: undefined, freq: 6 }),
  ancestors: fc.array(place, { maxLength: 3 }),
  container: fc.constantFrom(null, undefined, { id: 'c01', runtime: 'docker' }, { id: 'd1', runtime: 'podman' }),
  sha256: fc.constantFrom(undefined, null, 'd0', 'd1', 'd2'),
});

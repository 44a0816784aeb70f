// An access on its way through the gates of several subtrees: each of them says where it is.

import { expect, test } from 'vitest';
import { Passage } from '../../src/core/feed/subtrees.ts';
import type { CoreGroup } from '../../src/core/group.ts';
import { Filesystem, MarkedObject, Subtree } from '../../src/core/marks.ts';
import { Access } from '../../src/decision/access.ts';

type Place = 'inside' | 'outside' | 'unsettled';

function* gates(...places: Place[]) {
  const filesystem = new Filesystem<CoreGroup>(0, 1n);
  for (const [at, place] of places.entries()) {
    const root = new MarkedObject(filesystem, BigInt(at), 0n, true);
    yield [new Subtree(root), { place: () => place }] as const;
  }
}

const insideOf = ({ inside }: Passage) => inside.map(({ root }) => Number(root.ino));

test('what a gate has to settle first is looked at by the gates after it, too', () => {
  const passage = new Passage(
    new Access(3, 1, 0, null, 0),
    gates('inside', 'unsettled', 'inside', 'unsettled', 'outside'),
  );
  expect(passage.goOn()).toBe(false);
  passage.settled({ isInside: false });
  expect(passage.goOn()).toBe(false);
  passage.settled({ isInside: true });
  expect(passage.goOn()).toBe(true);
  expect(insideOf(passage)).toEqual([0, 2, 3]);
});

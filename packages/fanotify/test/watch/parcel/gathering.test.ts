// What several changes of one path become.

import { describe, expect, it } from 'vitest';
import { EventList } from '../../../src/watch/parcel/gathering.ts';

type Step = 'create' | 'update' | 'delete';

const told = (...steps: Step[]) => {
  const list = new EventList();
  for (const step of steps) list[step]('/a');
  return list.take().map(({ type }) => type);
};

describe('of one path', () => {
  it.each<[Step[], Step[]]>([
    [['create', 'update'], ['create']],
    [['create', 'delete'], []],
    [['create', 'delete', 'create'], ['create']],
    [['update', 'update'], ['update']],
    [['update', 'delete'], ['delete']],
    [['delete', 'create'], ['update']],
    [['delete', 'create', 'delete'], ['delete']],
    [['delete', 'create', 'update'], ['update']],
  ])('%j becomes %j', (steps, expected) => {
    expect(told(...steps)).toEqual(expected);
  });
});

it('tells paths in the order of their bytes', () => {
  const names = ['/b', '/a/x', '/a', '/a.b', '/é', '/\uffff', '/😀', '/B'];
  const list = new EventList();
  for (const name of names) list.create(name);
  const bytewise = names.map((name) => Buffer.from(name)).sort(Buffer.compare);
  expect(list.take().map(({ path }) => path)).toEqual(bytewise.map(String));
});

// A group of the descriptors broker whose core is refused something by the kernel.

import { describe, expect, test } from 'vitest';
import { DescriptorsGroup, type DescriptorsGroupParts } from '../../src/broker/descriptors/descriptors-group.ts';
import { CallError } from '../../src/core/errors.ts';

function closing(error: Error) {
  const done: string[] = [];
  const group = new DescriptorsGroup({
    group: { deadlineMs: 5_000 },
    connection: { rights: { limits: {} } },
    core: {
      close: () => {
        throw error;
      },
    },
    sight: { close: () => void done.push('sight') },
    closed: () => void done.push('closed'),
  } as unknown as DescriptorsGroupParts);
  return { group, done };
}

describe('a group that is closed', () => {
  test('is closed even if the kernel refuses to change its marks for that', () => {
    const { group, done } = closing(new CallError('ENOMEM', 'the kernel does not mark this file system'));
    group.close();
    expect(done).toEqual(['sight', 'closed']);
  });

  test('hides no mistake of the broker', () => {
    const { group } = closing(new TypeError('a mistake'));
    expect(() => group.close()).toThrow('a mistake');
  });
});

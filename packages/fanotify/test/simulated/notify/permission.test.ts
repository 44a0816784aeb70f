// Permission events: who is held, who is asked first, and what ends it.

import { beforeEach, describe, expect, it } from 'vitest';
import * as abi from '../../../src/abi/index.ts';
import type { OpenFile } from '../../../src/simulated/files/objects.ts';
import { openQuietly } from '../../../src/simulated/files/open-file.ts';
import { read } from '../../../src/simulated/files/read-write.ts';
import { Call, outcome, World } from './world.ts';

const { FAN_ALLOW, FAN_AUDIT, FAN_DENY, FAN_INFO, FAN_MARK_ADD, FAN_NONBLOCK, FAN_NOFD } = abi;
const { FAN_OPEN, FAN_OPEN_PERM, FAN_ACCESS_PERM, FAN_PRE_ACCESS, FAN_CLASS_CONTENT, FAN_CLASS_PRE_CONTENT } = abi;
const EIO = 5;
const EACCES = 13;

let world: World;
beforeEach(() => {
  world = new World();
  world.file('/m/a');
});

function gate(flags = FAN_CLASS_CONTENT, mask = FAN_OPEN_PERM): OpenFile {
  const group = world.group(flags | FAN_NONBLOCK);
  world.mark(group, FAN_MARK_ADD, mask, '/m/a');
  return group;
}

/** Reads the one event that waits, and answers it. */
function answer(group: OpenFile, response: number): void {
  const [event] = world.events(group);
  if (event === undefined) throw new Error('nobody asked');
  world.write(group, abi.encodeResponse(event.fd, response));
}

function answerWord(group: OpenFile, fd: number, word: number, info = Buffer.alloc(0)): unknown {
  const bytes = Buffer.alloc(8);
  bytes.writeInt32LE(fd, 0);
  bytes.writeUInt32LE(word >>> 0, 4);
  return outcome(() => world.write(group, Buffer.concat([bytes, info])));
}

describe('an open', () => {
  it('is held until it is allowed', () => {
    const group = gate();
    const opening = world.opening('/m/a');
    expect(opening.result).toBe('held');
    answer(group, FAN_ALLOW);
    opening.resume();
    expect(opening.result).toBeTypeOf('number');
  });

  it('fails with EPERM when it is denied, and is not told as an open', () => {
    const group = gate(FAN_CLASS_CONTENT, FAN_OPEN_PERM | FAN_OPEN);
    const opening = world.opening('/m/a');
    answer(group, FAN_DENY);
    opening.resume();
    expect(opening.result).toBe('EPERM');
    expect(world.events(group)).toEqual([]);
  });

  it('goes on when the group closes, read or not', () => {
    const groups = [gate(), gate()];
    const [first, second] = groups as [OpenFile, OpenFile];
    const opening = world.opening('/m/a');
    world.events(first);
    world.closeGroup(first);
    opening.resume();
    expect(opening.result).toBe('held');
    world.closeGroup(second);
    opening.resume();
    expect(opening.result).toBeTypeOf('number');
  });

  it('passes unseen through a full queue', () => {
    world.machine.limits.maxQueuedEvents = 1;
    const group = gate(FAN_CLASS_CONTENT, FAN_OPEN_PERM | FAN_OPEN);
    world.as(world.child(), () => world.opening('/m/a'));
    expect(world.opening('/m/a').result).toBeTypeOf('number');
    expect(world.events(group).map(({ mask }) => mask)).toEqual([FAN_OPEN_PERM, abi.FAN_Q_OVERFLOW]);
  });

  it('fails with ENOMEM when there is no memory to ask', () => {
    gate();
    world.machine.faults.failAt('event', 1);
    expect(world.opening('/m/a').result).toBe('ENOMEM');
  });

  it('is denied when the reader has no descriptor left, told or not', () => {
    for (const flag of [0, abi.FAN_REPORT_FD_ERROR]) {
      const group = gate(FAN_CLASS_CONTENT | flag);
      const opening = world.opening('/m/a');
      world.spareDescriptors = 0;
      const read = outcome(() => world.read(group).readInt32LE(16));
      expect(read).toBe(flag === 0 ? 'EMFILE' : -24);
      opening.resume();
      expect(opening.result).toBe('EPERM');
      world.spareDescriptors = 100;
      world.closeGroup(group);
    }
  });
});

describe('an open to execute', () => {
  it('is asked for as that first, then as an open', () => {
    const group = gate(FAN_CLASS_CONTENT, FAN_OPEN_PERM | abi.FAN_OPEN_EXEC_PERM);
    const file = openQuietly(world.at('/m/a'), 0);
    file.quiet = 'none';
    const opening = new Call(world.fsnotify.openPermission(file, true));
    const asked: string[] = [];
    while (opening.heldBy !== undefined) {
      const [event] = world.events(group);
      asked.push(...abi.maskNames(event?.mask ?? 0n));
      world.write(group, abi.encodeResponse(event?.fd ?? -1, FAN_ALLOW));
      opening.resume();
    }
    expect(asked).toEqual(['FAN_OPEN_EXEC_PERM', 'FAN_OPEN_PERM']);
  });
});

describe('groups', () => {
  it('are asked by class, one after the other, and the first denial decides', () => {
    const content = gate(FAN_CLASS_CONTENT);
    const preContent = gate(FAN_CLASS_PRE_CONTENT);
    const opening = world.opening('/m/a');
    expect(world.read(preContent).length).toBe(24);
    expect(outcome(() => world.read(content))).toBe('EAGAIN');
    world.closeGroup(preContent);
    opening.resume();
    expect(opening.result).toBe('held');
    answer(content, FAN_DENY);
    opening.resume();
    expect(opening.result).toBe('EPERM');
  });

  it('that come while one is asked are asked too, if it is their turn yet', () => {
    const preContent = gate(FAN_CLASS_PRE_CONTENT);
    const opening = world.opening('/m/a');
    const late = gate(FAN_CLASS_CONTENT);
    const tooLate = gate(FAN_CLASS_PRE_CONTENT);
    world.closeGroup(preContent);
    opening.resume();
    expect(outcome(() => world.read(tooLate).length)).toBe(24);
    world.closeGroup(tooLate);
    opening.resume();
    expect(outcome(() => world.read(late).length)).toBe(24);
  });
});

describe('whoever is killed while held', () => {
  it('asks nobody any more, unless it was read: then it is answered all the same', () => {
    const group = gate();
    world.opening('/m/a').kill();
    expect(outcome(() => world.read(group))).toBe('EAGAIN');

    const opening = world.opening('/m/a');
    const [event] = world.events(group);
    opening.kill();
    expect(answerWord(group, event?.fd ?? -1, FAN_ALLOW)).toBe(8);
    expect(answerWord(group, event?.fd ?? -1, FAN_ALLOW)).toBe('ENOENT');
  });
});

describe('content', () => {
  it('is asked for before it is read: FAN_PRE_ACCESS in whole pages, then FAN_ACCESS_PERM', () => {
    const group = gate(FAN_CLASS_PRE_CONTENT, FAN_PRE_ACCESS | FAN_ACCESS_PERM);
    const fd = world.open('/m/a');
    const reading = new Call(read(world.machine, fd, Buffer.alloc(10), 4090));
    expect(abi.decodeEvents(world.read(group))).toMatchObject([
      { mask: FAN_PRE_ACCESS, records: [{ type: 'RANGE', offset: 0n, count: 8192n }] },
    ]);
    world.write(group, abi.encodeResponse(500, FAN_ALLOW));
    reading.resume();
    expect(world.events(group)).toMatchObject([{ mask: FAN_ACCESS_PERM, records: [] }]);
    world.write(group, abi.encodeResponse(501, FAN_ALLOW));
    reading.resume();
    expect(reading.result).toBe(0);
  });

  it('is asked for as it was wanted when the file was opened: with FAN_PRE_ACCESS alone, FAN_ACCESS_PERM comes too late', () => {
    const group = gate(FAN_CLASS_PRE_CONTENT, FAN_PRE_ACCESS);
    const fd = world.open('/m/a');
    world.mark(group, FAN_MARK_ADD, FAN_ACCESS_PERM, '/m/a');
    const reading = new Call(read(world.machine, fd, Buffer.alloc(10)));
    answer(group, FAN_ALLOW);
    reading.resume();
    expect(reading.result).toBe(0);
  });

  it('is asked for by FAN_PRE_ACCESS that came after the open, where FAN_ACCESS_PERM was wanted then', () => {
    const group = gate(FAN_CLASS_PRE_CONTENT, FAN_ACCESS_PERM);
    const fd = world.open('/m/a');
    world.mark(group, FAN_MARK_ADD, FAN_PRE_ACCESS, '/m/a');
    new Call(read(world.machine, fd, Buffer.alloc(10)));
    expect(world.events(group)).toMatchObject([{ mask: FAN_PRE_ACCESS }]);
  });

  it('is not asked for by a file that was open before', () => {
    const fd = world.open('/m/a');
    gate(FAN_CLASS_CONTENT, FAN_ACCESS_PERM);
    expect(new Call(read(world.machine, fd, Buffer.alloc(10))).result).toBe(0);
  });
});

describe('an answer', () => {
  it.each([
    ['neither', 0, 'EINVAL'],
    ['both', FAN_ALLOW | FAN_DENY, 'EINVAL'],
    ['an unknown bit', FAN_ALLOW | 0x100, 'EINVAL'],
    ['an audit record that was not asked for', FAN_ALLOW | FAN_AUDIT, 'EINVAL'],
    ['an errno of a group that may not', FAN_DENY | (EIO << 24), 'EINVAL'],
    ['a rule that does not come', FAN_ALLOW | FAN_INFO, 'EINVAL'],
    ['no descriptor of ours', FAN_ALLOW, 'ENOENT'],
  ])('of %s is refused', (_name, word, refusal) => {
    expect(answerWord(gate(), 77, word)).toBe(refusal);
  });

  it('may name an errno in a group of FAN_CLASS_PRE_CONTENT, one that a file could fail with', () => {
    const group = gate(FAN_CLASS_PRE_CONTENT);
    const opening = world.opening('/m/a');
    const [event] = world.events(group);
    const fd = event?.fd ?? -1;
    expect(answerWord(group, fd, FAN_DENY | (EACCES << 24))).toBe('EINVAL');
    expect(answerWord(group, fd, FAN_ALLOW | (EIO << 24))).toBe('EINVAL');
    expect(answerWord(group, fd, FAN_DENY | (EIO << 24))).toBe(8);
    opening.resume();
    expect(opening.result).toBe('EIO');
  });

  it('may have an audit rule, also for nothing at all', () => {
    const group = gate(FAN_CLASS_CONTENT | abi.FAN_ENABLE_AUDIT);
    const rule = { ruleNumber: 1, subjectTrust: 2, objectTrust: 2 };
    const bytes = abi.encodeResponse(FAN_NOFD, FAN_ALLOW, { auditRule: rule });
    expect(world.write(group, bytes)).toBe(24);
    expect(answerWord(group, FAN_NOFD, FAN_ALLOW)).toBe('EINVAL');
    for (const at of [8, 9, 10]) {
      const wrong = Buffer.from(bytes);
      wrong.writeUInt8(wrong.readUInt8(at) + 1, at);
      expect(outcome(() => world.write(group, wrong))).toBe('EINVAL');
    }
  });

  it('takes its eight bytes and no more of what follows', () => {
    const group = gate();
    world.opening('/m/a');
    const [event] = world.events(group);
    expect(answerWord(group, event?.fd ?? -1, FAN_ALLOW, Buffer.alloc(8))).toBe(8);
    expect(outcome(() => world.write(group, Buffer.alloc(7)))).toBe('EINVAL');
  });
});

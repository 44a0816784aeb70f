// That the replayer can fail: it finds every expectation that is wrong, and leaves the machine as it was.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LinuxKernel } from '../../src/kernel/index.ts';
import { CaseError } from './applies.ts';
import { type Case, type ExpectedEvent, loadSuites, type Outcome, OWN_FOLDER, type Step } from './case.ts';
import { compareEvents } from './compare.ts';
import { mountScratch, type ScratchFilesystem, whyNotPrivate } from './filesystems.ts';
import { LinuxMachine } from './linux-machine.ts';
import { ConformanceError, replay } from './replay.ts';

const refused = whyNotPrivate();

describe('comparing events', () => {
  const opened: ExpectedEvent = {
    mask: ['FAN_OPEN'],
    pid: 'self',
    fd: 'NOFD',
    info: [{ type: 'FID', object: 'file' }],
  };
  const closed: ExpectedEvent = { ...opened, mask: ['FAN_CLOSE_NOWRITE'] };
  const both: ExpectedEvent = { ...opened, mask: ['FAN_CLOSE_NOWRITE', 'FAN_OPEN'] };
  const other: ExpectedEvent = { ...opened, info: [{ type: 'FID', object: 'other' }] };

  it('takes a mask as a set', () => {
    expect(compareEvents([both], [{ ...both, mask: ['FAN_OPEN', 'FAN_CLOSE_NOWRITE'] }])).toBeUndefined();
  });

  it('lets a merged mask arrive split only where that is allowed', () => {
    expect(compareEvents([both, other], [opened, other, closed], true)).toBeUndefined();
    expect(compareEvents([both, other], [opened, other, closed])).toMatch(/event 1: mask lacks FAN_CLOSE_NOWRITE/);
    expect(compareEvents([both], [opened], true)).toMatch(/mask lacks FAN_CLOSE_NOWRITE/);
    expect(compareEvents([both], [both, { ...opened, mask: ['FAN_ATTRIB'] }], true)).toMatch(/has also FAN_ATTRIB/);
  });

  it('does not join what the kernel never merges', () => {
    const directory: ExpectedEvent = { ...opened, mask: ['FAN_OPEN', 'FAN_ONDIR'] };
    expect(compareEvents([{ ...opened, mask: ['FAN_OPEN', 'FAN_ONDIR'] }], [opened, directory], true)).toBeDefined();
  });

  it.each<[string, ExpectedEvent]>([
    ['another bit', { ...opened, mask: ['FAN_OPEN', 'FAN_ATTRIB'] }],
    ['another process', { ...opened, pid: 'child' }],
    ['a descriptor', { ...opened, fd: 'valid' }],
    ['another object', other],
    ['another type of record', { ...opened, info: [{ type: 'DFID', object: 'file' }] }],
    ['a record less', { ...opened, info: [] }],
    ['a record more', { ...opened, info: [...(opened.info ?? []), { type: 'PIDFD', pidfd: 'valid' }] }],
  ])('finds %s', (_what, got) => {
    expect(compareEvents([opened], [got])).toMatch(/^event 1: /);
  });

  it('finds events that are missing, too many, or in another order', () => {
    expect(compareEvents([opened, other], [opened])).toMatch(/event 2: missing/);
    expect(compareEvents([opened], [opened, other])).toMatch(/event 2: not expected/);
    expect(compareEvents([opened, other], [other, opened])).toMatch(/event 1: record 1: object/);
  });

  it('leaves alone what the case does not say', () => {
    expect(compareEvents([{ mask: ['FAN_OPEN'] }], [opened])).toBeUndefined();
    expect(compareEvents([{ ...opened, info: [{ type: 'FID', object: '?' }] }], [other])).toBeUndefined();
  });
});

describe.skipIf(refused !== undefined)(`the replayer on tmpfs${refused === undefined ? '' : ` (${refused})`}`, () => {
  let scratch: ScratchFilesystem;
  let machine: LinuxMachine;

  beforeAll(() => {
    scratch = mountScratch('tmpfs');
    machine = new LinuxMachine(new LinuxKernel(), scratch);
  });

  afterAll(() => {
    machine?.dispose();
    scratch?.unmount();
  });

  const file = [{ kind: 'file', path: '$M/f1' }] as const;
  const init = (...flags: string[]): Step => ({
    do: 'init',
    group: 'g0',
    flags: ['FAN_NONBLOCK', ...flags],
    expect: 'ok',
  });
  const mark = (...mask: string[]): Step => ({
    do: 'mark',
    group: 'g0',
    flags: ['FAN_MARK_ADD'],
    mask,
    path: '$M/f1',
    expect: 'ok',
  });
  const hold: Case = { id: 'hold', fixture: file, steps: [init('FAN_CLASS_CONTENT'), mark('FAN_OPEN_PERM')] };
  const openByChild = { op: 'openclose', path: '$M/f1' };
  const asked = { mask: ['FAN_OPEN_PERM'], pid: 'child', path: '$M/f1' };
  const run = (conformanceCase: Case, stepLimitMs?: number) => replay(conformanceCase, machine, [], stepLimitMs);
  const holding = (step: Omit<Extract<Step, { do: 'permChild' }>, 'do'>): Case => ({
    ...hold,
    steps: [...hold.steps, { do: 'permChild', ...step }],
  });

  for (const suite of loadSuites(OWN_FOLDER) ?? []) {
    const cases = suite.cases.filter(({ fs, requires }) => requires === undefined && (fs?.includes('tmpfs') ?? true));
    it.skipIf(cases.length === 0)(`finds each wrong expectation in ${suite.suite}`, () => {
      for (const conformanceCase of cases) {
        const { observed: _, ...plain } = conformanceCase;
        for (const [index, wrong] of mutants(plain)) {
          const found = failureOf(() => replay(wrong, machine, suite.fixture));
          expect(found, `${conformanceCase.id}, step ${index + 1}`).toBeInstanceOf(ConformanceError);
          expect(found).toHaveProperty('message', expect.stringContaining(`step ${index + 1}: `));
        }
      }
    });
  }

  it('finds what differs from observed where the steps expect nothing', () => {
    const steps: Step[] = [init(), mark('FAN_OPEN'), { do: 'fs', op: 'rmdir', path: '$M/f1' }];
    const observed = (answer: string) => ({ tmpfs: ['ok', 'ok', answer], ext4: ['EIO'] });
    run({ id: 'right', fixture: file, steps, observed: observed('ENOTDIR') });
    expect(() => run({ id: 'wrong', fixture: file, steps, observed: observed('ok') })).toThrow(/not as observed/);
    expect(() => run({ id: 'short', fixture: file, steps, observed: { tmpfs: ['ok'] } })).toThrow(CaseError);
  });

  it('says which step failed, what was expected and what came', () => {
    const steps: Step[] = [
      init(),
      mark('FAN_OPEN'),
      { do: 'fs', op: 'openclose', path: '$M/f1' },
      { do: 'read', group: 'g0', expect: [{ mask: ['FAN_CLOSE'], pid: 'child' }] },
    ];
    expect(() => run({ id: 'told', fixture: file, steps })).toThrow(
      /told on tmpfs \(Linux .*\), step 4: .*\n {2}event 1: mask lacks FAN_CLOSE\n.*\n.*CLOSE pid=child\n.*\n.*OPEN pid=self/,
    );
  });

  it('repeats the last answer only when it is told to', () => {
    const twice = { ops: [openByChild, openByChild], expect: ['ok', 'ok'] };
    run(holding({ ...twice, events: [asked], repeatLast: true }));
    expect(() => run(holding({ ...twice, events: [asked] }))).toThrow(/event 2: not expected/);
  });

  it('lets go what is held when time is up, and goes on', () => {
    const unanswered = holding({ ops: [openByChild], events: [{ ...asked, response: 'none' }], expect: ['ok'] });
    expect(() => run(unanswered, 100)).toThrow(/not done after 0.1 s.*\n.*OPEN_PERM pid=child/);
    run(holding({ ops: [openByChild], events: [{ ...asked, response: 'FAN_DENY' }], expect: ['EPERM'] }));
  });

  it('lets go a child that is held where the case forgot it', () => {
    const forgotten: Case = { ...hold, steps: [...hold.steps, { do: 'child', ops: [openByChild] }] };
    expect(() => run(forgotten, 100)).toThrow(/not done after 0.1 s/);
  });

  it('refuses a case that would hold its own listener, or makes no sense', () => {
    const refuses = (...steps: Step[]) => expect(() => run({ id: 'no', fixture: file, steps })).toThrow(CaseError);
    refuses(...hold.steps, { do: 'fs', ...openByChild });
    refuses({ do: 'fs', op: 'exec', path: '/bin/true' });
    refuses({ do: 'read', group: 'nobody', expect: [] });
    refuses(init(), { do: 'dance' } as unknown as Step);
  });

  it('gives back what a failing case took', () => {
    const before = machine.kernel.readFile('/proc/self/limits').toString();
    const steps: Step[] = [
      { do: 'setuid', uid: 65_534 },
      { do: 'rlimitNofile', spare: 0 },
      { ...init('FAN_REPORT_FID'), expect: 'ok' } as Step,
    ];
    expect(() => run({ id: 'taken', steps })).toThrow(/expected: ok\n {2}got: {6}EMFILE/);
    expect(machine.kernel.readFile('/proc/self/limits').toString()).toBe(before);
    expect(machine.kernel.readFile('/proc/thread-self/status').toString()).toMatch(/^Uid:\t0\t0\t0\t0$/m);
  });
});

function failureOf(action: () => void): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

/** The case with one expectation made wrong, for each of its expectations, and the step that it is in. */
function* mutants(conformanceCase: Case): Generator<[index: number, wrong: Case]> {
  for (const [index, step] of conformanceCase.steps.entries()) {
    for (const wrong of wrongSteps(step)) {
      yield [index, { ...conformanceCase, steps: conformanceCase.steps.with(index, wrong) }];
    }
  }
}

function wrongSteps(step: Step): Step[] {
  switch (step.do) {
    case 'init':
    case 'mark':
    case 'writeRaw':
      return [{ ...step, expect: step.expect === 'ok' ? 'EXDEV' : 'ok' }];
    case 'readRaw':
      if (typeof step.expect === 'string') return [{ ...step, expect: step.expect === 'ok' ? 'EXDEV' : 'ok' }];
      return wrongEvents(step.expect, false).map((events) => ({ ...step, expect: events }));
    case 'fs':
      return step.expect === undefined ? [] : [{ ...step, expect: step.expect === 'EXDEV' ? 'ok' : 'EXDEV' }];
    case 'fdinfo':
      return [{ ...step, expect: [...step.expect, 'mount'] }];
    case 'waiting':
      return [{ ...step, expect: step.expect + 24 }];
    case 'read':
      if (!Array.isArray(step.expect)) return [];
      return wrongEvents(step.expect, step.matching === 'mergeable').map((events) => ({ ...step, expect: events }));
    case 'child':
      return step.expect === undefined ? [] : [{ ...step, expect: wrongOutcomes(step.expect) }];
    case 'answer':
      return step.expect === undefined ? [] : [{ ...step, expect: wrongOutcomes(step.expect) }];
    case 'permChild':
      return [
        // The answers stay as they are; only what is expected of the events changes.
        ...step.events
          .slice(0, 1)
          .map((event) => ({ ...step, events: step.events.with(0, { ...event, path: '$M/no' }) })),
        ...(step.expect === undefined ? [] : [{ ...step, expect: wrongOutcomes(step.expect) }]),
      ];
    default:
      return [];
  }
}

function wrongOutcomes(outcomes: readonly Outcome[]): Outcome[] {
  return outcomes.length === 0 ? ['EXDEV'] : outcomes.with(-1, 'EXDEV');
}

function wrongEvents(events: readonly ExpectedEvent[], mergeable: boolean): ExpectedEvent[][] {
  const last = events.at(-1);
  if (last === undefined) return [[{ mask: ['FAN_OPEN'] }]];
  const before = events.slice(0, -1);
  return [
    before,
    // What may arrive split may arrive twice.
    ...(mergeable ? [] : [[...events, last]]),
    [
      ...before,
      { ...last, mask: last.mask?.includes('FAN_Q_OVERFLOW') ? [] : [...(last.mask ?? []), 'FAN_Q_OVERFLOW'] },
    ],
    [...before, { ...last, pid: 'nobody' }],
  ];
}

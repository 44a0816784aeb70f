// A shrunk sequence as a conformance case: what the real kernel gave is what is expected.

import { parseMask } from '../../src/abi/index.ts';
import type { AnsweredEvent, Case, ExpectedEvent, Observed, Operation, Step } from '../conformance/case.ts';
import { holdsAccess } from '../conformance/numbers.ts';
import { UNNAMED } from '../conformance/observe.ts';
import type { Observation, Sequence } from './observation.ts';
import { WORLD } from './world.ts';

const MAKES: Readonly<Record<string, 'path' | 'to'>> = {
  open: 'path',
  openclose: 'path',
  mkdir: 'path',
  mknod: 'path',
  symlink: 'path',
  put: 'path',
  mountTmpfs: 'path',
  bindSelf: 'path',
  bind: 'to',
};
const MOUNTS = new Set(['mountTmpfs', 'bind', 'bindSelf']);

export function asCase(id: string, filesystem: string, sequence: Sequence, observations: readonly Observation[]): Case {
  const { steps: withNulls } = sequence;
  const steps: Step[] = [];
  const answers: Observed[] = [];
  const named = new Set<string>();
  const names = new Set<string>();
  for (const observation of observations) for (const word of wordsIn(observation)) names.add(word);
  const give = (step: Step) => steps.push(step);
  const name = (label: string, mounts: boolean) => {
    if (!names.has(label) || named.has(label)) return;
    named.add(label);
    give({ do: mounts ? 'mountId' : 'fid', path: label, as: label });
  };
  for (const label of ['$M', '$T', ...WORLD.map(({ path }) => path)]) {
    if (sequence.fixture.some(({ path }) => path === label) || label.length === 2) name(label, false);
  }
  withNulls.forEach((step, index) => {
    const observation = observations[index];
    if (observation === undefined) return;
    if (observation === null && step.do !== 'setuid') return;
    const expected = expecting(step, observation);
    give(expected);
    if (observation !== null && step.do !== 'child') answers.push(unnumbered(observation));
    const operations: readonly Operation[] = step.do === 'fs' ? [step] : 'ops' in step ? step.ops : [];
    for (const operation of operations) {
      const made = MAKES[operation.op];
      const label = made === undefined ? undefined : operation[made];
      if (label === undefined) continue;
      if (MOUNTS.has(operation.op)) name(label, true);
      else name(label, false);
    }
  });
  return { id, fs: [filesystem], fixture: sequence.fixture, steps, observed: { [filesystem]: answers } };
}

function expecting(step: Step, observation: Observation): Step {
  switch (step.do) {
    case 'init':
    case 'mark':
    case 'writeRaw':
      return { ...step, expect: typeof observation === 'number' ? 'ok' : String(observation) };
    case 'fs':
      return { ...step, expect: observation as string };
    case 'child':
    case 'permChild':
    case 'answer': {
      const { events, child } = observation as { events: ExpectedEvent[]; child: string[] };
      if (step.do === 'child' && events.length === 0) return { ...step, expect: child };
      return {
        ...step,
        do: step.do === 'child' ? 'permChild' : step.do,
        events: planned(step, events),
        expect: child,
      } as Step;
    }
    case 'read':
    case 'readRaw':
    case 'fdinfo':
    case 'waiting':
      return { ...step, expect: unnumbered(observation) } as Step;
    default:
      return step;
  }
}

/** The events of a step with the responses that it has for them: there is one for each that asks. */
function planned(
  step: Extract<Step, { do: 'child' | 'permChild' | 'answer' }>,
  events: readonly ExpectedEvent[],
): AnsweredEvent[] {
  const responses = step.do === 'child' ? [] : step.events.map(({ response }) => response);
  const told = unnumbered(events);
  const next = (): AnsweredEvent => {
    const response = responses.shift();
    return response === undefined ? {} : { response };
  };
  if (step.do !== 'answer') return told.map((event) => (asks(event) ? { ...event, ...next() } : event));
  // The first answer is to what it was left by.
  const [first, ...others] = told;
  const isRefused = first !== undefined && first.mask === undefined && first.answered !== undefined;
  const held = { ...next(), ...(isRefused && first) };
  return [held, ...(isRefused ? others : told).map((event) => (asks(event) ? { ...event, ...next() } : event))];
}

function asks({ mask = [] }: ExpectedEvent): boolean {
  return holdsAccess(parseMask(mask));
}

/** What has no name in the case is whatever it is. */
function unnumbered<T>(value: T): T {
  return JSON.parse(
    JSON.stringify(value, (_key, inner: unknown) =>
      typeof inner === 'string' && inner.startsWith(UNNAMED) ? '?' : inner,
    ),
  ) as T;
}

function wordsIn(observation: Observation): string[] {
  const words: string[] = [];
  JSON.stringify(observation, (key, value: unknown) => {
    if ((key === 'object' || key === 'mount') && typeof value === 'string') words.push(value);
    return value;
  });
  return words;
}

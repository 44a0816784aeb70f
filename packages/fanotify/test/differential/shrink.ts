// From a sequence in which two kernels differ, one that is as small as can be and still differs: delta debugging, of steps first,
// then of what is in them.

import type { Step } from '../conformance/case.ts';
import type { Sequence } from './observation.ts';

/** What the listener itself never does: it would be another program, or another user. */
const ANOTHERS: ReadonlySet<string> = new Set(['exec', 'spawn', 'become']);

/** Told of a smaller sequence, whether the kernels still differ. */
export type Differs = (sequence: Sequence) => boolean | Promise<boolean>;

export async function shrink(sequence: Sequence, differs: Differs): Promise<Sequence> {
  let smallest = sequence;
  for (let before = ''; before !== JSON.stringify(smallest); ) {
    before = JSON.stringify(smallest);
    const { steps } = smallest;
    const with_ = (fewer: readonly Step[]) => ({ ...smallest, steps: fewer });
    smallest = with_(await fewest(steps, async (fewer) => differs({ ...sequence, ...smallest, steps: fewer })));
    for (let index = 0; index < smallest.steps.length; index++) {
      for (const field of ['ops', 'events', 'mask', 'flags', 'eventFlags']) {
        const list = (smallest.steps[index] as Readonly<Record<string, unknown>>)[field];
        if (!Array.isArray(list) || list.length === 0) continue;
        const shortened = await fewest(list, async (fewer) => differs(replaced(smallest, index, field, fewer)));
        smallest = replaced(smallest, index, field, shortened);
      }
      smallest = await simplerStep(smallest, index, differs);
    }
    smallest = {
      ...smallest,
      fixture: await fewest(smallest.fixture, async (fixture) => differs({ ...smallest, fixture })),
    };
  }
  return smallest;
}

/** The fewest of a list that still differ: halves first, then single ones. */
async function fewest<T>(
  list: readonly T[],
  differs: (fewer: readonly T[]) => Promise<boolean>,
): Promise<readonly T[]> {
  let kept = list;
  for (let size = Math.ceil(kept.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let end = kept.length; end > 0; end -= size) {
      const fewer = [...kept.slice(0, Math.max(0, end - size)), ...kept.slice(end)];
      if (fewer.length < kept.length && (await differs(fewer))) kept = fewer;
    }
  }
  return kept;
}

/** Things that are plainer otherwise. */
async function simplerStep(sequence: Sequence, index: number, differs: Differs): Promise<Sequence> {
  let simplest = sequence;
  const attempts: ((step: Step) => Step | undefined)[] = [
    (step) => (step.do === 'init' && step.queue !== undefined ? without(step, 'queue') : undefined),
    (step) => (step.do === 'readRaw' ? { do: 'read', group: step.group, expect: [] } : undefined),
    (step) => {
      const [operation, ...others] = step.do === 'child' ? step.ops : [];
      if (operation === undefined || others.length > 0 || ANOTHERS.has(operation.op)) return undefined;
      return { do: 'fs', ...operation };
    },
    (step) =>
      step.do === 'permChild' && step.process ? { do: 'child', process: step.process, ops: step.ops } : undefined,
  ];
  for (const attempt of attempts) {
    const step = simplest.steps[index];
    const simpler = step && attempt(step);
    if (simpler === undefined) continue;
    const candidate = { ...simplest, steps: simplest.steps.with(index, simpler) };
    if (await differs(candidate)) simplest = candidate;
  }
  return simplest;
}

function without(step: Step, field: string): Step {
  return Object.fromEntries(Object.entries(step).filter(([name]) => name !== field)) as unknown as Step;
}

function replaced(sequence: Sequence, index: number, field: string, value: unknown): Sequence {
  const step = sequence.steps[index] as Step;
  return { ...sequence, steps: sequence.steps.with(index, { ...step, [field]: value } as Step) };
}

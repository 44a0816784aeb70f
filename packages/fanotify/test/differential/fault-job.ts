// `npm run differential -- --faults`: each deliberate fault of faults.json in the simulator, held against the simulator without it, until a
// sequence finds it.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type * as Simulated from '../simulated/simulated-machine.ts';
import { firstDifference } from './compare.ts';
import { generate } from './generator.ts';
import type { Observation, Sequence } from './observation.ts';
import type { Options } from './options.ts';
import { observe, type SequenceMachine } from './runner.ts';
import { NOT_OPEN } from './world.ts';

interface Fault {
  readonly name: string;
}

const FILESYSTEMS = ['tmpfs', 'ext4'];
const MOST_SEQUENCES = 100_000;

const options = JSON.parse(process.argv[2] ?? '') as Options;
const faults = JSON.parse(readFileSync(join(import.meta.dirname, 'faults.json'), 'utf8')) as Fault[];
const right = await machines('');
if ((await sequencesUntilFound('')) !== undefined) throw new Error('the simulator is not the same twice');
let missed = 0;
for (const { name } of faults) {
  const found = await sequencesUntilFound(name);
  if (found === undefined) missed++;
  console.log(`${String(found ?? 'never').padStart(7)}  ${name}`);
}
console.log(`${faults.length - missed} of ${faults.length} faults found`);
process.exit(missed === 0 ? 0 : 1);

/** How many sequences it takes; undefined: more than there is time for. */
async function sequencesUntilFound(name: string): Promise<number | undefined> {
  const wrong = await machines(name);
  const most = name === '' ? 200 : Math.min(options.sequences ?? MOST_SEQUENCES, MOST_SEQUENCES);
  for (let i = 0; i < most; i++) {
    const sequence = generate(options.seed + i);
    const [one, other] = [right[i % right.length], wrong[i % wrong.length]];
    if (one === undefined || other === undefined) throw new Error('no machine');
    if (firstDifference(sequence, observed(sequence, one), observed(sequence, other)) !== undefined) return i + 1;
  }
  return undefined;
}

/** One for each file system: sequences take turns. */
async function machines(fault: string): Promise<SequenceMachine[]> {
  const query = fault === '' ? '' : `?fault=${fault}`;
  const { SimulatedMachine } = (await import(`../simulated/simulated-machine.ts${query}`)) as typeof Simulated;
  return FILESYSTEMS.map((filesystem) => new SimulatedMachine(filesystem, 1, NOT_OPEN));
}

function observed(sequence: Sequence, machine: SequenceMachine): readonly Observation[] {
  try {
    return observe(sequence, machine);
  } catch (error) {
    return [`threw ${String(error)}`];
  }
}

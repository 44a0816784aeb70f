// Conformance cases on the simulated machine, as each file system.

import { describe, it } from 'vitest';
import { whyNot } from '../conformance/applies.ts';
import { GIVEN_FOLDER, loadSuites, OWN_FOLDER } from '../conformance/case.ts';
import { replay } from '../conformance/replay.ts';
import { SimulatedMachine } from './simulated-machine.ts';

const suites = [...(loadSuites(GIVEN_FOLDER) ?? []), ...(loadSuites(OWN_FOLDER) ?? [])];

/** A test for each case. */
export function testConformance(filesystem: string): void {
  describe(`conformance of the simulated ${filesystem}`, () => {
    const machine = new SimulatedMachine(filesystem);

    for (const suite of suites) {
      for (const conformanceCase of suite.cases) {
        // ext2 is there for the cases that ask for it.
        if (filesystem === 'ext2' && !conformanceCase.fs?.includes('ext2')) continue;
        it(`${suite.suite}: ${conformanceCase.id}`, (context) => {
          const unfit = whyNot(conformanceCase, machine, machine.kernel.release);
          if (unfit !== undefined) return context.skip(unfit);
          replay(conformanceCase, machine, suite.fixture);
        });
      }
    }
  });
}

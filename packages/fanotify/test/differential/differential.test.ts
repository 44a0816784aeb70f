// A short differential on each file system: the simulated kernel and the real one give the same.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LinuxKernel } from '../../src/kernel/index.ts';
import { whyNotMountable, whyNotPrivate } from '../conformance/filesystems.ts';
import { FastMachine } from './fast-machine.ts';
import { holdAgainst } from './hold-against.ts';
import { hasCompiler } from './other-processes.ts';
import { findingText } from './report-finding.ts';
import { simulatedMachine } from './simulated.ts';

// The same for each change, so that it is the change that is judged; `npm run differential` looks further.
const SEEDS = [1, 1_000_000];
const SEQUENCES = 100;

// It behaves as that one.
const LINUX = /^Linux 6\.18\./;

for (const filesystem of ['tmpfs', 'ext4']) {
  const reason = whyNotPrivate() ?? whyNotMountable(filesystem) ?? (hasCompiler ? otherLinux() : 'needs a C compiler');
  describe.skipIf(reason !== undefined)(
    `the differential on ${filesystem}${reason === undefined ? '' : ` (${reason})`}`,
    () => {
      let real: FastMachine;

      beforeAll(() => {
        real = new FastMachine(new LinuxKernel(), filesystem);
      });

      afterAll(() => {
        real?.dispose();
      });

      it.each(SEEDS)(`finds nothing in ${SEQUENCES} sequences from seed %i on`, async (seed) => {
        const course = { seed, stride: 1, sequences: SEQUENCES, untilMs: Number.POSITIVE_INFINITY, differences: 1 };
        const { sequences, findings } = await holdAgainst(course, real, simulatedMachine(filesystem));
        expect(findings.map(findingText)).toEqual([]);
        expect(sequences).toBe(SEQUENCES);
      });
    },
  );
}

function otherLinux(): string | undefined {
  return LINUX.test(new LinuxKernel().name) ? undefined : 'the simulator is Linux 6.18';
}

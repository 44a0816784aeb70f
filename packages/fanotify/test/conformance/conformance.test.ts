// Every conformance case on every file system, through the kernel that this runs on.

import { release } from 'node:os';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { LinuxKernel } from '../../src/kernel/index.ts';
import { whyNot } from './applies.ts';
import { GIVEN_FOLDER, loadSuites, OWN_FOLDER } from './case.ts';
import { mountScratch, type ScratchFilesystem, whyNotMountable, whyNotPrivate } from './filesystems.ts';
import { LinuxMachine } from './linux-machine.ts';
import { IS_RECORDING, record } from './record.ts';
import { replay } from './replay.ts';

const FILESYSTEMS = ['tmpfs', 'ext4', 'xfs', 'btrfs', 'ext2'];

const given = loadSuites(GIVEN_FOLDER);
const own = loadSuites(OWN_FOLDER) ?? [];
const suites = [...(given ?? []), ...own];
const refused = whyNotPrivate();

if (given === undefined) {
  describe(`conformance cases in ${GIVEN_FOLDER}`, () => {
    it.skip('the folder is not there');
  });
}

for (const filesystem of FILESYSTEMS) {
  const reason = refused ?? whyNotMountable(filesystem);
  describe.skipIf(reason !== undefined)(
    `conformance on ${filesystem}${reason === undefined ? '' : ` (${reason})`}`,
    () => {
      let scratch: ScratchFilesystem | undefined;
      let machine: LinuxMachine | undefined;

      beforeAll(() => {
        scratch = mountScratch(filesystem);
        machine = new LinuxMachine(new LinuxKernel(), scratch);
      }, 60_000);

      afterAll(() => {
        machine?.dispose();
        scratch?.unmount();
      });

      for (const suite of suites) {
        for (const conformanceCase of suite.cases) {
          // ext2 is there for the cases that ask for it.
          if (filesystem === 'ext2' && !conformanceCase.fs?.includes('ext2')) continue;
          it(`${suite.suite}: ${conformanceCase.id}`, (context) => {
            if (machine === undefined) throw new Error('the file system was not mounted');
            const unfit = whyNot(conformanceCase, machine, release());
            if (unfit !== undefined) return context.skip(unfit);
            const { observed: _, ...unrecorded } = conformanceCase;
            const answers = replay(IS_RECORDING ? unrecorded : conformanceCase, machine, suite.fixture);
            if (IS_RECORDING && own.includes(suite)) record(suite.suite, conformanceCase.id, filesystem, answers);
          });
        }
      }
    },
  );
}

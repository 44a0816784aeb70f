// What an open costs whose verdict is known: given again by the responder, or by the kernel that was told to ignore the file.

import { attend } from '../attend.ts';
import { libraryProgram, nativeProgram, nothingMarked } from '../contestant.ts';
import { makeFiles, runOpeners } from '../load.ts';
import type { Scenario } from '../scenario.ts';
import { readDecisions } from '../told.ts';

const FILES = 1000;
const OPENS = 100_000;
const BATCH = 100;
/** Verdicts are kept from the second on, when the first has said that there is something to keep. */
const WARM_UP_PASSES = 5;
const UNMARKED = 'no marks';
const C = 'C, allows';
const RESPONDER = "guard, cached by the responder (trust: 'nobody')";
const KERNEL = "guard, ignored by the kernel (trust: 'root')";

export const cached: Scenario = {
  name: 'cached',
  title: 'Opens whose verdict is known',
  about: (scale) =>
    `One process opens ${FILES.toLocaleString('en-US')} files of root's round and round, ${Math.round(OPENS * scale).toLocaleString('en-US')} times in all, after ` +
    `${WARM_UP_PASSES} passes that are not measured. The function of the guards says \`{ verdict: 'allow', cache: true }\`. Time is that ` +
    `of open(2), ${BATCH} measured at once and closed afterwards, the median of all these batches. Of all opens, these passes included: how many were decided, how many verdicts the responder gave again, and how many files the kernel ignored in the end.`,
  metrics: [
    { key: 'p50Ns', label: 'an open', unit: 'ns', digits: 0 },
    { key: 'decisions', label: 'decided', unit: '', digits: 0 },
    { key: 'cached', label: 'given again', unit: '', digits: 0 },
    { key: 'ignored', label: 'files ignored', unit: '', digits: 0 },
  ],
  comparisons: [
    { metric: 'p50Ns', against: UNMARKED, label: 'against no marks' },
    { metric: 'p50Ns', against: C, label: 'against C' },
  ],
  targets: [
    { contestant: RESPONDER, metric: 'p50Ns', against: C, atMost: 1.15 },
    { contestant: KERNEL, metric: 'p50Ns', against: UNMARKED, atMost: 1.15 },
  ],
  contestants: (room) => [
    nothingMarked(UNMARKED),
    nativeProgram(room, C, 'decider', '.'),
    libraryProgram(RESPONDER, 'decide', '--where', 'owner', '--cache', '--trust', 'nobody'),
    libraryProgram(KERNEL, 'decide', '--where', 'owner', '--cache', '--trust', 'root'),
  ],
  prepare: (room) => makeFiles(room, FILES),
  measure: async (contestant, room) => {
    const load = { processes: 1, files: FILES, batch: BATCH };
    const { result, outputFile } = await attend(contestant, room, async () => {
      await runOpeners(room, { ...load, opens: FILES * WARM_UP_PASSES });
      const { p50Ns, p99Ns, maxNs } = await runOpeners(room, { ...load, opens: room.scaled(OPENS) });
      return { p50Ns, p99Ns, maxNs };
    });
    if (contestant.marksNothing) return { figures: result };
    const { decisions, cached, ignored } = readDecisions(outputFile);
    const figures = {
      ...result,
      decisions,
      ...(cached !== undefined && { cached }),
      ...(ignored !== undefined && { ignored }),
    };
    return { figures };
  },
};

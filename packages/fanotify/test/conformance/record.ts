// Writes down what the kernel answers as `observed` in the project's own cases: FANOTIFY_CONFORMANCE_RECORD=1 with the test.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Observed, OWN_FOLDER, type Suite } from './case.ts';
import { UNNAMED } from './observe.ts';

export const IS_RECORDING: boolean = process.env.FANOTIFY_CONFORMANCE_RECORD === '1';

/** Keeps a case on one line, as the given ones are. */
export function record(suite: string, id: string, filesystem: string, answers: readonly Observed[]): void {
  const file = join(OWN_FOLDER, `${suite}.json`);
  const { cases, ...head } = JSON.parse(readFileSync(file, 'utf8')) as Suite;
  const lines = cases.map((conformanceCase) => {
    if (conformanceCase.id !== id) return JSON.stringify(conformanceCase);
    return JSON.stringify(
      { ...conformanceCase, observed: { ...conformanceCase.observed, [filesystem]: answers } },
      // What has no name in the case differs from run to run.
      (_key, value: unknown) => (typeof value === 'string' && value.startsWith(UNNAMED) ? '?' : value),
    );
  });
  const start = JSON.stringify(head).slice(0, -1);
  writeFileSync(file, `${start}, "cases": [\n${lines.join(',\n')}\n]}\n`);
}

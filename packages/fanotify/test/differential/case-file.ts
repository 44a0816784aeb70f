// Where shrunk differences are kept as conformance cases.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Case, OWN_FOLDER, type Suite } from '../conformance/case.ts';

const FILE = join(OWN_FOLDER, 'differential.json');
const HEAD = {
  suite: 'differential',
  description:
    'Sequences in which the simulated kernel once differed from the real one, as small as they get: test/differential.',
};

/** Adds a case, one line a case as elsewhere. */
export function writeCase(conformanceCase: Case): void {
  const before = existsSync(FILE) ? (JSON.parse(readFileSync(FILE, 'utf8')) as Suite).cases : [];
  const lines = [...before.filter(({ id }) => id !== conformanceCase.id), conformanceCase].map((each) =>
    JSON.stringify(each),
  );
  writeFileSync(FILE, `${JSON.stringify(HEAD).slice(0, -1)}, "cases": [\n${lines.join(',\n')}\n]}\n`);
}

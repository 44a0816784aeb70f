// What a decision by a policy takes, with no kernel: policy-decision --by fanotify|picomatch|minimatch --rules N --decisions N.
// The other two try rule by rule: what is written in an afternoon with a library for globs.

import { parseArgs } from 'node:util';
import { PolicyEvaluator, type PolicySubject, parsePolicy } from 'fanotify';
import { Minimatch } from 'minimatch';
import picomatch from 'picomatch';

interface PlainRule {
  readonly path?: string;
  readonly exe?: string;
  readonly uid?: number;
}

const { values: options } = parseArgs({
  options: {
    by: { type: 'string', default: 'fanotify' },
    rules: { type: 'string', default: '10' },
    decisions: { type: 'string', default: '200000' },
  },
});
const count = Number(options.rules);
const decisions = Number(options.decisions);
const ACCESSES = 2_000;

/** Files, directories, endings, globs of all sorts, users and programs, by turns. */
function ruleOf(index: number): PlainRule {
  const top = `/srv/data/d${index % 97}`;
  switch (index % 10) {
    case 0:
    case 1:
    case 2:
      return { path: `${top}/project${index}/file${index}.txt` };
    case 3:
    case 4:
      return { path: `${top}/project${index}/**` };
    case 5:
      return { path: `*.ext${index}` };
    case 6:
      return { path: `${top}/*/cache${index}/*.tmp` };
    case 7:
      return { path: `**/build${index}/**/*.o` };
    case 8:
      return { path: `${top}/user${index}/**`, uid: 1000 + index };
    default:
      return { exe: `/usr/bin/tool${index}` };
  }
}

/** One half is meant by a rule, spread over all of them; the other by none. */
function accessOf(index: number): PolicySubject {
  const rule = (index * 7919) % count;
  const top = `/srv/data/d${rule % 97}`;
  const hits: Readonly<Record<number, string>> = {
    3: `${top}/project${rule}/src/main.c`,
    4: `${top}/project${rule}/src/deep/er/main.c`,
    5: `/home/user/letters/letter.ext${rule}`,
    6: `${top}/some/cache${rule}/x.tmp`,
    7: `/home/user/build${rule}/lib/x.o`,
    8: `${top}/user${rule}/.profile`,
  };
  const hit = hits[rule % 10] ?? `${top}/project${rule}/file${rule}.txt`;
  const path = index % 2 === 0 ? hit : `/home/user${index}/documents/letters/2024/file${index}.pdf`;
  return {
    kind: 'open',
    // In one piece, as what is read from the kernel is: V8 puts off joining the parts of others.
    place: { state: 'here', path: Buffer.from(path).toString() },
    file: { uid: 1000, gid: 1000, mode: 0o100644, sizeBytes: 4096 },
    exe: { state: 'here', path: index % 20 === 0 ? `/usr/bin/tool${rule}` : '/usr/bin/cat' },
    user: { uid: 1000 + rule, gids: [1000] },
    ancestors: [],
    container: null,
    sha256: undefined,
  };
}

type Decide = (subject: PolicySubject) => number;

function byFanotify(rules: readonly PlainRule[]): Decide {
  const lines = rules.map((rule) => `  - ${JSON.stringify({ ...rule, action: 'deny' })}`);
  const { compiled } = parsePolicy(`version: 1\nrules:\n${lines.join('\n')}\n`);
  const evaluator = new PolicyEvaluator(compiled);
  return (subject) => evaluator.decide(subject);
}

function ruleByRule(rules: readonly PlainRule[], matcherOf: (glob: string) => (path: string) => boolean): Decide {
  const compiled = rules.map(({ path, exe, uid }) => ({
    path: path === undefined ? undefined : matcherOf(path.includes('/') ? path : `**/${path}`),
    exe: exe === undefined ? undefined : matcherOf(exe),
    uid,
  }));
  return ({ place, exe, user }) =>
    compiled.findIndex(
      (rule) =>
        (rule.path === undefined || rule.path(place.path ?? '')) &&
        (rule.exe === undefined || rule.exe(exe.path ?? '')) &&
        (rule.uid === undefined || rule.uid === user?.uid),
    );
}

const rules = Array.from({ length: count }, (_, index) => ruleOf(index));
const startedMs = performance.now();
const decide =
  options.by === 'fanotify'
    ? byFanotify(rules)
    : options.by === 'picomatch'
      ? ruleByRule(rules, (glob) => picomatch(glob, { dot: true, flags: 's' }))
      : ruleByRule(rules, (glob) => {
          const glossed = new Minimatch(glob, { dot: true });
          return (path) => glossed.match(path);
        });
const accesses = Array.from({ length: ACCESSES }, (_, index) => accessOf(index));
decide(accesses[0] as PolicySubject);
const readyMs = performance.now() - startedMs;

let hits = 0;
function run(times: number, took?: Float64Array): void {
  for (let at = 0; at < times; at++) {
    const subject = accesses[(at * 31) % ACCESSES] as PolicySubject;
    const before = performance.now();
    const rule = decide(subject);
    if (took) took[at] = (performance.now() - before) * 1e6;
    if (rule >= 0) hits++;
  }
}

run(Math.min(decisions, 50_000));
const clocks = new Float64Array(10_000);
for (let at = 0; at < clocks.length; at++) {
  const before = performance.now();
  clocks[at] = (performance.now() - before) * 1e6;
}
const took = new Float64Array(decisions);
hits = 0;
run(decisions, took);
const quantile = (numbers: Float64Array, q: number) => numbers.toSorted()[Math.floor(numbers.length * q)] ?? 0;
// What the clock itself takes is no part of it.
const clockNs = quantile(clocks, 0.5);
const p50Ns = quantile(took, 0.5) - clockNs;
const p99Ns = quantile(took, 0.99) - clockNs;
console.log(JSON.stringify({ decisions, hits: hits / decisions, p50Ns, p99Ns, clockNs, readyMs }));

// npm run bench: measures side by side, in rounds, and prints tables. What there is to say of the options: --help.

import { writeFileSync } from 'node:fs';
import { BenchError } from './error.ts';
import { openJournal } from './journal.ts';
import { jsonOf } from './json.ts';
import { machineText, thisMachine } from './machine.ts';
import { isInNamespace, runInNamespace } from './namespace.ts';
import { type Options, parseOptions, USAGE } from './options.ts';
import { openRoom } from './room.ts';
import { type Measured, measureRounds } from './rounds.ts';
import type { Scenario } from './scenario.ts';
import { cached } from './scenarios/cached.ts';
import { coreDispatch } from './scenarios/core-dispatch.ts';
import { coreEvents } from './scenarios/core-events.ts';
import { coreHeld } from './scenarios/core-held.ts';
import { coreStart } from './scenarios/core-start.ts';
import { daemonEvents, daemonHeld, daemonIdle } from './scenarios/daemon.ts';
import { decide, decideEight } from './scenarios/decide.ts';
import { decideMemory } from './scenarios/decide-memory.ts';
import { decideSubtree } from './scenarios/decide-subtree.ts';
import { endurance } from './scenarios/endurance.ts';
import { eventCost } from './scenarios/event-cost.ts';
import { flood, lines } from './scenarios/lines.ts';
import { memory } from './scenarios/memory.ts';
import { policyMake, policyNpmCi } from './scenarios/policy-build.ts';
import { policyDecision } from './scenarios/policy-decision.ts';
import { runMake, runNpmCi, runOthers } from './scenarios/run.ts';
import { scan } from './scenarios/scan.ts';
import { simulated } from './scenarios/simulated.ts';
import { start } from './scenarios/start.ts';
import { storm } from './scenarios/storm.ts';
import { system } from './scenarios/system.ts';
import { watchCost } from './scenarios/watch-cost.ts';
import { watchStart, watchStartLong } from './scenarios/watch-start.ts';
import { watchBurst, watchBurstLong, watchState } from './scenarios/watch-state.ts';
import { sectionOf } from './table.ts';

const SCENARIOS: readonly Scenario[] = [
  eventCost,
  lines,
  flood,
  storm,
  system,
  start,
  memory,
  decide,
  decideEight,
  cached,
  decideSubtree,
  endurance,
  decideMemory,
  runMake,
  runNpmCi,
  runOthers,
  policyMake,
  policyNpmCi,
  scan,
  coreEvents,
  coreHeld,
  coreDispatch,
  coreStart,
  daemonHeld,
  daemonEvents,
  daemonIdle,
  policyDecision,
  simulated,
  watchStart,
  watchBurst,
  watchState,
  watchCost,
  watchStartLong,
  watchBurstLong,
];

try {
  const names = SCENARIOS.map(({ name }) => name);
  const options = parseOptions(process.argv.slice(2), names);
  if (options.help) console.log(USAGE);
  else if (options.list) for (const { name, title, isLong } of SCENARIOS) console.log(listed(name, title, isLong));
  else process.exitCode = isInNamespace ? await bench(options) : await runInNamespace();
} catch (error) {
  if (!(error instanceof BenchError)) throw error;
  console.error(`bench: ${error.message}`);
  process.exitCode = 2;
}

function listed(name: string, title: string, isLong: true | undefined): string {
  return `${name.padEnd(17)} ${title}${isLong ? ' (--long)' : ''}`;
}

async function bench({ rounds, scale, only, who, long, json, resume }: Options): Promise<number> {
  // The room is cleared at the end of the process, so it has to come to one, also when it is told twice: by a group and a parent.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));
  const machine = thisMachine();
  const journal = openJournal(resume, scale);
  const room = openRoom(scale);
  const asked = SCENARIOS.filter(({ name, isLong }) => (only ? only.includes(name) : long || !isLong));
  const all: Measured[] = [];
  for (const scenario of asked) {
    const say = (text: string) => console.error(text);
    const times = scenario.isLong && !scenario.hasRounds ? 1 : rounds;
    const measured = await measureRounds(scenario, room, { rounds: times, who, say, journal });
    all.push(measured);
    console.log(`\n${sectionOf(measured)}`);
  }
  console.log(`\n${machineText(machine)}`);
  if (json !== undefined) writeFileSync(json, jsonOf(machine, scale, all));
  return all.some(({ failed }) => failed.length > 0) ? 1 : 0;
}

// The library as a contestant: a guard of the file system of the working directory that allows every open without a look, until
// SIGINT, then says how many there were. decide --where owner|responder [--cache] [--trust root|nobody] [--busy-poll MICROSECONDS]
// [--subtree DIRECTORY]: of that directory alone, with all that is below. [--policy FILE]: by its rules instead.

import { parseArgs } from 'node:util';
import { guard, loadPolicy } from 'fanotify';

const { values: options } = parseArgs({
  options: {
    where: { type: 'string', default: 'owner' },
    cache: { type: 'boolean', default: false },
    trust: { type: 'string', default: 'root' },
    'busy-poll': { type: 'string' },
    subtree: { type: 'string' },
    policy: { type: 'string' },
  },
});
const decision = options.cache ? ({ verdict: 'allow', cache: true } as const) : 'allow';
const busyPoll = options['busy-poll'];

const decide = options.where === 'responder' ? new URL('./decide-module.js', import.meta.url) : async () => decision;
const gate = await guard(options.subtree ?? process.cwd(), {
  ...(options.policy === undefined ? { decide } : { policy: await loadPolicy(options.policy) }),
  scope: options.subtree === undefined ? 'filesystem' : 'subtree',
  trust: options.trust === 'nobody' ? 'nobody' : 'root',
  busyPollUs: busyPoll === undefined ? undefined : Number(busyPoll),
});
process.once('SIGINT', async () => {
  const { byDecision, byCache, ignored, outside, ignoredOutside, timedOut, failed, ruleHits } = await gate.status();
  const decisions = byDecision + ruleHits.reduce((sum, hits) => sum + hits, 0);
  await gate.close();
  const failures = timedOut + failed;
  console.log(JSON.stringify({ decisions, cached: byCache, ignored, outside, ignoredOutside, failures }));
});

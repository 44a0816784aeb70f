// An owner to go wrong: `node owner.mjs MOUNT SCENARIO` guards MOUNT by the scenario's options, and does what it is told, a line of JSON
// on standard input at a time. It reports on descriptor 3, and waits for nobody there: standard output may be what is blocked.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { appendFileSync, closeSync, createWriteStream, openSync, readFileSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { guard } from 'fanotify';

const [mount, json] = process.argv.slice(2);
const scenario = JSON.parse(json);
const { verdict = 'allow', file = `${mount}/file` } = scenario;

function report(told) {
  writeSync(3, `${JSON.stringify(told)}\n`);
}

function block(ms) {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const unshowable = () => Object.create(null);
const throwing = (name) => ({
  get [name]() {
    throw new Error(`the getter of ${name}`);
  },
});
const nonsense = {
  number: () => 42,
  null: () => null,
  word: () => 'maybe',
  verdict: () => ({ verdict: 'perhaps' }),
  unshowable: () => ({ verdict: unshowable() }),
  'a getter that throws': () => throwing('verdict'),
  'a thenable that throws': () => throwing('then'),
  'a promise of nonsense': () => Promise.resolve(unshowable()),
};
let stream;

const decides = {
  at_once: () => verdict,
  later: async () => {
    await sleep(scenario.laterMs ?? 5);
    return verdict;
  },
  never: () => new Promise(() => undefined),
  throws: () => {
    throw new Error('decide is broken');
  },
  rejects: async () => {
    await sleep(1);
    throw new Error('decide is broken');
  },
  'throws what cannot be shown': () => {
    throw unshowable();
  },
  'rejects with what cannot be shown': () => Promise.reject(unshowable()),
  'allows and returns deny': (request) => {
    request.allow();
    return 'deny';
  },
  'denies and returns allow': async (request) => {
    request.deny();
    return 'allow';
  },
  'allows twice': (request) => {
    request.allow();
    request.allow();
  },
  'denies and allows': (request) => {
    request.deny();
    request.allow();
  },
  'is a thenable that settles thrice': () => ({
    // biome-ignore lint/suspicious/noThenProperty: what is tested
    then: (resolve, reject) => {
      resolve('deny');
      resolve('allow');
      reject(new Error('too late'));
    },
  }),
  'denies and blocks': (request) => {
    request.deny();
    block(scenario.blockMs);
  },
  nonsense: () => nonsense[scenario.nonsense](),
  'takes the descriptor': (request) => (request.fd >= 0 ? new Promise(() => undefined) : verdict),
  'reads another guarded file': () => {
    readFileSync(`${mount}/other`);
    return verdict;
  },
  'appends to a log': () => {
    appendFileSync(scenario.log, `a line of the log${'.'.repeat(4096)}\n`);
    return verdict;
  },
  'streams to a log': () => {
    stream ??= createWriteStream(scenario.log, { flags: 'a' }).on('error', ({ code }) => report({ told: 'log', code }));
    stream.write(`a line of the log${'.'.repeat(4096)}\n`);
    return verdict;
  },
  prints: () => {
    console.log('a line of the log'.padEnd(8192, '.'));
    return verdict;
  },
  'prints and waits': () => {
    writeSync(1, 'a line of the log\n'.padEnd(8192, '.'));
    return verdict;
  },
};

const abort = new AbortController();
const held = [];
/** Leaves so many descriptors. */
function exhaust(spare) {
  for (;;) {
    try {
      held.push(openSync('/dev/null', 'r'));
    } catch {
      break;
    }
  }
  for (let i = 0; i < spare; i++) closeSync(held.pop());
}

const HEAP_OBJECTS = 3_000_000;
function hold(objects) {
  let list;
  for (let i = 0; i < objects; i++) list = { list, i, text: `${i}` };
  return list;
}

const actions = {
  block: ({ ms }) => block(ms),
  /** Lets the collector mark a heap until one collection takes so long, and `allMs` have gone by. */
  gc: ({ ms, allMs }) => {
    report({ told: 'collecting' });
    const heap = [];
    const begun = performance.now();
    let longestMs = 0;
    while (longestMs < ms || performance.now() - begun < allMs) {
      if (longestMs < ms) heap.push(hold(HEAP_OBJECTS));
      const started = performance.now();
      globalThis.gc();
      longestMs = Math.max(longestMs, performance.now() - started);
    }
    report({ told: 'collected', ms: longestMs, objects: heap.length * HEAP_OBJECTS });
  },
  exit: () => process.exit(3),
  throw: () => {
    throw new Error('nobody catches this');
  },
  close: async () => {
    const started = performance.now();
    await gate.close();
    report({ told: 'closed', ms: performance.now() - started });
  },
  abort: () => abort.abort(),
  status: async () => report({ told: 'status', ...(await gate.status()) }),
  read: () => {
    const started = performance.now();
    readFileSync(file);
    report({ told: 'read', ms: performance.now() - started });
  },
  spawn: async ({ program, how }) => {
    const started = performance.now();
    let status;
    if (how === 'execFileSync') {
      execFileSync(program);
      status = 0;
    } else if (how === 'spawnSync') status = spawnSync(program).status;
    else {
      const child = spawn(program, { stdio: 'ignore' });
      status = await new Promise((resolve, reject) => child.on('exit', resolve).on('error', reject));
    }
    report({ told: 'spawned', how, status, ms: performance.now() - started });
  },
  storm: async ({ program }) => {
    for (;;) {
      spawn(program, { stdio: 'ignore' }).on('error', () => undefined);
      await sleep(0);
    }
  },
  run: ({ program, args }) => spawn(program, args, { stdio: 'ignore' }),
};

if (scenario.spare !== undefined && scenario.exhaustFirst) exhaust(scenario.spare);
let isOpen = false;
if (scenario.busyAtStart) {
  const busy = setInterval(() => (isOpen ? clearInterval(busy) : block(scenario.busyAtStart)), 1);
}
process.on('exit', () => report({ told: 'exit' }));

const gate = await guard(scenario.one ? file : mount, {
  ...scenario.options,
  decide: scenario.module ?? decides[scenario.decide],
  signal: abort.signal,
});
isOpen = true;
gate
  .on('error', (error) => report({ told: 'error', code: error.code, message: error.message, count: error.count ?? 1 }))
  .on('timeout', ({ count }) => report({ told: 'timeout', count }))
  .on('kernelDenied', (denied) => report({ told: 'kernelDenied', ...denied }))
  .on('restart', () => report({ told: 'restart', responderPid: gate.responderPid }))
  .on('close', () => report({ told: 'close' }));
if (scenario.spare !== undefined && !scenario.exhaustFirst) exhaust(scenario.spare);
report({ told: 'ready', responderPid: gate.responderPid });
if (scenario.exhaustFirst) for (const fd of held) closeSync(fd);

createInterface(process.stdin).on('line', (line) => {
  const { act, ...details } = JSON.parse(line);
  void actions[act](details);
});

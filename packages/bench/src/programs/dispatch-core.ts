// The dispatcher of the core alone, with no kernel: says how long an event takes it. dispatch-core --shape directed|global --events N.
// Directed: 100 groups with ten marks each. Global: 100 groups that hear everything, and the 1,000 marks besides.

import { parseArgs } from 'node:util';
import { FAN_CLOSE_WRITE } from 'fanotify/abi';
import { Channel, Dispatcher, Filesystem, type Happening, MarkedObject, type MarkOwner } from 'fanotify/core';

const GROUPS = 100;
const MARKED = 1_000;
const OBJECTS = 2_000;
const BITS = Number(FAN_CLOSE_WRITE);
const WARM_UP_EVENTS = 100_000;

const { values: options } = parseArgs({
  options: { shape: { type: 'string', default: 'directed' }, events: { type: 'string', default: '1000000' } },
});
const isGlobal = options.shape === 'global';
const channel = new Channel('notification 0', 'notification', 0);
const permission = new Channel('content 0', 'content', 0);

const dispatcher = new Dispatcher<MarkOwner>();
const groups = Array.from({ length: GROUPS }, (): MarkOwner => {
  const none = { excludedTypes: new Set<number>(), excludedFsids: new Set<bigint>() };
  const initBits = isGlobal ? BITS : 0;
  return {
    rank: 0,
    initBits,
    notification: channel,
    permission,
    ...none,
    turn: 0,
    gathered: 0,
    ignored: 0,
    by: undefined,
  };
});
for (const group of groups) dispatcher.add(group, () => false);

const filesystem = new Filesystem<MarkOwner>(0x0102_1994, 1n);
const inoOf = (object: number) => BigInt(1_000_000 + object);
for (let object = 0; object < MARKED; object++) {
  const marked = new MarkedObject(filesystem, inoOf(object), 1n, false);
  filesystem.objects.set(marked.ino, marked);
  const group = groups[object % GROUPS];
  if (group) marked.marks.push({ group, of: marked, mask: BITS, ignored: 0, survives: false, attached: undefined });
}
/** A happening of a file, as the core's own are: of one class. */
class FileHappening implements Happening<MarkOwner> {
  readonly channel = channel;
  readonly bits = BITS;
  readonly isDirectory = false;
  readonly filesystem = filesystem;
  readonly bornNs = 1n;
  readonly ino: bigint;

  constructor(ino: bigint) {
    this.ino = ino;
  }

  parent(): undefined {}

  subtrees(): [] {
    return [];
  }
}

// Marked ones and others by turns.
const happenings = Array.from({ length: OBJECTS }, (_, at) => new FileHappening(inoOf((at >> 1) + (at & 1) * MARKED)));

let bits = 0;
function visit(_group: MarkOwner, heard: number): void {
  bits |= heard;
}

function run(events: number): number {
  let visits = 0;
  for (let at = 0; at < events; at++) {
    const happening = happenings[at % OBJECTS];
    if (happening) visits += dispatcher.dispatch(happening, visit);
  }
  return visits;
}

run(WARM_UP_EVENTS);
const events = Number(options.events);
const startedMs = performance.now();
const before = process.cpuUsage();
const visits = run(events);
const cpu = process.cpuUsage(before);
const wallNs = (performance.now() - startedMs) * 1e6;
const cpuNs = (cpu.user + cpu.system) * 1e3;
console.log(JSON.stringify({ events, visits, wallNs, cpuNs, bits }));

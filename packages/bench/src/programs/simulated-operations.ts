// What an operation on files takes on the simulated machine, and on this one: simulated-operations --on testing|linux --operations N [--group].
// Run in a directory of its own.

import { closeSync, openSync, renameSync, unlinkSync, writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Group } from 'fanotify';
import { createTestSystem, type Kernel } from 'fanotify/testing';

const { values: options } = parseArgs({
  options: {
    on: { type: 'string', default: 'testing' },
    operations: { type: 'string', default: '1000000' },
    group: { type: 'boolean', default: false },
  },
});
const operations = Number(options.operations);
const FILES = 100;
/** Of each of the two loads. */
const PER_WRITE = 3;
const PER_NAME = 4;
/** So often others may go on: Linux lets them whenever they like. */
const TURN = 300;

/** One of the two machines. */
interface Place {
  readonly directory: string;
  readonly kernel?: Kernel;
  /** Opens, writes and closes files so often. */
  write(times: number): Promise<unknown>;
  /** Makes, closes, renames and removes files so often. */
  name(times: number): Promise<unknown>;
}

const others = () => new Promise((resolve) => setImmediate(resolve));
const nameOf = (at: number) => `file${at % FILES}`;

function testing(): Place {
  const system = createTestSystem();
  system.fs.mount('/data');
  const by = system.process({ comm: 'load' });
  return {
    directory: '/data',
    kernel: system.kernel,
    async write(times) {
      for (let at = 0; at < times; at += TURN) {
        await by.run(function* (calls) {
          for (let i = at; i < Math.min(at + TURN, times); i++) {
            const fd = yield* calls.open(`/data/${nameOf(i)}`, 'w');
            yield* calls.write(fd, 'x');
            yield* calls.close(fd);
          }
        });
        await others();
      }
    },
    async name(times) {
      for (let at = 0; at < times; at += TURN) {
        await by.run(function* (calls) {
          for (let i = at; i < Math.min(at + TURN, times); i++) {
            const path = `/data/new-${nameOf(i)}`;
            yield* calls.close(yield* calls.open(path, 'w'));
            yield* calls.rename(path, `${path}-renamed`);
            yield* calls.unlink(`${path}-renamed`);
          }
        });
        await others();
      }
    },
  };
}

function linux(): Place {
  const directory = process.cwd();
  return {
    directory,
    async write(times) {
      for (let at = 0; at < times; at++) {
        const fd = openSync(`${directory}/${nameOf(at)}`, 'w');
        writeSync(fd, 'x');
        closeSync(fd);
        if (at % TURN === 0) await others();
      }
    },
    async name(times) {
      for (let at = 0; at < times; at++) {
        const path = `${directory}/new-${nameOf(at)}`;
        closeSync(openSync(path, 'w'));
        renameSync(path, `${path}-renamed`);
        unlinkSync(`${path}-renamed`);
        if (at % TURN === 0) await others();
      }
    },
  };
}

const place = options.on === 'linux' ? linux() : testing();
let events = 0;
let lost = 0;
let group: Group | undefined;
if (options.group) {
  group = await Group.open(place.kernel ? { kernel: place.kernel } : {});
  await group.mark(place.directory, {
    scope: 'filesystem',
    events: ['open', 'modify', 'closeWrite', 'create', 'delete', 'rename'],
  });
  void (async (heard: Group) => {
    for await (const batch of heard.batches()) {
      events += batch.length;
      lost += batch.filter(({ kind }) => kind === 'overflow').length;
    }
  })(group);
}

async function nsOf(load: (times: number) => Promise<unknown>, each: number): Promise<number> {
  const times = Math.ceil(operations / each);
  await load(Math.ceil(times / 10));
  const startedNs = process.hrtime.bigint();
  await load(times);
  return Number(process.hrtime.bigint() - startedNs) / times / each;
}

const writeNs = await nsOf(place.write, PER_WRITE);
const nameNs = await nsOf(place.name, PER_NAME);
await group?.close();
console.log(
  JSON.stringify({ writeNs, nameNs, writesPerSecond: 1e9 / writeNs, namesPerSecond: 1e9 / nameNs, events, lost }),
);

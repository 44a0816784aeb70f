// Programs that change a tree at random, as test/watch/churn.mjs does and in more ways. Several at once get in each other's way, which is
// meant: what fails is passed over.

import type { SystemCalls } from '../../src/simulated/seam/system-calls.ts';
import type { Random } from '../differential/random.ts';
import type { Body, World } from './world.ts';

/** What is written by one name is not told of the others: those that are linked are never written. */
const LINKED = ['1', '2', '3'];
const SOLE = ['4', '5', '6'];
const DIRECTORIES = ['a', 'b', 'c', 'd'];

export interface Places {
  readonly tree: string;
  readonly outside: string;
  /** Whether hard links are made now: they always are, unless this says no. */
  readonly makesLinks?: () => boolean;
}

type Change = (churn: Churn) => Body;

export class Churn {
  readonly calls: SystemCalls;
  readonly random: Random;
  readonly #places: Places;

  constructor(world: World, places: Places) {
    this.calls = world.calls;
    this.random = world.random;
    this.#places = places;
  }

  /** A directory that may be there, up to three levels down. */
  directory(root = this.#places.tree): string {
    let path = root;
    for (let depth = this.random.below(4); depth > 0; depth--) path += `/${this.random.pick(DIRECTORIES)}`;
    return path;
  }

  anyDirectory(root?: string): string {
    return `${this.directory(root)}/${this.random.pick(DIRECTORIES)}`;
  }

  sole(root?: string): string {
    return `${this.directory(root)}/${this.random.pick(SOLE)}`;
  }

  linked(root?: string): string {
    return `${this.directory(root)}/${this.random.pick(LINKED)}`;
  }

  anyFile(root?: string): string {
    return this.random.chance(0.5) ? this.sole(root) : this.linked(root);
  }

  *link(from: string, to: string) {
    if (this.#places.makesLinks?.() !== false) yield* this.calls.link(from, to) as Body;
  }

  get outside(): string {
    return this.#places.outside;
  }

  text(): string {
    return 'x'.repeat(this.random.below(100));
  }

  *removeAll(path: string): Generator<unknown, void, void> {
    const { calls } = this;
    for (const name of (yield* calls.list(path)) as string[]) {
      const below = `${path}/${name}`;
      yield;
      try {
        yield* calls.unlink(below);
      } catch (error) {
        if ((error as { code?: string }).code === 'ENOENT') continue;
        yield* this.removeAll(below);
      }
    }
    yield* calls.rmdir(path);
  }
}

function* backAndForth(churn: Churn, x: string, y: string) {
  const { calls, random } = churn;
  for (let times = random.below(5); times >= 0; times--) {
    yield* calls.rename(x, y);
    if (random.chance(0.3)) yield;
    yield* calls.rename(y, x);
  }
  if (random.chance(0.5)) yield* calls.rename(x, y);
}

export const CHANGES: readonly (readonly [number, Change])[] = [
  [10, (churn) => churn.calls.writeFile(churn.sole(), churn.text())],
  [
    6,
    function* (churn) {
      const { calls, random } = churn;
      const fd = (yield* calls.open(churn.sole(), random.pick(['w', 'a', 'r+']))) as number;
      try {
        for (let times = random.below(4); times > 0; times--) {
          yield;
          yield* calls.write(fd, churn.text());
        }
        if (random.chance(0.3)) yield* calls.ftruncate(fd, random.below(50));
        yield;
      } finally {
        for (const _ of calls.close(fd));
      }
    },
  ],
  [3, (churn) => churn.calls.truncate(churn.sole(), churn.random.below(200))],
  [3, (churn) => churn.calls.writeFile(churn.linked(), '', 'wx')],
  [8, (churn) => churn.calls.unlink(churn.anyFile())],
  [8, (churn) => churn.calls.mkdir(churn.anyDirectory())],
  [
    3,
    function* (churn) {
      let path = churn.directory();
      for (let depth = 3; depth > 0; depth--) {
        path += `/${churn.random.pick(DIRECTORIES)}`;
        try {
          yield* churn.calls.mkdir(path);
        } catch (error) {
          if ((error as { code?: string }).code !== 'EEXIST') throw error;
        }
        if (churn.random.chance(0.3)) yield;
      }
    },
  ],
  [4, (churn) => churn.calls.rmdir(churn.anyDirectory())],
  [5, (churn) => churn.calls.rename(churn.sole(), churn.sole())],
  [4, (churn) => churn.calls.rename(churn.linked(), churn.linked())],
  [10, (churn) => churn.calls.rename(churn.anyDirectory(), churn.anyDirectory())],
  [2, (churn) => churn.calls.exchange(churn.anyDirectory(), churn.anyDirectory())],
  [1, (churn) => churn.calls.exchange(churn.sole(), churn.anyDirectory())],
  [1, (churn) => churn.calls.exchange(churn.sole(), churn.sole())],
  [2, (churn) => churn.removeAll(churn.anyDirectory())],
  [3, (churn) => churn.link(churn.linked(), churn.linked())],
  [2, (churn) => churn.calls.symlink('nowhere', churn.linked())],
  [1, (churn) => churn.calls.mknod(churn.linked(), 'fifo')],
  [2, (churn) => churn.calls.chmod(churn.anyFile(), 0o700 + churn.random.below(8) * 8)],
  [1, (churn) => churn.calls.chmod(churn.anyDirectory(), 0o700 + churn.random.below(8) * 8)],
  [2, (churn) => churn.calls.rename(churn.anyDirectory(), churn.anyDirectory(churn.outside))],
  [2, (churn) => churn.calls.rename(churn.anyDirectory(churn.outside), churn.anyDirectory())],
  [2, (churn) => churn.calls.rename(churn.sole(), churn.sole(churn.outside))],
  [2, (churn) => churn.calls.rename(churn.sole(churn.outside), churn.sole())],
  [1, (churn) => churn.calls.exchange(churn.anyDirectory(churn.outside), churn.anyDirectory())],
  [2, (churn) => churn.calls.mkdir(churn.anyDirectory(churn.outside))],
  [1, (churn) => churn.calls.writeFile(churn.sole(churn.outside), churn.text())],
  [2, (churn) => backAndForth(churn, churn.anyDirectory(), churn.anyDirectory())],
  [2, (churn) => backAndForth(churn, churn.sole(), churn.sole())],
  [
    1,
    function* (churn) {
      const { calls } = churn;
      const [x, y] = [churn.linked(), churn.linked()];
      for (let times = churn.random.below(3); times >= 0; times--) {
        yield* churn.link(x, y);
        yield* calls.unlink(x);
        yield;
        yield* churn.link(y, x);
        yield* calls.unlink(y);
      }
    },
  ],
  // As package managers do it.
  [
    2,
    function* (churn) {
      const { calls } = churn;
      const x = churn.anyDirectory();
      yield* calls.mkdir(x);
      for (const name of SOLE) {
        yield* calls.writeFile(`${x}/${name}`, churn.text());
        yield;
      }
      yield* calls.rename(x, churn.anyDirectory());
    },
  ],
  [1, (churn) => churn.calls.list(churn.directory())],
  [1, (churn) => churn.calls.readFile(churn.anyFile())],
];

const TOTAL = CHANGES.reduce((sum, [weight]) => sum + weight, 0);

function choose(random: Random): Change {
  let weight = random.next() * TOTAL;
  for (const [more, change] of CHANGES) {
    weight -= more;
    if (weight < 0) return change;
  }
  throw new RangeError('weights');
}

/** Changes things until the exploration ends. */
export function* churning(world: World, places: Places) {
  const churn = new Churn(world, places);
  while (!world.isEnding) {
    yield;
    try {
      yield* choose(world.random)(churn) as Body;
    } catch (error) {
      if ((error as { code?: string }).code === undefined) throw error;
    }
  }
}

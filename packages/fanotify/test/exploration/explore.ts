// Lets lives of the parts go on until so many steps are made; the first that breaks is told with its seed.

import { corePart } from './core-part.ts';
import { groupPart } from './group-part.ts';
import type { Part } from './part.ts';
import { scopesPart } from './scopes-part.ts';
import { tablePart } from './table-part.ts';
import { watchPart } from './watch-part.ts';
import { World } from './world.ts';

export const PARTS: Readonly<Record<string, Part>> = {
  group: groupPart,
  scopes: scopesPart,
  table: tablePart,
  core: corePart,
  watch: watchPart,
};

/** Steps of one life, on average. */
const LIFE = 4_000;

export interface Explored {
  readonly steps: number;
  readonly lives: number;
}

/** What broke, with how to see it again. */
export class Found extends Error {
  static {
    Found.prototype.name = 'Found';
  }
  readonly part: string;
  readonly seed: number;
  readonly steps: number;

  constructor(part: string, seed: number, steps: number, life: number, cause: unknown) {
    const told = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
    super(
      `${part}, seed ${seed}, after ${steps} steps: ${told}\nAgain: npm run explore -- --part ${part} --seed ${seed} --lives 1 --life ${life}`,
      { cause },
    );
    this.part = part;
    this.seed = seed;
    this.steps = steps;
  }
}

/** One life. Returns how many steps it had. */
export async function live(name: string, seed: number, life: number = LIFE): Promise<number> {
  const part = PARTS[name];
  if (part === undefined) throw new TypeError(`there is no part ${name}: ${Object.keys(PARTS).join(', ')}`);
  const world = new World(seed);
  world.begin();
  try {
    await part(world, life);
    return world.steps;
  } catch (error) {
    throw new Found(name, seed, world.steps, life, error);
  } finally {
    world.end();
  }
}

/** Lives with the seeds from this one on, until so many steps are made. */
export async function explore(name: string, seed: number, steps: number, life: number = LIFE): Promise<Explored> {
  let made = 0;
  let lives = 0;
  while (made < steps) made += await live(name, seed + lives++, life);
  return { steps: made, lives };
}

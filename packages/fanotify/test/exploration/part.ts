// One part of the library under exploration: lives of it, each on a machine of its own.

import type { World } from './world.ts';

/** A life: begins, lets so many steps happen, ends, and throws when something does not hold. */
export type Part = (world: World, steps: number) => Promise<void>;

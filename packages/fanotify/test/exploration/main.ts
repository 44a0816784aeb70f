// npm run explore: see README.md.

import { parseArgs } from 'node:util';
import { explore, Found, live, PARTS } from './explore.ts';

const { values } = parseArgs({
  options: {
    steps: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    part: { type: 'string' },
    life: { type: 'string', default: '4000' },
    lives: { type: 'string' },
    all: { type: 'boolean', default: false },
  },
});
const [steps, seed, life] = [values.steps, values.seed, values.life].map(Number) as [number, number, number];
const names = values.part === undefined ? Object.keys(PARTS) : [values.part];
const begun = process.hrtime.bigint();
let total = 0;
try {
  for (const name of names) {
    const startedNs = process.hrtime.bigint();
    let lives = Number(values.lives ?? 0);
    let made = 0;
    if (values.lives === undefined) ({ lives, steps: made } = await explore(name, seed, steps / names.length, life));
    else {
      for (let number = 0; number < lives; number++) {
        try {
          made += await live(name, seed + number, life);
        } catch (error) {
          if (!values.all || !(error instanceof Found)) throw error;
          process.exitCode = 1;
          console.log(error.message.split('\n').slice(0, 3).join(' '));
        }
      }
    }
    total += made;
    const seconds = Number(process.hrtime.bigint() - startedNs) / 1e9;
    console.log(
      `${name}: ${made} steps, ${lives} lives from seed ${seed} on, ${seconds.toFixed(1)} s, ${Math.round(made / seconds)} steps/s`,
    );
  }
  console.log(`${total} steps in ${(Number(process.hrtime.bigint() - begun) / 1e9).toFixed(1)} s: nothing found`);
} catch (error) {
  if (!(error instanceof Found)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

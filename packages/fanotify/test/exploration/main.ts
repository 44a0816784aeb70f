// npm run explore: see README.md.

import { parseArgs } from 'node:util';
import { explore, Found, live, PARTS } from './explore.ts';

const { values, steps, seed, life } = asked();
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

/** What is asked for; a sentence and status 2 for what cannot be. */
function asked() {
  try {
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
    const { part } = values;
    if (part !== undefined && !Object.hasOwn(PARTS, part))
      throw new TypeError(`there is no part ${part}: take ${Object.keys(PARTS).join(', ')}`);
    const number = (name: 'steps' | 'seed' | 'life' | 'lives', text = '1') => {
      if (!/^\d+$/.test(text)) throw new TypeError(`--${name} takes a whole number, not ${text}`);
      if (name !== 'seed' && Number(text) === 0)
        throw new TypeError(`--${name} takes 1 at least: nothing lives for less`);
      return Number(text);
    };
    number('lives', values.lives);
    const [steps, seed] = [number('steps', values.steps), number('seed', values.seed)];
    return { values, steps, seed, life: number('life', values.life) };
  } catch (error) {
    console.error((error as Error).message);
    console.error(
      `npm run explore -- [--steps N] [--seed S] [--part ${Object.keys(PARTS).join('|')}] [--life N] [--lives N] [--all]`,
    );
    process.exit(2);
  }
}

// Lets Node run the TypeScript of this repository: `node --import ./load.mjs FILE.ts`. `FILE.ts?fault=NAME` has a fault of faults.json.

import { existsSync, readFileSync } from 'node:fs';
import { register } from 'node:module';

const file = new URL('./faults.json', import.meta.url);
const faults = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : [];
const data = Object.fromEntries(faults.map(({ name, patches }) => [name, patches]));
register('./load-hooks.mjs', import.meta.url, { data });

// A process that changes a tree at random: node churn.mjs TREE OUTSIDE SEED STEPS. Several at once get in each other's way, which is
// meant: what fails is passed over.

import {
  appendFileSync,
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';

const [tree, outside, seed, steps] = process.argv.slice(2);
let state = Number(seed) >>> 0;

/** mulberry32: a number from 0 to 1. */
function random() {
  state = (state + 0x6d2b79f5) >>> 0;
  let t = state;
  t = Math.imul(t ^ (t >>> 15), t | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}

const below = (n) => Math.floor(random() * n);
const pick = (list) => list[below(list.length)];
const DIRECTORIES = ['a', 'b', 'c', 'd'];
const FILES = ['1', '2', '3', '4', '5'];

/** A directory that may be there, up to three levels down. */
function directory(root = tree) {
  let path = root;
  for (let depth = below(4); depth > 0; depth--) path += `/${pick(DIRECTORIES)}`;
  return path;
}

const anyDirectory = () => `${directory()}/${pick(DIRECTORIES)}`;
const anyFile = () => `${directory()}/${pick(FILES)}`;
/** One that has no other name: what is changed by one name is not told of the others. */
function onlyName(path) {
  if ((lstatSync(path, { throwIfNoEntry: false })?.nlink ?? 1) > 1)
    throw Object.assign(new Error(path), { code: 'EMLINK' });
  return path;
}
const text = () => 'x'.repeat(below(100));

const STEPS = [
  [10, () => writeFileSync(onlyName(anyFile()), text())],
  [4, () => appendFileSync(onlyName(anyFile()), text())],
  [8, () => unlinkSync(anyFile())],
  [8, () => mkdirSync(anyDirectory())],
  [
    3,
    () =>
      mkdirSync(`${directory()}/${pick(DIRECTORIES)}/${pick(DIRECTORIES)}/${pick(DIRECTORIES)}`, { recursive: true }),
  ],
  [4, () => rmdirSync(anyDirectory())],
  [8, () => renameSync(anyFile(), anyFile())],
  [10, () => renameSync(anyDirectory(), anyDirectory())],
  [2, () => rmSync(anyDirectory(), { recursive: true })],
  [3, () => linkSync(anyFile(), anyFile())],
  [2, () => symlinkSync('nowhere', anyFile())],
  [2, () => chmodSync(anyFile(), 0o600 + below(8) * 8)],
  [1, () => chmodSync(anyDirectory(), 0o700 + below(8) * 8)],
  [2, () => renameSync(anyDirectory(), `${outside}/${pick(DIRECTORIES)}`)],
  [2, () => renameSync(`${outside}/${pick(DIRECTORIES)}`, anyDirectory())],
  [2, () => renameSync(anyFile(), `${outside}/${pick(FILES)}`)],
  [2, () => renameSync(`${outside}/${pick(FILES)}`, anyFile())],
  // There and back: the kernel merges equal renames.
  [
    2,
    () => {
      const [x, y] = [anyDirectory(), anyDirectory()];
      for (let times = below(5); times >= 0; times--) {
        renameSync(x, y);
        renameSync(y, x);
      }
      if (random() < 0.5) renameSync(x, y);
    },
  ],
  [
    2,
    () => {
      const [x, y] = [anyFile(), anyFile()];
      for (let times = below(5); times >= 0; times--) {
        renameSync(x, y);
        renameSync(y, x);
      }
      if (random() < 0.5) renameSync(x, y);
    },
  ],
  [
    1,
    () => {
      const [x, y] = [anyFile(), anyFile()];
      for (let times = below(3); times >= 0; times--) {
        linkSync(x, y);
        unlinkSync(x);
        linkSync(y, x);
        unlinkSync(y);
      }
    },
  ],
  // As package managers do it.
  [
    2,
    () => {
      const x = anyDirectory();
      mkdirSync(x);
      for (const name of FILES) writeFileSync(`${x}/${name}`, text());
      renameSync(x, anyDirectory());
    },
  ],
  [1, () => readdirSync(directory())],
];
function choose(weight) {
  let sum = 0;
  return STEPS.find(([more]) => {
    sum += more;
    return weight < sum;
  });
}

const total = STEPS.reduce((sum, [weight]) => sum + weight, 0);

for (let step = 0; step < Number(steps); step++) {
  const [, take] = choose(random() * total);
  try {
    take();
  } catch (error) {
    if (error.code === undefined) throw error;
  }
}

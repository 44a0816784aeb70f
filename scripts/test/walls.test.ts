// Every import wall bites: a small tree with one forbidden import per rule, and a few that are allowed.

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { cruise, type ICruiseResult } from 'dependency-cruiser';
import { afterAll, expect, test } from 'vitest';
import walls from '../../.dependency-cruiser.cjs';

const tree = mkdtempSync(join(tmpdir(), 'fanotify-walls-'));
afterAll(() => rmSync(tree, { recursive: true }));

const rooms = [
  'abi',
  'kernel',
  'identity',
  'group',
  'scope',
  'decision',
  'watch',
  'core',
  'proposal',
  'client',
  'broker',
  'cli',
];
const siblings = new Set(['watch core', 'proposal client', 'proposal broker', 'client broker']);

function write(file: string, text: string): void {
  mkdirSync(dirname(join(tree, file)), { recursive: true });
  writeFileSync(join(tree, file), text);
}

/** What the walls say of files of one import each (a module, or the whole text), as `rule: file`, sorted. */
async function violations(imports: Record<string, string>): Promise<string[]> {
  rmSync(join(tree, 'packages'), { recursive: true, force: true });
  for (const room of [...rooms, 'simulated'])
    write(`packages/fanotify/src/${room}/index.ts`, 'export const here = 1;\n');
  for (const name of ['kernel/linux', 'kernel/kernel', 'kernel/error', 'cli/main', 'index'])
    write(`packages/fanotify/src/${name}.ts`, 'export const here = 1;\n');
  write('packages/bench/src/index.ts', 'export const here = 1;\n');
  // As in the workspace: npm links the library into node_modules, and its exports lead into dist/.
  write('packages/fanotify/package.json', JSON.stringify({ name: 'fanotify', exports: './dist/index.js' }));
  write('packages/fanotify/dist/index.js', 'export const here = 1;\n');
  write('node_modules/koffi/package.json', JSON.stringify({ name: 'koffi', exports: './index.js' }));
  write('node_modules/koffi/index.js', 'export const here = 1;\n');
  rmSync(join(tree, 'node_modules/fanotify'), { force: true });
  symlinkSync('../packages/fanotify', join(tree, 'node_modules/fanotify'));
  for (const [file, imported] of Object.entries(imports))
    write(`packages/${file}`, imported.startsWith('import ') ? imported : `import '${imported}';\n`);
  const { output } = await cruise(['packages'], {
    ...walls.options,
    ruleSet: { forbidden: walls.forbidden ?? [] },
    validate: true,
    baseDir: tree,
  });
  return (output as ICruiseResult).summary.violations.map(({ rule, from }) => `${rule.name}: ${from}`).sort();
}

test('a room imports from those before it, never from those after it or beside it', async () => {
  const imports: Record<string, string> = {};
  const expected: string[] = [];
  for (const [index, from] of rooms.entries()) {
    for (const to of rooms.slice(index + 1)) {
      imports[`fanotify/src/${from}/to-${to}.ts`] = `../${to}/index.ts`;
      expected.push(`one-way-${from}: packages/fanotify/src/${from}/to-${to}.ts`);
      if (from === 'abi') expected.push(`abi-is-pure: packages/fanotify/src/${from}/to-${to}.ts`);
      if (to === 'cli') expected.push(`nobody-imports-cli: packages/fanotify/src/${from}/to-${to}.ts`);
      imports[`fanotify/src/${to}/to-${from}.ts`] = `../${from}/index.ts`;
      if (siblings.has(`${from} ${to}`)) expected.push(`one-way-${to}: packages/fanotify/src/${to}/to-${from}.ts`);
    }
  }
  expect(await violations(imports)).toEqual(expected.sort());
});

test.each([
  ['abi-is-pure', 'fanotify/src/abi/a.ts', 'node:fs'],
  ['koffi-behind-the-seam', 'fanotify/src/group/a.ts', 'koffi'],
  ['koffi-behind-the-seam', 'bench/src/a.ts', 'koffi'],
  ['simulated-sees-the-interface', 'fanotify/src/simulated/a.ts', '../kernel/linux.ts'],
  ['simulated-sees-the-interface', 'fanotify/src/simulated/a.ts', '../group/index.ts'],
  ['one-way-group', 'fanotify/src/group/a.ts', '../simulated/index.ts'],
  ['faces-are-for-outside', 'fanotify/src/group/a.ts', '../index.ts'],
  ['nobody-imports-cli', 'fanotify/src/a.ts', './cli/main.ts'],
  ['library-stands-alone', 'fanotify/src/group/a.ts', '../../../bench/src/index.ts'],
  ['library-stands-alone', 'fanotify/src/group/a.ts', 'fanotifyd'],
  ['public-faces-only', 'bench/src/a.ts', '../../fanotify/src/index.ts'],
  ['public-faces-only', 'fanotifyd/src/a.ts', '../../fanotify/src/kernel/linux.ts'],
  ['no-cycles', 'fanotify/src/group/a.ts', './a.ts'],
  ['no-cycles', 'fanotify/src/group/a.ts', "import type { A } from './a.ts';\nexport type B = A;\n"],
  ['no-cycles-in-what-runs', 'fanotify/src/simulated/a.ts', './a.ts'],
])('%s: %s does not import %s', async (rule, file, imported) => {
  expect(await violations({ [file]: imported })).toEqual([`${rule}: packages/${file}`]);
});

test('what the walls leave open passes', async () => {
  const imports = {
    'fanotify/src/kernel/a.ts': 'koffi',
    'fanotify/src/simulated/a.ts': '../kernel/kernel.ts',
    'fanotify/src/simulated/b.ts': '../kernel/error.ts',
    'fanotify/src/simulated/c.ts': '../abi/index.ts',
    'fanotify/src/simulated/d.ts': "import type { E } from './e.ts';\nexport type D = E;\n",
    'fanotify/src/simulated/e.ts': "import type { D } from './d.ts';\nexport type E = D;\n",
    'fanotify/src/cli/a.ts': '../index.ts',
    'fanotify/src/testing.ts': './simulated/index.ts',
    'bench/src/a.ts': 'fanotify',
  };
  expect(await violations(imports)).toEqual([]);
});

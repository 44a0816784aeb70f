// Every example of the documentation runs: the `@example` of each docstring in src/, each ```js or ```mjs block of README.md
// and docs/*.md. It has to end by itself with exit code 0, and to print what its `console.log(…); // value`
// lines say (`// e.g. value` where it depends on the machine).
// `js root` after a fence, or "Privilege: root" in a docstring, is skipped for others; `js no-run` is never run.

import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { canMount } from './support/mounts.ts';

const library = join(import.meta.dirname, '..');
const root = join(library, '../..');
const deadlineMs = 10_000;

interface Example {
  readonly where: string;
  readonly code: string;
  readonly needsRoot: boolean;
}

const examples = [
  ...filesIn(join(library, 'src'), '.ts', true).flatMap(ofDocstrings),
  ...[join(root, 'README.md'), ...filesIn(join(root, 'docs'), '.md', false)].flatMap(ofMarkdown),
];

// The examples import 'fanotify' as a user's program does: from node_modules, as built.
const home = mkdtempSync(join(tmpdir(), 'fanotify-examples-'));
mkdirSync(join(home, 'node_modules'));
symlinkSync(library, join(home, 'node_modules/fanotify'));
afterAll(() => rmSync(home, { recursive: true }));

// Those that mount run one by one: another's listener that hears the whole system holds descriptors of what it hears in all
// mount namespaces, and `umount` then says that the file system is busy.
describe('examples that mount', () => defineTests(examples.filter(mounts)));
describe.concurrent('examples', () => defineTests(examples.filter((example) => !mounts(example))));

function defineTests(examples: readonly Example[]) {
  for (const { where, code, needsRoot } of examples) {
    test(where, { timeout: deadlineMs + 5_000 }, async (context) => {
      if (needsRoot && process.getuid?.() !== 0) context.skip('needs root');
      const directory = mkdtempSync(join(home, 'example-'));
      const file = join(directory, 'example.mjs');
      writeFileSync(file, code);
      const { problem, output } = await run(file, directory);
      expect(problem, output).toBeUndefined();
      expect(missing(code, output)).toEqual([]);
    });
  }
}

function mounts({ code }: Example): boolean {
  return code.includes("'mount'");
}

test('an example that prints something else than it says is found', () => {
  const code = "console.log('a'); // a\nconsole.log('b'); // c\nconsole.log('d'); // d: since Linux 5.1\n";
  expect(missing(code, 'a\nb\nd\n')).toEqual(['c']);
  expect(missing(code, 'a\nc\nd\n')).toEqual([]);
});

// Each mounts in a namespace of its own: a listener that hears the whole system keeps open what it hears, and a file system busy.
const [program = '', ...privately] = canMount ? ['unshare', '--mount', '--propagation', 'private'] : ['env'];

function run(file: string, cwd: string): Promise<{ problem: string | undefined; output: string }> {
  return new Promise((resolve) => {
    const options = { cwd, timeout: deadlineMs, killSignal: 'SIGKILL' } as const;
    execFile(program, [...privately, process.execPath, file], options, (error, stdout, stderr) => {
      const problem = error?.killed ? `did not end within ${deadlineMs} ms` : error?.message;
      resolve({ problem, output: stdout + stderr });
    });
  });
}

/** The values that `console.log(…); // value` lines promise and the output, read in order, does not have. */
function missing(code: string, output: string): string[] {
  const lines = output.split('\n');
  const promised = [...code.matchAll(/console\.log\(.*\);? \/\/ (?:prints )?(?!e\.g\. )(.*)$/gm)].map(
    (match) => match[1] ?? '',
  );
  let from = 0;
  return promised.filter((value) => {
    // What follows ": " is the reader's: `// EINVAL: Linux 5.17 brought it`.
    const at = lines.findIndex((line, index) => index >= from && (value === line || value.startsWith(`${line}: `)));
    if (at >= 0) from = at + 1;
    return at < 0;
  });
}

function ofDocstrings(file: string): Example[] {
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(/\/\*\*[\s\S]*?\*\//g)].flatMap((comment) => {
    const lines = comment[0]
      .slice(3, -2)
      .split('\n')
      .map((line) => line.replace(/^\s*\* ?/, ''));
    const needsRoot = lines.some((line) => /Privilege: root\b/.test(line));
    return lines.flatMap((line, index) => {
      if (!line.startsWith('@example')) return [];
      const end = lines.findIndex((other, at) => at > index && /^@\w/.test(other));
      const body = lines.slice(index + 1, end < 0 ? undefined : end).join('\n');
      const code = /^```\w*\n([\s\S]*?)^```/m.exec(body)?.[1] ?? body;
      const row = text.slice(0, comment.index).split('\n').length + index;
      return [{ where: `${relative(root, file)}:${row}`, code, needsRoot }];
    });
  });
}

function ofMarkdown(file: string): Example[] {
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(/^```(?:js|mjs)\b(.*)\n([\s\S]*?)^```/gm)].flatMap(([, info = '', code = ''], index) => {
    if (info.includes('no-run')) return [];
    return [{ where: `${relative(root, file)} example ${index + 1}`, code, needsRoot: info.includes('root') }];
  });
}

function filesIn(directory: string, extension: string, recursive: boolean): string[] {
  return readdirSync(directory, { recursive, encoding: 'utf8' })
    .filter((name) => name.endsWith(extension))
    .map((name) => join(directory, name))
    .sort();
}

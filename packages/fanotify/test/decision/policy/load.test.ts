// What a policy's file may say, and what is said of one that says something else.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { loadPolicy, type Policy, PolicyError, parsePolicy } from '../../../src/index.ts';

const RUNS = Number(process.env.FANOTIFY_FUZZ_RUNS ?? 1_500);
const accounts = {
  users: new Map([
    ['root', 0],
    ['anna', 1000],
    ['constructor', 7],
  ]),
  groups: new Map([['staff', 50]]),
};
const directory = mkdtempSync(join(tmpdir(), 'policy-'));
afterAll(() => rmSync(directory, { recursive: true }));
const file = join(directory, 'policy.yaml');
const DIGEST = 'A1'.repeat(32);

function parse(text: string): Policy {
  return parsePolicy(text, { file, accounts });
}

/** What is wrong with rules, as `line:column about sentence`. */
function problemsOf(text: string): string[] {
  try {
    return parse(text).warnings.map(({ line, column, message }) => `${line}:${column} warning ${message}`);
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    return error.problems.map(({ line, column, message }) => `${line}:${column} ${message}`);
  }
}
const inRule = (text: string) => problemsOf(`version: 1\nrules:\n  - action: deny\n    ${text}\n`);

describe('a policy', () => {
  test('is read with its sets, names, sizes and digests', () => {
    writeFileSync(join(directory, 'bad.txt'), `# known\n${DIGEST}  a file\n${'b2'.repeat(32)}\n\n`);
    const policy = parse(`
version: 1
mode: dryRun
paths: [/srv]
deadlineMs: 2000
default: deny
log: denied
ask: { timeoutMs: 500, default: allow }
scan: { clamd: /run/clamd, maxBytes: 1M }
sets:
  shells: [/bin/sh, $more]
  more: /bin/bash
  known-bad: { sha256File: bad.txt }
rules:
  - name: first
    on: [openExec, open]
    path: ['/srv/{a,b}/**', '!*.ok', foreign]
    exe: '!$shells'
    uid: [root, anna, 1001-1999]
    gid: staff
    mode: [setuid, '!sticky']
    size: '>10M'
    container: [any, '!docker']
    sha256: $known-bad
    action: deny
    errno: EIO
    message: not here
    audit: true
    log: false
  - { size: 1k-2k, action: scan }
`);
    const { compiled, on, paths, scan, needsAudit, needsPreContent, files } = policy;
    expect({ on, paths, needsAudit, needsPreContent }).toEqual({
      on: ['open', 'openExec'],
      paths: ['/srv'],
      needsAudit: true,
      needsPreContent: true,
    });
    expect(scan).toMatchObject({ clamd: '/run/clamd', maxBytes: 1048576 });
    expect(files).toEqual([file, join(directory, 'bad.txt')]);
    expect(compiled).toMatchObject({
      mode: 'dryRun',
      default: 'deny',
      log: 'denied',
      ask: { timeoutMs: 500, default: 'allow' },
    });
    expect(compiled.digests).toEqual([[DIGEST.toLowerCase(), 'b2'.repeat(32)]]);
    expect(compiled.rules).toEqual([
      {
        name: 'first',
        line: 15,
        column: 5,
        action: 'deny',
        errno: 'EIO',
        message: 'not here',
        audit: true,
        log: false,
        on: 3,
        path: {
          positive: [
            { kind: 'below', directory: '/srv/a' },
            { kind: 'below', directory: '/srv/b' },
            { kind: 'foreign' },
          ],
          negative: [{ kind: 'suffix', suffix: '.ok' }],
        },
        exe: {
          positive: [],
          negative: [
            { kind: 'path', path: '/bin/sh' },
            { kind: 'path', path: '/bin/bash' },
          ],
        },
        uid: {
          positive: [
            [0, 0],
            [1000, 1000],
            [1001, 1999],
          ],
          negative: [],
        },
        gid: { positive: [[50, 50]], negative: [] },
        mode: { positive: [0o4000], negative: [0o1000] },
        size: { least: 10 * 1024 ** 2 + 1, most: Number.MAX_SAFE_INTEGER },
        container: { positive: [{ kind: 'any' }], negative: [{ kind: 'runtime', runtime: 'docker' }] },
        sha256: { positive: [0], negative: [] },
      },
      { name: 'rule 2', line: 30, column: 5, action: 'scan', size: { least: 1024, most: 2048 } },
    ]);
    expect(JSON.parse(JSON.stringify(compiled))).toEqual(compiled);
  });

  test('is another when its file or a list is', async () => {
    const text = 'version: 1\nsets: { bad: { sha256File: list } }\nrules: [{ sha256: $bad, action: deny }]\n';
    const identity = async (policy: string, list: string) => {
      writeFileSync(file, policy);
      writeFileSync(join(directory, 'list'), list);
      return (await loadPolicy(file)).compiled.identity;
    };
    const all = [
      await identity(text, DIGEST),
      await identity(text, `${DIGEST}\n`),
      await identity(`${text}\n`, DIGEST),
      await identity(text, DIGEST),
    ];
    expect(new Set(all).size).toBe(3);
    expect(all[3]).toBe(all[0]);
  });
});

describe('what is wrong', () => {
  test('is told as a whole, with places, and what was meant', () => {
    expect(
      problemsOf(`version: 1
sets: { shells: [/bin/sh] }
rules:
  - acton: deny
    exe: $shels
    uid: anne
  - { action: dey, mode: setuit, on: openexec }
`),
    ).toEqual([
      "2:9 no rule uses the set 'shells'",
      "4:5 a rule has no 'acton': did you mean 'action'?",
      '4:5 a rule has to say its action: allow, deny, ask, scan',
      "5:10 there is no set 'shels': did you mean '$shells'?",
      '6:10 there is no user "anne" here: did you mean \'anna\'?',
      '7:15 "dey" is no action: did you mean \'deny\'?',
      '7:26 "setuit" is no mode: did you mean \'setuid\'?',
      '7:38 "openexec" is no access: did you mean \'openExec\'?',
    ]);
  });

  test('globs that cannot match', () => {
    const globs: Readonly<Record<string, RegExp>> = {
      'a/b': /paths are absolute.*'\*\*\/a\/b'/,
      '/a/': /no path ends with '\/'/,
      '/a/../b': /'\.' or '\.\.'/,
      './a': /paths are absolute/,
      '/a//b': /'\/\/'/,
      '/a/b**': /'\*\*' stands alone/,
      '[a': /'\[' is not closed/,
      '{a': /'\{' is not closed/,
      'a}': /no '\{' before/,
      '{a}': /braces hold a choice/,
      '[b-a]': /backwards/,
      '[[:alpha:]]': /classes by name/,
      '+(a|b)': /'\+\(' is not known/,
      'a\\': /nothing behind/,
      '\ufffd': /U\+FFFD/,
      '{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}': /more than 1000/,
      '/{,a}/b': /'\/\/'/,
    };
    for (const [glob, why] of Object.entries(globs)) {
      const problems = inRule(`path: ${JSON.stringify(glob)}`);
      expect(problems).toHaveLength(1);
      expect(problems[0]).toMatch(why);
      expect(problems[0]).toMatch(/^4:11 /);
    }
  });

  test('values that are none', () => {
    expect(inRule('uid: 5-3')[0]).toMatch(/no range of user numbers/);
    expect(inRule('uid: constructor')).toEqual([]);
    expect(inRule('uid: toString')[0]).toMatch(/no user "toString"/);
    expect(inRule('mode: constructor')[0]).toMatch(/is no mode/);
    expect(inRule('size: 10X')[0]).toMatch(/a size is written/);
    expect(inRule('size: 2M-1M')[0]).toMatch(/no file has the size/);
    expect(inRule("size: '<0'")[0]).toMatch(/no file has the size/);
    expect(inRule('sha256: abc')[0]).toMatch(/64 hexadecimal digits/);
    expect(inRule('container: dokcer')[0]).toMatch(/did you mean 'docker'/);
    expect(inRule('on: []')[0]).toMatch(/empty list/);
    expect(inRule('path: *.exe')[0]).toMatch(/begins an alias/);
    expect(inRule('path: !/srv/x')[0]).toMatch(/begins a tag/);
    expect(inRule('path: [/srv/{a,b}/**]')[0]).toMatch(/put globs with '\{'/);
    expect(inRule('path: @x')[0]).toMatch(/keeps '@' for itself/);
    expect(inRule('path: yes\n    exe: true')[0]).toMatch(/^5:10 here is text or a number/);
    expect(inRule('log: maybe')[0]).toMatch(/true or false/);
    expect(inRule('message: [a]')[0]).toMatch(/a message is text/);
    expect(inRule('action: allow')[0]).toMatch(/given twice/);
    expect(problemsOf('version: 1\nrules: [{ action: allow, errno: EIO }]')[0]).toMatch(/goes with the action deny/);
    expect(parsePolicy('version: 1\nrules: [{ action: scan }]').warnings[0]?.message).toMatch(/told with what/);
    expect(problemsOf('version: 2\nrules: []')[0]).toMatch(/^1:10 this program knows/);
    expect(problemsOf('version: 1\nrules:\n  - { name: a, action: deny }\n  - { name: a, action: deny }')[0]).toMatch(
      /^4:5 .*in line 3/,
    );
  });

  test('sets of themselves, files that are not there, sets that are negated within', () => {
    const withSets = (sets: string, rule: string) =>
      problemsOf(`version: 1\nsets: ${sets}\nrules: [{ action: deny, ${rule} }]`)[0];
    expect(withSets('{ a: [$b], b: [$a] }', 'path: $a')).toMatch(/'a' is part of itself/);
    expect(withSets("{ a: ['!x'] }", 'path: $a')).toMatch(/say '!' where it is used/);
    expect(withSets('{ a: { sha256File: nowhere } }', 'sha256: $a')).toMatch(/cannot be read: ENOENT/);
    expect(withSets('{ a: { sha256File: / } }', 'sha256: $a')).toMatch(/is no file/);
    expect(withSets('{ a: { sha256File: x } }', 'path: $a')).toMatch(/goes with 'sha256' alone/);
    writeFileSync(join(directory, 'text'), 'hello\n');
    expect(withSets('{ a: { sha256File: text } }', 'sha256: $a')).toMatch(/line 1 of .* is no sha256/);
    const bomb = Array.from({ length: 12 }, (_, i) => `s${i}: [${`$s${i + 1}, `.repeat(9)}]`).join(', ');
    expect(withSets(`{ ${bomb}, s12: [/x] }`, 'path: $s0')).toMatch(/more than 1000000 values/);
  });

  test('what is no YAML, or would take the parser out of memory', () => {
    for (const text of [
      '[',
      '['.repeat(100_000),
      `a: ${'- '.repeat(50_000)}`,
      '? '.repeat(50_000),
      '&a [*a]',
      'x: *y',
      '"',
      '\0',
      '%',
      '---\n---\n',
    ]) {
      expect(problemsOf(text).length).toBeGreaterThan(0);
    }
    const bomb = Array.from(
      { length: 20 },
      (_, i) => `  a${i}: &a${i} [${i === 0 ? '/x' : `*a${i - 1}, `.repeat(9)}]`,
    ).join('\n');
    expect(problemsOf(`version: 1\nsets:\n${bomb}\nrules: []`).length).toBeGreaterThan(0);
    expect(problemsOf(`version: 1\nrules:\n  - path: ${JSON.stringify('a\nb/c')}\n    action: deny`)[0]).not.toContain(
      '\n',
    );
  });

  test('a file that is not there', async () => {
    await expect(loadPolicy(join(directory, 'nowhere'))).rejects.toMatchObject({
      code: 'POLICY',
      problems: [{ line: 1 }],
    });
    await expect(loadPolicy(directory)).rejects.toThrow(/it is no file/);
  });
});

describe('random text', () => {
  test('is a policy, or a PolicyError', () => {
    const lines = fc.constantFrom(
      'version: 1',
      'rules:',
      '  - action: deny',
      '    path: /a/**',
      '    uid: 0',
      'sets:',
      '  a: [b]',
      '- x',
      '{',
      ']',
      '&a',
      '*a',
      '!',
      '    exe: $a',
      '|',
      '>',
      ': :',
      '\t',
      '"',
      "'",
      '---',
      '...',
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc.array(lines, { maxLength: 12 }).map((all) => all.join('\n')),
    );
    fc.assert(
      fc.property(text, (source) => {
        problemsOf(source);
      }),
      { numRuns: RUNS },
    );
  });
});

describe('the JSON Schema', () => {
  const schema = JSON.parse(readFileSync(new URL('../../../policy.schema.json', import.meta.url), 'utf8'));
  const accepts = new Ajv2020({ allowUnionTypes: true }).compile(schema);

  test('and the reader agree on words and types', () => {
    let valid = 0;
    fc.assert(
      fc.property(documents(), (value) => {
        const isAccepted = accepts(value);
        valid += isAccepted ? 1 : 0;
        const shapes = shapeProblems(stringify(value));
        expect({ value, isAccepted, shapes }).toEqual({ value, isAccepted: shapes.length === 0, shapes });
      }),
      { numRuns: RUNS * 2 },
    );
    expect(valid).toBeGreaterThan(RUNS / 10);
  });
});

function shapeProblems(text: string): string[] {
  try {
    parse(text);
    return [];
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    return error.problems.filter(({ about }) => about !== 'meaning').map(({ message }) => message);
  }
}

/** Documents that are policies but for a thing or two. */
function documents(): fc.Arbitrary<unknown> {
  const odd = fc.constantFrom<unknown>(
    null,
    true,
    -1,
    1.5,
    '',
    '!',
    [],
    {},
    [[]],
    [null],
    { a: 1 },
    'x',
    0,
    2 ** 60,
    ['a', true],
    '\0',
  );
  const value = fc.constantFrom<unknown>(
    '/a',
    '*.x',
    0,
    '1-2',
    'root',
    '$a',
    '!$b',
    'any',
    'setuid',
    DIGEST,
    ['/a', '!/b'],
    [0, 'x'],
  );
  const verdict = fc.constantFrom<unknown>('allow', 'deny');
  const kinds = fc.constantFrom<unknown>('open', 'openExec', ['open', 'access']);
  const size = fc.constantFrom<unknown>(
    0,
    4096,
    '4k',
    '>10M',
    '<= 1G',
    '1M-10M',
    '1234567k',
    '1T',
    '1000T',
    '-1',
    '>1-2',
    '1 k',
    1e15,
  );
  const ms = fc.constantFrom<unknown>(1, 3_600_000);
  const mostly = (good: fc.Arbitrary<unknown>) =>
    fc.oneof({ weight: 30, arbitrary: good }, { weight: 1, arbitrary: odd });
  const record = (fields: Record<string, fc.Arbitrary<unknown>>, requiredKeys: string[] = []) =>
    fc
      .tuple(
        fc.record(Object.fromEntries(Object.entries(fields).map(([key, good]) => [key, mostly(good)])), {
          requiredKeys,
        }),
        fc.oneof({ weight: 40, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: fc.constant({ other: 1 }) }),
      )
      .map(([known, unknown]) => ({ ...known, ...unknown }));
  const rule = record(
    {
      name: fc.constantFrom('a', 'b', 'c', 'd'),
      on: kinds,
      path: value,
      exe: value,
      ancestor: value,
      uid: value,
      gid: value,
      owner: value,
      group: value,
      mode: value,
      size,
      container: value,
      sha256: value,
      action: fc.constantFrom('allow', 'deny', 'ask', 'scan'),
      errno: fc.constantFrom('EPERM', 'EIO'),
      message: fc.constant('no'),
      audit: fc.boolean(),
      log: fc.boolean(),
    },
    ['action'],
  );
  const set = fc.oneof(value, fc.constant({ sha256File: 'x' }), fc.constant([{ sha256File: 'x' }, '/a']));
  return record(
    {
      version: fc.constant(1),
      mode: fc.constantFrom('enforce', 'dryRun'),
      paths: fc.constantFrom<unknown>('/srv', ['/srv', '/a']),
      on: kinds,
      scope: fc.constantFrom('inode', 'subtree', 'system'),
      deadlineMs: ms,
      onTimeout: verdict,
      onError: verdict,
      trust: fc.constantFrom('root', 'nobody'),
      default: verdict,
      log: fc.constantFrom('all', 'denied', 'none'),
      ask: record({ timeoutMs: ms, default: verdict }),
      scan: record(
        {
          clamd: fc.constant('/run/x'),
          maxBytes: size.filter((one) => !/[<>-]/.test(String(one))),
          onTooLarge: verdict,
          timeoutMs: ms,
          concurrency: fc.constant(2),
        },
        ['clamd'],
      ),
      sets: record({ a: set, 'b-1': set }),
      rules: fc.array(rule, { maxLength: 2 }),
    },
    ['version', 'rules'],
  );
}

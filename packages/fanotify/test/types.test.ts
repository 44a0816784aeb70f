// The type tests: each file of test-d/ compiles as it stands, so every `@ts-expect-error` in it marks a real error.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';

const library = join(import.meta.dirname, '..');
const directory = join(library, 'test-d');
const files = readdirSync(directory).filter((name) => name.endsWith('.ts'));

const config = ts.getParsedCommandLineOfConfigFile(join(library, 'tsconfig.test.json'), undefined, {
  ...ts.sys,
  onUnRecoverableConfigFileDiagnostic: (diagnostic) => {
    throw new Error(ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n'));
  },
});
const program = ts.createProgram(
  files.map((name) => join(directory, name)),
  config?.options ?? {},
);

test.each(files)('test-d/%s', { timeout: 60_000 }, (name) => {
  const file = program.getSourceFile(join(directory, name));
  expect(file).toBeDefined();
  const found = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)];
  const problems = found.map(({ start = 0, messageText }) => {
    const line = (file?.getLineAndCharacterOfPosition(start).line ?? 0) + 1;
    return `${name}:${line}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
  });
  expect(problems).toEqual([]);
});

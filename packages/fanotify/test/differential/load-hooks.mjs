// The hooks of load.mjs: sources are transpiled, and kept by what is in them.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const kept = join(tmpdir(), `fanotify-transpiled-${userInfo().uid}`);
mkdirSync(kept, { recursive: true, mode: 0o700 });

/** By name, lists of {file, text, replacement}. */
let faults = {};

export function initialize(given) {
  faults = given ?? {};
}

/** What a file of the simulator with a fault imports of the simulator has the fault too. */
export async function resolve(specifier, context, next) {
  const resolved = await next(specifier, context);
  const fault = context.parentURL && new URL(context.parentURL).searchParams.get('fault');
  if (!fault || !resolved.url.includes('/simulated/') || !resolved.url.endsWith('.ts')) return resolved;
  return { ...resolved, url: `${resolved.url}?fault=${fault}` };
}

export async function load(url, context, next) {
  const { protocol, pathname, searchParams } = new URL(url);
  if (protocol !== 'file:' || !pathname.endsWith('.ts')) return next(url, context);
  const path = fileURLToPath(`file://${pathname}`);
  const source = patched(path, readFileSync(path, 'utf8'), searchParams.get('fault'));
  return { format: 'module', shortCircuit: true, source: transpiled(source, path) };
}

function patched(path, source, fault) {
  let result = source;
  for (const { file, text, replacement } of fault === null ? [] : faults[fault]) {
    if (!path.endsWith(file)) continue;
    if (result.split(text).length !== 2)
      throw new Error(`${fault}: ${file} has not exactly one ${JSON.stringify(text)}`);
    result = result.replace(text, () => replacement);
  }
  return result;
}

function transpiled(source, path) {
  const file = join(kept, createHash('sha256').update(source).digest('hex'));
  if (existsSync(file)) return readFileSync(file, 'utf8');
  const ts = require('typescript');
  const { outputText } = ts.transpileModule(source, {
    fileName: path,
    compilerOptions: {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
      inlineSourceMap: true,
      verbatimModuleSyntax: true,
    },
  });
  writeFileSync(`${file}.${process.pid}`, outputText);
  renameSync(`${file}.${process.pid}`, file);
  return outputText;
}

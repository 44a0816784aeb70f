// A policy's file, read and checked: what a guard is to do, and the rules that it decides by.

import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Node } from 'yaml';
import { KINDS } from '../permission.ts';
import type { ScanOptions } from '../scan/options.ts';
import type { PermissionEventName, Verdict } from '../verdict.ts';
import { type Accounts, readAccounts } from './accounts.ts';
import type { CompiledPolicy, CompiledRule } from './compiled.ts';
import { FieldValues, identityHash } from './field-values.ts';
import { PolicyText, type Spot } from './policy-text.ts';
import { PolicyError, type PolicyProblem } from './problem.ts';
import { compileRules, oneOf } from './rules.ts';
import { Sets } from './sets.ts';
import { pathsOf, scanOf, settingsOf } from './settings.ts';

/**
 * A policy that can be used: what its file says, and its rules as they are decided by.
 *
 * @example
 * import { parsePolicy } from 'fanotify';
 * const policy = parsePolicy(`
 * version: 1
 * rules:
 *   - name: no programs from uploads
 *     on: openExec
 *     path: /srv/uploads/**
 *     action: deny
 * `);
 * console.log(policy.on, policy.compiled.rules[0].name); // [ 'openExec' ] no programs from uploads
 */
export interface Policy {
  readonly file: string;
  /** The rules, as plain JSON. `identity` in it is the sha256 of the file and of the lists that it names. */
  readonly compiled: CompiledPolicy;
  /** What to guard when nothing else is said; absolute. */
  readonly paths: readonly string[];
  /** Which accesses to hold: `on` of the policy, else what its rules name, and `open` where one names none. */
  readonly on: readonly PermissionEventName[];
  readonly scope?: 'inode' | 'mount' | 'filesystem' | 'subtree' | 'system';
  /** In milliseconds. */
  readonly deadlineMs?: number;
  readonly onTimeout?: Verdict;
  readonly onError?: Verdict;
  readonly trust?: 'root' | 'nobody';
  /** Where rules scan. */
  readonly scan?: ScanOptions;
  /** Whether a rule wants its decisions in the kernel's audit log: the guard takes `audit: true`. */
  readonly needsAudit: boolean;
  /** Whether a rule denies with another error than EPERM: the guard takes `class: 'preContent'`. */
  readonly needsPreContent: boolean;
  /** The files that it was read from, absolute: when one changes, the policy is another. */
  readonly files: readonly string[];
  readonly warnings: readonly PolicyProblem[];
}

/** How a policy's text is read. */
export interface ParsePolicyOptions {
  /** What it is called in messages; names of files in it are relative to its directory. Default `policy.yaml`. */
  readonly file?: string | undefined;
  /** What users and groups are called. Default: as /etc/passwd and /etc/group say. */
  readonly accounts?: Accounts | undefined;
}

const FIELDS = [
  'version',
  'mode',
  'paths',
  'on',
  'scope',
  'deadlineMs',
  'onTimeout',
  'onError',
  'trust',
  'default',
  'log',
  'ask',
  'scan',
  'sets',
  'rules',
] as const;
const VERDICTS: readonly Verdict[] = ['allow', 'deny'];
const DEFAULT_ASK_MS = 10_000;
const MOST_BYTES = 16 * 1024 * 1024;

/**
 * Reads a policy from its file, and checks it: nothing is marked.
 *
 * @throws PolicyError with all that is wrong with it, each with its line, or that the file cannot be read.
 * @example
 * import { mkdtempSync, writeFileSync } from 'node:fs';
 * import { loadPolicy } from 'fanotify';
 * const file = `${mkdtempSync('/tmp/policy-')}/policy.yaml`;
 * writeFileSync(file, 'version: 1\npaths: [/srv]\nrules:\n  - { path: "*.exe", action: deny }\n');
 * const { paths, compiled } = await loadPolicy(file);
 * console.log(paths, compiled.rules.length); // [ '/srv' ] 1
 */
export async function loadPolicy(file: string): Promise<Policy> {
  let bytes: Buffer;
  try {
    const status = await stat(file);
    if (!status.isFile()) throw new Error('it is no file');
    if (status.size > MOST_BYTES) throw new Error(`it is larger than ${MOST_BYTES / 1024 / 1024} MiB`);
    bytes = await readFile(file);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'it does not exist' : (code ?? message);
    const problem = { line: 1, column: 1, message: `the policy cannot be read: ${why}` } as const;
    throw new PolicyError(file, [{ ...problem, severity: 'error', about: 'syntax' }]);
  }
  return read(bytes.toString(), bytes, { file });
}

/**
 * Checks a policy that is given as text.
 *
 * @throws PolicyError with all that is wrong with it, each with its line.
 * @example
 * import { parsePolicy } from 'fanotify';
 * const policy = parsePolicy('version: 1\nrules:\n  - { uid: root, action: allow }\ndefault: deny\n');
 * console.log(policy.compiled.rules[0].uid.positive, policy.compiled.default); // [ [ 0, 0 ] ] deny
 */
export function parsePolicy(text: string, options: ParsePolicyOptions = {}): Policy {
  return read(text, Buffer.from(text), options);
}

function read(source: string, bytes: Buffer, { file = 'policy.yaml', accounts }: ParsePolicyOptions): Policy {
  const text = new PolicyText(source);
  const policy = text.hasErrors ? undefined : compile(text, file, bytes, accounts);
  const problems = text.problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
  if (!policy || text.hasErrors) throw new PolicyError(file, problems);
  return { ...policy, warnings: problems };
}

function compile(
  text: PolicyText,
  file: string,
  bytes: Buffer,
  given: Accounts | undefined,
): Omit<Policy, 'warnings'> | undefined {
  const fields = text.fields(text.root, 'a policy', FIELDS);
  if (!fields) return undefined;
  const version = fields.version && text.scalar(fields.version);
  if (!fields.version) text.shape(text.root, "a policy begins with 'version: 1'");
  else if (version !== 1) text.shape(fields.version, "this program knows policies of version 1: say 'version: 1'");
  const identity = identityHash(bytes);
  const sets = new Sets(text, fields.sets);
  const values = new FieldValues(text, sets, dirname(resolve(file)), identity);
  let accounts = given;
  const accountsHere = () => {
    accounts ??= readAccounts();
    return accounts;
  };
  if (!fields.rules) text.shape(text.root, "a policy has 'rules', a line that begins with '-' for each");
  const rules = fields.rules ? compileRules(text, fields.rules, values, accountsHere) : [];
  sets.finish();
  const scan = fields.scan && scanOf(text, fields.scan);
  const scans = rules.find(({ action }) => action === 'scan');
  if (scans && !fields.scan) {
    text.warning(
      fields.rules,
      `the rule ${JSON.stringify(scans.name)} scans: the guard has to be told with what, as here by 'scan: { clamd: /run/clamav/clamd.ctl }'`,
    );
  }
  const { ask, ...settings } = settingsOf(text, fields);
  const verdictOf = (node: Node | undefined) => node && oneOf(text, node, 'verdict', VERDICTS);
  return {
    file,
    compiled: {
      identity: identity.digest('hex'),
      mode: (fields.mode && oneOf(text, fields.mode, 'mode', ['enforce', 'dryRun'])) ?? 'enforce',
      default: verdictOf(fields.default) ?? 'allow',
      log: (fields.log && oneOf(text, fields.log, 'kind of log', ['all', 'denied', 'none'])) ?? 'all',
      ask: { timeoutMs: ask?.timeoutMs ?? DEFAULT_ASK_MS, default: ask?.default ?? 'deny' },
      rules,
      digests: values.digests,
    },
    paths: pathsOf(text, fields.paths),
    on: kindsOf(values, fields.on, rules),
    ...settings,
    ...(scan && { scan }),
    needsAudit: rules.some(({ audit }) => audit),
    needsPreContent: rules.some(({ errno }) => errno !== undefined && errno !== 'EPERM'),
    files: [resolve(file), ...values.files],
  };
}

function kindsOf(values: FieldValues, on: Spot, rules: readonly CompiledRule[]): PermissionEventName[] {
  const bits = on ? values.kinds(on) : rules.reduce((sum, rule) => sum | (rule.on ?? 1), rules.length === 0 ? 1 : 0);
  return KINDS.filter((_, index) => (bits & (1 << index)) !== 0);
}

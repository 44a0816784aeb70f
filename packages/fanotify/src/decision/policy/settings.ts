// What a policy's file says beside its rules: what is guarded, and how.

import type { Node } from 'yaml';
import type { ScanOptions } from '../scan/options.ts';
import type { Verdict } from '../verdict.ts';
import type { CompiledPolicy } from './compiled.ts';
import { parseBytes } from './field-values.ts';
import type { PolicyText, Spot } from './policy-text.ts';
import { oneOf } from './rules.ts';

const VERDICTS: readonly Verdict[] = ['allow', 'deny'];
const SCOPES = ['inode', 'mount', 'filesystem', 'subtree', 'system'] as const;
const TRUST = ['root', 'nobody'] as const;
const LONGEST_MS = 3_600_000;
const MOST_SCANS = 256;

/** Settings by their names in the file; what is not said is left out. */
interface Settings {
  readonly scope?: (typeof SCOPES)[number];
  readonly deadlineMs?: number;
  readonly onTimeout?: Verdict;
  readonly onError?: Verdict;
  readonly trust?: (typeof TRUST)[number];
  readonly ask?: Partial<CompiledPolicy['ask']>;
}

export function settingsOf(text: PolicyText, fields: { readonly [name in keyof Settings]?: Node }): Settings {
  const scope = fields.scope && oneOf(text, fields.scope, 'scope', SCOPES);
  const deadlineMs = fields.deadlineMs && integer(text, fields.deadlineMs, 'deadlineMs', LONGEST_MS);
  const onTimeout = fields.onTimeout && oneOf(text, fields.onTimeout, 'verdict', VERDICTS);
  const onError = fields.onError && oneOf(text, fields.onError, 'verdict', VERDICTS);
  const trust = fields.trust && oneOf(text, fields.trust, 'kind of trust', TRUST);
  const ask = fields.ask && askOf(text, fields.ask);
  return {
    ...(scope && { scope }),
    ...(deadlineMs !== undefined && { deadlineMs }),
    ...(onTimeout && { onTimeout }),
    ...(onError && { onError }),
    ...(trust && { trust }),
    ...(ask && { ask }),
  };
}

function askOf(text: PolicyText, node: Spot): Partial<CompiledPolicy['ask']> {
  const fields = text.fields(node, "'ask'", ['timeoutMs', 'default']);
  const timeoutMs = fields?.timeoutMs && integer(text, fields.timeoutMs, 'timeoutMs', LONGEST_MS);
  const verdict = fields?.default && oneOf(text, fields.default, 'verdict', VERDICTS);
  return { ...(timeoutMs !== undefined && { timeoutMs }), ...(verdict && { default: verdict }) };
}

export function scanOf(text: PolicyText, node: Spot): ScanOptions | undefined {
  const fields = text.fields(node, "'scan'", ['clamd', 'maxBytes', 'onTooLarge', 'timeoutMs', 'concurrency']);
  if (!fields) return undefined;
  const socket = fields.clamd && absolute(text, fields.clamd, "clamd's socket");
  if (!fields.clamd) text.shape(node, "say where clamd listens, as in 'clamd: /run/clamav/clamd.ctl'");
  const { timeoutMs, concurrency } = fields;
  const options = {
    maxBytes: fields.maxBytes && bytes(text, fields.maxBytes),
    onTooLarge: fields.onTooLarge && oneOf(text, fields.onTooLarge, 'verdict', VERDICTS),
    timeoutMs: timeoutMs && integer(text, timeoutMs, 'timeoutMs', LONGEST_MS),
    concurrency: concurrency && integer(text, concurrency, 'concurrency', MOST_SCANS),
  };
  return socket === undefined ? undefined : { clamd: socket, ...options };
}

export function pathsOf(text: PolicyText, node: Spot): string[] {
  if (!node) return [];
  return text.items(node).flatMap((item) => absolute(text, item, 'a path to guard') ?? []);
}

function integer(text: PolicyText, node: Spot, name: string, most: number): number | undefined {
  const value = text.scalar(node);
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= most) return value;
  return text.shape(node, `'${name}' is a whole number from 1 to ${most.toLocaleString('en-US')}`);
}

function bytes(text: PolicyText, node: Spot): number | undefined {
  const value = text.scalar(node);
  const number = typeof value === 'string' || typeof value === 'number' ? parseBytes(String(value)) : undefined;
  return number ?? text.shape(node, "'maxBytes' is a number of bytes, as in 4096, '64k' or '100M'");
}

function absolute(text: PolicyText, node: Spot, what: string): string | undefined {
  const value = text.scalar(node);
  if (typeof value === 'string' && /^\/[^\0]*$/.test(value)) return value;
  return text.shape(node, `${what} is absolute: begin with '/'`);
}

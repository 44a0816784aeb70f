// The rules of a policy's file, checked and compiled.

import type { Node } from 'yaml';
import { DENY_ERRNOS } from '../permission.ts';
import type { DenyErrno } from '../verdict.ts';
import type { Accounts } from './accounts.ts';
import type { CompiledRule, PolicyAction } from './compiled.ts';
import { type FieldValues, unknownWord } from './field-values.ts';
import type { PolicyText, Spot } from './policy-text.ts';

const FIELDS = [
  'name',
  'on',
  'path',
  'exe',
  'ancestor',
  'uid',
  'gid',
  'owner',
  'group',
  'mode',
  'size',
  'container',
  'sha256',
  'action',
  'errno',
  'message',
  'audit',
  'log',
] as const;
const ACTIONS: readonly PolicyAction[] = ['allow', 'deny', 'ask', 'scan'];
const LONGEST_TEXT = 1_000;

/** @param readAccounts Called when a rule names a user or group. */
export function compileRules(
  text: PolicyText,
  node: Spot,
  values: FieldValues,
  readAccounts: () => Accounts,
): CompiledRule[] {
  if (!text.isList(node)) {
    text.shape(node, "'rules' is a list: a line that begins with '-' for each");
    return [];
  }
  const names = new Map<string, number>();
  const rules: CompiledRule[] = [];
  for (const [index, item] of text.rulesOf(node).entries()) {
    const { line } = text.placeOf(item);
    const rule = compileRule(text, item, values, readAccounts, `rule ${index + 1}`);
    if (!rule) continue;
    const before = names.get(rule.name);
    if (before !== undefined)
      text.meaning(
        item,
        `there is a rule ${JSON.stringify(rule.name)} in line ${before}: call one of them something else`,
      );
    else names.set(rule.name, line);
    rules.push(rule);
  }
  return rules;
}

function compileRule(
  text: PolicyText,
  node: Node | null,
  values: FieldValues,
  readAccounts: () => Accounts,
  defaultName: string,
): CompiledRule | undefined {
  const fields = text.fields(node, 'a rule', FIELDS);
  if (!fields) return undefined;
  const { on, path, exe, ancestor, uid, gid, owner, group, mode, size, container, sha256 } = fields;
  const users = (at: Node) => values.ids(at, 'user', readAccounts().users);
  const groups = (at: Node) => values.ids(at, 'group', readAccounts().groups);
  const compiledSize = size && values.size(size);
  return {
    name: fields.name ? (words(text, fields.name, 'a name') ?? defaultName) : defaultName,
    ...text.placeOf(node),
    ...consequences(text, node, fields),
    ...(on && { on: values.kinds(on) }),
    ...(path && { path: values.globs(path) }),
    ...(owner && { owner: users(owner) }),
    ...(group && { group: groups(group) }),
    ...(mode && { mode: values.modes(mode) }),
    ...(compiledSize && { size: compiledSize }),
    ...(exe && { exe: values.globs(exe) }),
    ...(uid && { uid: users(uid) }),
    ...(gid && { gid: groups(gid) }),
    ...(ancestor && { ancestor: values.globs(ancestor) }),
    ...(container && { container: values.containers(container) }),
    ...(sha256 && { sha256: values.digestLists(sha256) }),
  };
}

type Consequences = Pick<CompiledRule, 'action' | 'errno' | 'message' | 'audit' | 'log'>;

function consequences(
  text: PolicyText,
  node: Node | null,
  { action, errno, message, audit, log }: { readonly [name in keyof Consequences]?: Node },
): Consequences {
  if (!action) text.shape(node, `a rule has to say its action: ${ACTIONS.join(', ')}`);
  const compiled = (action && oneOf(text, action, 'action', ACTIONS)) ?? 'deny';
  if (errno && action && compiled !== 'deny') text.meaning(errno, "'errno' goes with the action deny");
  if (message && action && compiled === 'allow') text.meaning(message, "'message' goes with deny, ask and scan");
  const said = {
    errno: errno && oneOf<DenyErrno>(text, errno, 'error that can be answered', DENY_ERRNOS),
    message: message && words(text, message, 'a message'),
    audit: audit && truth(text, audit, 'audit'),
    log: log && truth(text, log, 'log'),
  };
  return {
    action: compiled,
    ...(said.errno && { errno: said.errno }),
    ...(said.message !== undefined && { message: said.message }),
    ...(said.audit && { audit: true as const }),
    ...(said.log !== undefined && { log: said.log }),
  };
}

/** One of some words. */
export function oneOf<Word extends string>(
  text: PolicyText,
  node: Spot,
  what: string,
  known: readonly Word[],
): Word | undefined {
  const word = text.scalar(node);
  const found = known.find((one) => one === word);
  return found ?? text.shape(node, unknownWord(what, word, known));
}

export function truth(text: PolicyText, node: Spot, name: string): boolean | undefined {
  const value = text.scalar(node);
  return typeof value === 'boolean' ? value : text.shape(node, `'${name}' is true or false`);
}

function words(text: PolicyText, node: Spot, what: string): string | undefined {
  const value = text.scalar(node);
  if (typeof value !== 'string') return text.shape(node, `${what} is text: put it in quotes`);
  if (value === '' || [...value].length > LONGEST_TEXT)
    return text.shape(node, `${what} has 1 to ${LONGEST_TEXT} characters`);
  return value;
}

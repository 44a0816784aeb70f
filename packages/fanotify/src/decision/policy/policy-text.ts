// A policy's file as YAML nodes with their places, and what is found wrong with them.

import type { Alias, Document, Node, YAMLError } from 'yaml';
import { nearest } from '../../group/nearest.ts';
import type { PolicyProblem } from './problem.ts';
import { yaml } from './yaml.ts';

const MOST_BYTES = 16 * 1024 * 1024;
const MOST_PROBLEMS = 1_000;
/** More than any policy has. A file of brackets alone would take the parser, and with it the process, out of memory. */
const DEEPEST = 64;
const MOST_ALIASES = 1_000;
/** Tokens of the lexer that stand for no text. */
const NO_TEXT = new Set(['\u0002', '\u0018', '\u001f']);

/** What can be pointed at: a node, or where there is none the text's beginning. */
export type Spot = Node | null | undefined;

export class PolicyText {
  readonly problems: PolicyProblem[] = [];
  readonly root: Spot;
  readonly #document: Document | undefined;
  readonly #lines = new (yaml().LineCounter)();
  readonly #seen = new Set<string>();
  #aliases = 0;

  constructor(text: string) {
    if (text.length > MOST_BYTES) {
      this.#tell(
        0,
        `a policy has at most ${MOST_BYTES / 1024 / 1024} MiB: keep digests in files of their own`,
        'syntax',
      );
      return;
    }
    const deep = tooDeep(text);
    if (deep !== undefined) {
      this.#lines.addNewLine(0);
      for (let at = text.indexOf('\n'); at >= 0 && at < deep; at = text.indexOf('\n', at + 1))
        this.#lines.addNewLine(at + 1);
      this.#tell(deep, `it is nested deeper than ${DEEPEST} levels: a policy has a handful`, 'syntax');
      return;
    }
    const document = yaml().parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, version: '1.2' });
    for (const error of [...document.errors, ...document.warnings]) {
      this.#tell(error.pos[0], yamlSentence(error, text), 'syntax');
    }
    this.#document = document;
    this.root = document.contents;
  }

  get hasErrors(): boolean {
    return this.problems.some(({ severity }) => severity === 'error');
  }

  placeOf(node: Spot): { line: number; column: number } {
    const { line, col } = this.#lines.linePos(node?.range?.[0] ?? 0);
    return { line, column: col };
  }

  shape(node: Spot, message: string): undefined {
    this.#tell(node?.range?.[0] ?? 0, message, 'shape');
  }

  meaning(node: Spot, message: string): undefined {
    this.#tell(node?.range?.[0] ?? 0, message, 'meaning');
  }

  warning(node: Spot, message: string): undefined {
    this.#tell(node?.range?.[0] ?? 0, message, 'meaning', 'warning');
  }

  /** What an alias stands for. Undefined when that is told as a problem. */
  resolved(node: Spot): Spot {
    let of = node;
    while (yaml().isAlias(of)) {
      if (++this.#aliases > MOST_ALIASES)
        return this.shape(of, `there are more than ${MOST_ALIASES} aliases: use sets`);
      const alias: Alias = of;
      of = this.#document && alias.resolve(this.#document);
      if (!of) {
        return this.shape(
          alias,
          `'*' begins an alias in YAML, and there is no anchor of that name: put a glob in quotes`,
        );
      }
    }
    return of ?? null;
  }

  /** The values of a map by their keys; unknown keys are told. `what` begins a sentence: 'a rule'. */
  fields<Name extends string>(
    node: Spot,
    what: string,
    known: readonly Name[],
  ): { readonly [name in Name]?: Node } | undefined {
    const entries = this.entries(node, what);
    if (!entries) return undefined;
    const fields: { [name in Name]?: Node } = {};
    for (const { name, key, value } of entries) {
      if ((known as readonly string[]).includes(name)) {
        if (value) fields[name as Name] = value;
        else this.shape(key, `'${name}' has no value: give it one, or leave it out`);
        continue;
      }
      const meant = nearest(name, known);
      const help = meant === undefined ? `it has ${known.join(', ')}` : `did you mean '${meant}'?`;
      this.shape(key, `${what} has no '${name.slice(0, 100)}': ${help}`);
    }
    return fields;
  }

  /** The entries of a map whose keys are text. */
  entries(node: Spot, what: string): { name: string; key: Node; value: Spot }[] | undefined {
    const map = this.resolved(node);
    if (map === undefined) return undefined;
    if (!yaml().isMap(map)) return this.shape(node, `${what} is written as 'name: value' lines`);
    return map.items.flatMap(({ key, value }) => {
      const name = this.resolved(key as Spot);
      if (!yaml().isScalar(name) || typeof name.value !== 'string') {
        this.shape(name ?? (value as Spot) ?? node, `the names in ${what} are words: put others in quotes`);
        return [];
      }
      const isEmpty = yaml().isScalar(value) && value.value === null;
      return [{ name: name.value, key: key as Node, value: isEmpty ? null : (value as Spot) }];
    });
  }

  /** What is in a list, or the one thing that is given in its place. */
  items(node: Spot): Node[] {
    const list = this.resolved(node);
    if (!yaml().isSeq(list)) return list ? [list] : [];
    if (list.items.length === 0) this.shape(node, 'it is an empty list: leave it out, or say what is in it');
    return list.items.flatMap((item) => this.resolved(item as Spot) ?? []);
  }

  isList(node: Spot): boolean {
    return yaml().isSeq(this.resolved(node));
  }

  /** What is in a list of maps, empty entries too. */
  rulesOf(node: Spot): (Node | null)[] {
    const list = this.resolved(node);
    return yaml().isSeq(list) ? list.items.map((item) => this.resolved(item as Spot) ?? null) : [];
  }

  /** Text, a number, a truth value or null; undefined when it is none of these. */
  scalar(node: Spot): string | number | boolean | null | undefined {
    const value = this.resolved(node);
    if (!yaml().isScalar(value)) return undefined;
    const { value: plain } = value;
    return typeof plain === 'string' || typeof plain === 'number' || typeof plain === 'boolean' || plain === null
      ? plain
      : undefined;
  }

  #tell(
    offset: number,
    message: string,
    about: PolicyProblem['about'],
    severity: PolicyProblem['severity'] = 'error',
  ): undefined {
    const { line, col } = this.#lines.linePos(offset);
    const key = `${offset} ${message}`;
    // A set that is used in many places is wrong in one.
    if (this.#seen.has(key) || this.problems.length >= MOST_PROBLEMS) return;
    this.#seen.add(key);
    // A problem is one line, whatever it quotes.
    const inOneLine = message.replace(/\p{Cc}/gu, (character) => JSON.stringify(character).slice(1, -1));
    this.problems.push({ line: Math.max(line, 1), column: Math.max(col, 1), message: inOneLine, severity, about });
  }
}

/** Where a text is nested too deep. */
function tooDeep(text: string): number | undefined {
  let offset = 0;
  let flow = 0;
  let inLine = 0;
  for (const token of new (yaml().Lexer)().lex(text)) {
    if (token === '[' || token === '{') flow++;
    else if (token === ']' || token === '}') flow--;
    else if (token === '-' || token === '?' || token === ':') inLine++;
    else if (token === '\n' || token === '\r\n') inLine = 0;
    if (flow > DEEPEST || (flow === 0 && inLine > DEEPEST)) return offset;
    if (inLine === 0 && /^ {512}/.test(token)) return offset;
    if (!NO_TEXT.has(token)) offset += token.length;
  }
  return undefined;
}

function yamlSentence({ code, message, pos }: YAMLError, text: string): string {
  switch (code) {
    case 'TAG_RESOLVE_FAILED':
      return "'!' begins a tag in YAML: put what begins with it in quotes, as in '!/srv/**'";
    case 'BAD_SCALAR_START':
      return `YAML keeps '${text.slice(pos[0], pos[0] + 1)}' for itself: put what begins with it in quotes`;
    case 'DUPLICATE_KEY':
      return 'this name is given twice: keep one of them';
    case 'MULTIPLE_DOCS':
      return "a policy is one document: remove '---'";
    default:
      return `this is no YAML: ${message.replace(/^./, (first) => first.toLowerCase())}${
        /flow/.test(message) ? " (put globs with '{', '[' or ',' in quotes)" : ''
      }`;
  }
}

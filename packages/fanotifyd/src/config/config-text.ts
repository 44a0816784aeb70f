// The configuration file as YAML nodes with their places, and what is found wrong with them: all at once, each with its line.

import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, type YAMLError } from 'yaml';

const MOST_BYTES = 1024 * 1024;
const MOST_PROBLEMS = 200;
/** A name is taken for another when so many letters are to be changed. */
const NEAR = 2;

/** Something that is wrong with a configuration, or doubtful. */
export interface ConfigProblem {
  readonly line: number;
  readonly column: number;
  readonly message: string;
  readonly severity: 'error' | 'warning';
  /** Whether it is about how something is written, which fanotifyd.schema.json says too. */
  readonly about: 'syntax' | 'shape' | 'meaning';
}

/** A configuration that cannot be used. The message has a line for each problem, `file:line:column: sentence`. */
export class ConfigError extends Error {
  static {
    ConfigError.prototype.name = 'ConfigError';
  }
  readonly code = 'CONFIG';
  readonly problems: readonly ConfigProblem[];
  /** There is no such file. */
  readonly isMissing: boolean;
  constructor(file: string, problems: readonly ConfigProblem[], isMissing = false) {
    super(problems.map((problem) => problemText(file, problem)).join('\n'));
    this.problems = problems;
    this.isMissing = isMissing;
  }
}

/** `file:line:column: sentence` */
export function problemText(file: string, { line, column, message, severity }: ConfigProblem): string {
  return `${file}:${line}:${column}: ${severity === 'warning' ? 'warning: ' : ''}${message}`;
}

/** What can be pointed at: a node, or where there is none the text's beginning. */
export type Spot = Node | null | undefined;

export class ConfigText {
  readonly problems: ConfigProblem[] = [];
  readonly root: Spot;
  readonly #lines = new LineCounter();

  constructor(text: string) {
    if (text.length > MOST_BYTES) {
      this.#tell(0, `a configuration has at most ${MOST_BYTES / 1024 / 1024} MiB`, 'syntax', 'error');
      return;
    }
    const document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, version: '1.2' });
    for (const error of [...document.errors, ...document.warnings]) {
      this.#tell(error.pos[0], yamlSentence(error), 'syntax', 'error');
    }
    this.root = document.contents;
  }

  get hasErrors(): boolean {
    return this.problems.some(({ severity }) => severity === 'error');
  }

  /** There is nothing in it, or comments alone. */
  get isEmpty(): boolean {
    return !this.root || (isScalar(this.root) && this.root.value === null);
  }

  lineOf(node: Spot): number {
    return Math.max(this.#lines.linePos(node?.range?.[0] ?? 0).line, 1);
  }

  shape(node: Spot, message: string): undefined {
    this.#tell(node?.range?.[0] ?? 0, message, 'shape', 'error');
  }

  meaning(node: Spot, message: string): undefined {
    this.#tell(node?.range?.[0] ?? 0, message, 'meaning', 'error');
  }

  warning(node: Spot, message: string): undefined {
    this.#tell(node?.range?.[0] ?? 0, message, 'meaning', 'warning');
  }

  /** The values of a map by their keys; unknown keys are told. `what` begins a sentence: 'a grant'. */
  fields<Name extends string>(
    node: Spot,
    what: string,
    known: readonly Name[],
  ): { readonly [name in Name]?: Node } | undefined {
    if (isAlias(node)) return this.#alias(node);
    if (!isMap(node)) return this.shape(node, `${what} is written as 'name: value' lines`);
    const fields: { [name in Name]?: Node } = {};
    for (const { key, value } of node.items) {
      const name = isScalar(key) ? String(key.value) : '';
      const at = key as Spot;
      if (!(known as readonly string[]).includes(name)) {
        const meant = known.find((other) => distance(name.toLowerCase(), other.toLowerCase()) <= NEAR);
        const help = meant === undefined ? `it has ${known.join(', ')}` : `did you mean '${meant}'?`;
        this.shape(at, `${what} has no '${name.slice(0, 100)}': ${help}`);
      } else if (value === null || (isScalar(value) && value.value === null)) {
        this.shape(at, `'${name}' has no value: give it one, or leave it out`);
      } else fields[name as Name] = value as Node;
    }
    return fields;
  }

  /** What is in a list, or the one thing that is given in its place. */
  items(node: Spot): Node[] {
    if (isAlias(node)) return this.#alias(node) ?? [];
    if (!isSeq(node)) return node ? [node] : [];
    if (node.items.length === 0) this.shape(node, 'it is an empty list: leave it out, or say what is in it');
    return node.items as Node[];
  }

  isList(node: Spot): boolean {
    return isSeq(node);
  }

  /** Text, a number, a truth value or null; undefined when it is none of these. */
  scalar(node: Spot): string | number | boolean | null | undefined {
    if (isAlias(node)) return this.#alias(node);
    if (!isScalar(node)) return undefined;
    const { value } = node;
    return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' || value === null
      ? value
      : undefined;
  }

  #alias(node: Spot): undefined {
    return this.shape(
      node,
      "'*' begins an alias in YAML, which there are none of here: write it out, or put it in quotes",
    );
  }

  #tell(offset: number, message: string, about: ConfigProblem['about'], severity: ConfigProblem['severity']): void {
    if (this.problems.length >= MOST_PROBLEMS) return;
    const { line, col } = this.#lines.linePos(offset);
    // A problem is one line, whatever it quotes.
    const inOneLine = message.replace(/\p{Cc}/gu, (character) => JSON.stringify(character).slice(1, -1));
    this.problems.push({ line: Math.max(line, 1), column: Math.max(col, 1), message: inOneLine, severity, about });
  }
}

function yamlSentence({ code, message }: YAMLError): string {
  switch (code) {
    case 'DUPLICATE_KEY':
      return 'this name is given twice: keep one of them';
    case 'MULTIPLE_DOCS':
      return "a configuration is one document: remove '---'";
    default:
      return `this is no YAML: ${message.replace(/^./, (first) => first.toLowerCase())}`;
  }
}

/** How many letters are to be changed, added or left out: Levenshtein's. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const kept = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(kept, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

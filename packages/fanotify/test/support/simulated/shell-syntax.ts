// The part of the shell's language that the tests speak: lists, redirections, for, while, if, braces, quotes and parameters.

/** A word, in pieces: text as it is, or a parameter's name. */
export type Word = readonly ({ readonly text: string } | { readonly parameter: string })[];

export interface Redirection {
  readonly fd: number;
  readonly how: '>' | '>>' | '<' | '>&';
  readonly to: Word;
}

export type Command =
  | { readonly kind: 'simple'; readonly words: readonly Word[]; readonly redirections: readonly Redirection[] }
  | { readonly kind: 'group'; readonly body: List; readonly redirections: readonly Redirection[] }
  | { readonly kind: 'for'; readonly name: string; readonly words: readonly Word[]; readonly body: List }
  | { readonly kind: 'while'; readonly test: List; readonly body: List }
  | { readonly kind: 'if'; readonly test: List; readonly then: List; readonly otherwise: List };

/** Commands one after the other: each if the one before has succeeded ('&&'), failed ('||'), or in any case. */
export type List = readonly {
  readonly after: '&&' | '||' | ';';
  readonly command: Command;
  readonly inBackground: boolean;
}[];

type Token = { readonly operator: string } | { readonly word: Word; readonly bare: string | undefined };

const OPERATORS = ['&&', '||', '>>', '>&', ';', '&', '\n', '>', '<', '(', ')'];

function tokensOf(script: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < script.length) {
    const rest = script.slice(at);
    const blank = /^([ \t]+|\\\n|#[^\n]*)/.exec(rest)?.[0];
    if (blank !== undefined) {
      at += blank.length;
      continue;
    }
    const redirected = /^\d(?=[<>])/.exec(rest)?.[0];
    const operator = OPERATORS.find((each) => rest.startsWith(each, redirected?.length ?? 0));
    if (operator !== undefined) {
      tokens.push({ operator: `${redirected ?? ''}${operator}` });
      at += operator.length + (redirected?.length ?? 0);
      continue;
    }
    const [word, length, isBare] = wordAt(rest);
    tokens.push({ word, bare: isBare ? rest.slice(0, length) : undefined });
    at += length;
  }
  return tokens;
}

function wordAt(text: string): [word: Word, length: number, isBare: boolean] {
  const word: ({ text: string } | { parameter: string })[] = [];
  let at = 0;
  let quote = '';
  let isBare = true;
  for (; at < text.length; at++) {
    const letter = text[at] as string;
    if (quote === '' && /[\s;&<>()]/.test(letter)) break;
    if (quote === '' ? letter === "'" || letter === '"' : letter === quote) {
      quote = quote === '' ? letter : '';
      isBare = false;
      word.push({ text: '' });
    } else if (letter === '$' && quote !== "'") {
      const [whole, braced, plain] = /^\$(?:\{(\w+)\}|(\w+|[$!?@*#]))/.exec(text.slice(at)) ?? [];
      if (whole === undefined) word.push({ text: letter });
      else {
        word.push({ parameter: braced ?? nameOf(plain ?? '') });
        at += whole.length - 1 - ((plain ?? '').length - nameOf(plain ?? '').length);
        isBare = false;
      }
    } else if (letter === '\\' && quote !== "'") {
      word.push({ text: text[++at] ?? '' });
      isBare = false;
    } else word.push({ text: letter });
  }
  return [word, at, isBare];
}

/** `$10` is `$1` and a zero. */
const nameOf = (name: string) => (/^\d/.test(name) ? name.slice(0, 1) : name);

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(script: string) {
    this.#tokens = tokensOf(script);
  }

  /** Up to one of these words, which is taken, or the end. */
  list(...ends: string[]): List {
    const list: { after: '&&' | '||' | ';'; command: Command; inBackground: boolean }[] = [];
    let after: '&&' | '||' | ';' = ';';
    for (;;) {
      while (this.#isOperator(';', '\n')) this.#at++;
      if (this.#at === this.#tokens.length) {
        if (ends.length > 0) throw new SyntaxError(`the script ends without ${ends.join(' or ')}`);
        return list;
      }
      if (this.#isWord(...ends)) return list;
      const command = this.#command();
      const inBackground = this.#isOperator('&');
      list.push({ after, command, inBackground });
      after = this.#isOperator('&&') ? '&&' : this.#isOperator('||') ? '||' : ';';
      if (inBackground || after !== ';') this.#at++;
    }
  }

  /** Takes the word that has ended a list. */
  take(): string {
    const token = this.#tokens[this.#at++];
    return token && 'bare' in token ? (token.bare ?? '') : '';
  }

  #command(): Command {
    if (this.#isWord('{')) {
      this.#at++;
      const body = this.list('}');
      this.take();
      return { kind: 'group', body, redirections: this.#redirections() };
    }
    if (this.#isWord('for')) return this.#for();
    if (this.#isWord('while')) {
      this.#at++;
      const test = this.list('do');
      this.take();
      const body = this.list('done');
      this.take();
      return { kind: 'while', test, body };
    }
    if (this.#isWord('if')) return this.#if();
    return this.#simple();
  }

  #for(): Command {
    this.#at++;
    const name = this.take();
    this.take();
    const words: Word[] = [];
    while (!this.#isOperator(';', '\n')) words.push(this.#word());
    while (this.#isOperator(';', '\n')) this.#at++;
    this.take();
    const body = this.list('done');
    this.take();
    return { kind: 'for', name, words, body };
  }

  #if(): Command {
    this.#at++;
    const test = this.list('then');
    this.take();
    const then = this.list('else', 'fi');
    const otherwise = this.take() === 'else' ? this.list('fi') : [];
    if (otherwise.length > 0) this.take();
    return { kind: 'if', test, then, otherwise };
  }

  #simple(): Command {
    const words: Word[] = [];
    const redirections: Redirection[] = [];
    for (;;) {
      const token = this.#tokens[this.#at];
      if (token === undefined) break;
      if ('word' in token) words.push(this.#word());
      else if (/[<>]/.test(token.operator)) redirections.push(this.#redirection());
      else break;
    }
    return { kind: 'simple', words, redirections };
  }

  #redirections(): Redirection[] {
    const redirections: Redirection[] = [];
    for (let token = this.#tokens[this.#at]; token; token = this.#tokens[this.#at]) {
      if (!('operator' in token) || !/[<>]/.test(token.operator)) break;
      redirections.push(this.#redirection());
    }
    return redirections;
  }

  #redirection(): Redirection {
    const token = this.#tokens[this.#at++];
    const operator = token && 'operator' in token ? token.operator : '';
    const how = operator.replace(/^\d/, '') as Redirection['how'];
    const fd = /^\d/.test(operator) ? Number(operator[0]) : how === '<' ? 0 : 1;
    return { fd, how, to: this.#word() };
  }

  #word(): Word {
    const token = this.#tokens[this.#at++];
    if (!token || !('word' in token)) throw new SyntaxError('a word is missing');
    return token.word;
  }

  #isOperator(...operators: string[]): boolean {
    const token = this.#tokens[this.#at];
    return token !== undefined && 'operator' in token && operators.includes(token.operator);
  }

  #isWord(...words: string[]): boolean {
    const token = this.#tokens[this.#at];
    return token !== undefined && 'bare' in token && token.bare !== undefined && words.includes(token.bare);
  }
}

export function parse(script: string): List {
  return new Parser(script).list();
}

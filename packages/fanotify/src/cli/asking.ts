// Asks the person at the terminal about accesses that are held, one after the other.

import { createInterface, type Interface } from 'node:readline';
import type { ReadStream } from 'node:tty';
import type { PermissionRequest, Verdict } from '../index.ts';
import { nameOf } from './process-text.ts';
import { shown, shownBytes } from './text.ts';

interface Question {
  readonly request: PermissionRequest;
  readonly answer: (verdict: Verdict | undefined) => void;
}

/** A person who is asked. */
export class Person {
  readonly #keyboard: ReadStream;
  readonly #say: (text: string) => void;
  readonly #waiting: Question[] = [];
  #reading: Interface | undefined;

  constructor(keyboard: ReadStream, say: (text: string) => void) {
    this.#keyboard = keyboard;
    this.#say = say;
  }

  /** What the person says; undefined when there was no time for it, and what is held has its verdict. */
  ask(request: PermissionRequest): Promise<Verdict | undefined> {
    return new Promise((resolve) => {
      // What is not read while it is held is not to be had later.
      void [request.process, request.path];
      this.#waiting.push({ request, answer: resolve });
      if (this.#waiting.length === 1) this.#next();
    });
  }

  end(): void {
    this.#reading?.close();
    this.#reading = undefined;
    for (const { answer } of this.#waiting.splice(0)) answer(undefined);
  }

  #next(): void {
    const question = this.#waiting[0];
    if (!question) {
      // The terminal is the shell's while nothing is asked.
      this.#reading?.close();
      this.#reading = undefined;
      return;
    }
    const { request } = question;
    if (request.settled) {
      this.#answered(question, undefined);
      return;
    }
    request.signal.addEventListener(
      'abort',
      () => {
        if (this.#waiting[0] !== question) return;
        this.#say('too late');
        this.#answered(question, undefined);
      },
      { once: true },
    );
    this.#say(questionText(request));
    this.#reading ??= createInterface({ input: this.#keyboard, terminal: false }).on('line', (line) =>
      this.#hear(line),
    );
  }

  #hear(line: string): void {
    const question = this.#waiting[0];
    if (!question) return;
    const word = line.trim().toLowerCase();
    if (word === 'y' || word === 'yes') this.#answered(question, 'allow');
    else if (word === 'n' || word === 'no') this.#answered(question, 'deny');
    else this.#say("say 'y' or 'n', and Enter");
  }

  #answered(question: Question, verdict: Verdict | undefined): void {
    this.#waiting.shift();
    question.answer(verdict);
    this.#next();
  }
}

function questionText({ kind, pid, path, rawPath, process, rule, remainingMs }: PermissionRequest): string {
  const who = process
    ? `${nameOf(process)}(${pid})${process.uid === null ? '' : ` of user ${process.uid}`}`
    : `unknown(${pid})`;
  const what = path === null ? (rawPath ? shownBytes(rawPath) : 'a file without a path here') : shown(path);
  const why = rule ? ` (${shown(rule.message ?? rule.name)})` : '';
  return `${who} wants to ${WORDS[kind]} ${what}${why}: y or n? (${Math.ceil(remainingMs / 1000)} s)`;
}

const WORDS: Readonly<Record<PermissionRequest['kind'], string>> = {
  open: 'open',
  openExec: 'execute',
  access: 'read',
  preAccess: 'read',
};

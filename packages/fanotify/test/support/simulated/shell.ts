// sh, as far as the tests need it: as a process of the simulated machine, which forks for each program.

import { KernelError } from '../../../src/kernel/error.ts';
import { chdir } from '../../../src/simulated/files/directories.ts';
import { O_APPEND, O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY } from '../../../src/simulated/files/flags.ts';
import { Refusal } from '../../../src/simulated/refusal.ts';
import { binaryOf, toldBySeam } from '../../../src/simulated/seam/caller.ts';
import { duplicate, duplicateTo } from '../../../src/simulated/tasks/descriptors.ts';
import { CLD_EXITED, fork, waitChild } from '../../../src/simulated/tasks/process.ts';
import type { Blocking } from '../../../src/simulated/wait.ts';
import { calls, machine, system } from './machine.ts';
import { become, pathOfProgram } from './processes.ts';
import { complain, print, sentenceOf, toItsEnd } from './programs.ts';
import { type Command, type List, parse, type Redirection, type Word } from './shell-syntax.ts';

const WEXITED = 4;
const NOT_FOUND = 127;
/** Of descriptors that are kept while others take their place. */
const SAVED = 10;
const HOW = { '<': O_RDONLY, '>': O_WRONLY | O_CREAT | O_TRUNC, '>>': O_WRONLY | O_CREAT | O_APPEND } as const;

/** sh -c SCRIPT [NAME [ARGUMENT]…], or lines from its standard input. */
export function* shell(argv: readonly string[]): Blocking<number> {
  const options = argv.findIndex((argument, index) => index > 0 && !/^-[a-z]+$/.test(argument));
  const flags = argv.slice(1, options < 0 ? undefined : options).join('');
  if (flags.includes('c')) {
    const [script = '', name = argv[0] ?? 'sh', ...rest] = argv.slice(options);
    return yield* new Shell([name, ...rest], flags.includes('e')).run(parse(script));
  }
  return yield* new Shell(['sh'], false).runLines();
}

class Shell {
  readonly #parameters: readonly string[];
  readonly #stopsAtFailure: boolean;
  readonly #variables = new Map<string, string>();
  #status = 0;
  #lastInBackground = 0;

  constructor(parameters: readonly string[], stopsAtFailure: boolean) {
    this.#parameters = parameters;
    this.#stopsAtFailure = stopsAtFailure;
  }

  *run(list: List): Blocking<number> {
    for (const [index, { after, command, inBackground }] of list.entries()) {
      if (after === '&&' && this.#status !== 0) continue;
      if (after === '||' && this.#status === 0) continue;
      if (inBackground) this.#lastInBackground = this.#begin(() => this.#command(command));
      else {
        this.#status = yield* this.#command(command);
        const isTested = list[index + 1]?.after === '||' || list[index + 1]?.after === '&&';
        if (this.#stopsAtFailure && this.#status !== 0 && !isTested) yield* calls.exit(this.#status);
      }
    }
    return this.#status;
  }

  *runLines(): Blocking<number> {
    for (let text = ''; ; ) {
      const chunk = yield* calls.read(0);
      text += chunk.toString();
      const end = chunk.length === 0 ? text.length : text.lastIndexOf('\n') + 1;
      if (end > 0) yield* this.run(parse(text.slice(0, end)));
      text = text.slice(end);
      if (chunk.length === 0) return this.#status;
    }
  }

  *#command(command: Command): Blocking<number> {
    switch (command.kind) {
      case 'group':
        return yield* this.#redirected(command.redirections, () => this.run(command.body));
      case 'for':
        for (const value of command.words.flatMap((word) => this.#expand(word))) {
          this.#variables.set(command.name, value);
          yield* this.run(command.body);
        }
        return this.#status;
      case 'while':
        while ((yield* this.run(command.test)) === 0) yield* this.run(command.body);
        return 0;
      case 'if':
        return yield* this.run((yield* this.run(command.test)) === 0 ? command.then : command.otherwise);
      default:
        return yield* this.#simple(command.words, command.redirections);
    }
  }

  *#simple(words: readonly Word[], redirections: readonly Redirection[]): Blocking<number> {
    const argv = words.flatMap((word) => this.#expand(word));
    const [name] = argv;
    const assignment = /^(\w+)=(.*)$/s.exec(name ?? '');
    if (assignment && argv.length === 1) {
      this.#variables.set(assignment[1] ?? '', assignment[2] ?? '');
      return 0;
    }
    const builtin = name === undefined ? this.#nothing : this.#builtins[name];
    if (builtin) return yield* this.#redirected(redirections, () => builtin(argv));
    const path = pathOfProgram(name ?? '');
    return yield* this.#wait(this.#begin(() => this.#redirected(redirections, () => this.#execute(path, argv))));
  }

  *#execute(path: string | undefined, argv: readonly string[]): Blocking<number> {
    try {
      // It is that program now, and what follows is for no shell any more.
      if (path !== undefined) yield* calls.exit(yield* become(path, argv));
      yield* complain(`sh: 1: ${argv[0]}: not found`);
    } catch (error) {
      if (!(error instanceof Refusal || error instanceof KernelError)) throw error;
      yield* complain(`sh: 1: ${argv[0]}: ${sentenceOf(toldBySeam(error, 'execve'))}`);
    }
    return NOT_FOUND - (path === undefined ? 0 : 1);
  }

  /** fork(2). Returns the number of the child. */
  #begin(body: () => Blocking<number>): number {
    const child = fork(machine);
    system.scheduler.start(child, toItsEnd(body, []));
    return child.process.pid;
  }

  *#wait(pid: number): Blocking<number> {
    const end = yield* waitChild(machine, pid, WEXITED);
    if (end === undefined) return 0;
    return end.code === CLD_EXITED ? end.status : 128 + end.status;
  }

  /** Does something with other descriptors, and takes the old ones back. */
  *#redirected(redirections: readonly Redirection[], body: () => Blocking<number>): Blocking<number> {
    const saved: [fd: number, copy: number][] = [];
    try {
      for (const { fd, how, to } of redirections) {
        const target = this.#expand(to).join(' ');
        const from = how === '>&' ? Number(target) : yield* calls.open(target, HOW[how]);
        saved.push([fd, duplicate(machine, fd, SAVED, true)]);
        duplicateTo(machine, from, fd);
        if (how !== '>&') yield* calls.close(from);
      }
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      for (const [fd, copy] of saved.reverse()) yield* restore(fd, copy);
      yield* complain(`sh: 1: cannot open: ${sentenceOf(error)}`);
      return 2;
    }
    const status = yield* body();
    for (const [fd, copy] of saved.reverse()) yield* restore(fd, copy);
    return status;
  }

  #expand(word: Word): string[] {
    const text = word.map((part) => ('text' in part ? part.text : this.#valueOf(part.parameter))).join('');
    // A bare parameter without a value is no word.
    const isNothing = text === '' && word.every((part) => 'parameter' in part);
    return isNothing ? [] : [text];
  }

  #valueOf(parameter: string): string {
    if (/^\d$/.test(parameter)) return this.#parameters[Number(parameter)] ?? '';
    switch (parameter) {
      case '$':
        return String(machine.current.process.pid);
      case '!':
        return String(this.#lastInBackground);
      case '?':
        return String(this.#status);
      default:
        return this.#variables.get(parameter) ?? '';
    }
  }

  // biome-ignore lint/correctness/useYield: as all that a shell does.
  readonly #nothing = function* (): Blocking<number> {
    return 0;
  };

  readonly #builtins: Readonly<Record<string, (argv: readonly string[]) => Blocking<number>>> = {
    ':': this.#nothing,
    true: this.#nothing,
    *echo([, ...words]) {
      yield* print(`${words.join(' ')}\n`);
      return 0;
    },
    read: ([, name = 'REPLY']) => this.#read(name),
    cd: (words) => this.#enter(words.at(-1) ?? '/'),
    exit: ([, status = String(this.#status)]) => calls.exit(Number(status)),
    exec: ([, ...argv]) => this.#exec(argv),
    wait: () => this.#waitForAll(),
  };

  // biome-ignore lint/correctness/useYield: as all that a shell does.
  *#enter(path: string): Blocking<number> {
    chdir(machine, binaryOf(path));
    return 0;
  }

  /** A line of standard input, byte by byte: what follows is for others. */
  *#read(name: string): Blocking<number> {
    let line = '';
    for (;;) {
      const byte = yield* calls.read(0, 1);
      if (byte.length === 0 || byte.toString() === '\n') {
        this.#variables.set(name, line);
        return byte.length === 0 ? 1 : 0;
      }
      line += byte.toString('latin1');
    }
  }

  *#exec(argv: readonly string[]): Blocking<never> {
    return yield* calls.exit(yield* this.#execute(pathOfProgram(argv[0] ?? ''), argv));
  }

  *#waitForAll(): Blocking<number> {
    while (machine.current.process.children.size > 0) yield* this.#wait(0);
    return 0;
  }
}

function* restore(fd: number, copy: number): Blocking<void> {
  duplicateTo(machine, copy, fd);
  yield* calls.close(copy);
}

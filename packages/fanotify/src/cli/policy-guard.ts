// `fanotify guard --policy`: decides by the rules of a file, reads them again when it changes, and tells what was decided.

import { closeSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { problemText } from '../decision/policy/problem.ts';
import { type DecisionRecord, type Guard, type GuardOptions, guard, loadPolicy, type Policy, watch } from '../index.ts';
import { Person } from './asking.ts';
import { reasonOf, sentenceOf, UserError } from './failure.ts';
import { announceGuard, guardUntilStopped } from './guarding.ts';
import { recordLine } from './record-text.ts';
import type { Screen } from './screen.ts';
import type { Ending, Surroundings } from './surroundings.ts';
import { safeJson, shown } from './text.ts';

/** What the command line says of a guard with a policy. */
export interface PolicyGuarding {
  readonly surroundings: Surroundings;
  readonly file: string;
  readonly targets: readonly string[];
  /** What overrides the policy. */
  readonly options: Omit<GuardOptions, 'decide' | 'policy' | 'records'>;
  readonly dryRun: boolean;
  readonly json: boolean;
  /** Appended to: a decision a line. */
  readonly log?: string | undefined;
  readonly count?: number | undefined;
  readonly timeoutSeconds?: number | undefined;
}

/** Reads a policy, and says what is to be said of it. @throws PolicyError */
export async function readPolicy(file: string, dryRun: boolean, say: (text: string) => void): Promise<Policy> {
  const policy = await loadPolicy(file);
  for (const warning of policy.warnings) say(problemText(file, warning));
  return dryRun ? { ...policy, compiled: { ...policy.compiled, mode: 'dryRun' } } : policy;
}

/** Guards until it is stopped. */
export function guardByPolicy(how: PolicyGuarding, policy: Policy): Promise<Ending> {
  const { surroundings, targets, json, dryRun } = how;
  const isSystem = how.options.scope === 'system';
  const log = how.log === undefined ? undefined : new DecisionLog(how.log, surroundings.say);
  let current = policy;
  let reloading: Reloading | undefined;
  let person: Person | undefined;
  return guardUntilStopped({
    surroundings,
    count: how.count,
    timeoutSeconds: how.timeoutSeconds,
    async open({ lines, screen }) {
      const { keyboard } = surroundings;
      person = keyboard && new Person(keyboard, (text) => screen.say(text));
      const gate = await guard(targets.length === 1 ? (targets[0] as string) : targets, {
        ...how.options,
        policy,
        records: true,
        // Without a terminal nobody answers: what the policy says of that holds at once.
        decide: async (request) =>
          (await person?.ask(request)) ?? (request.settled ? 'deny' : current.compiled.ask.default),
      });
      gate.on('decision', (record) => {
        log?.write(record);
        void lines.tell(json ? safeJson(record) : recordLine(record));
      });
      reloading = new Reloading(how, gate, screen, policy, (next) => {
        current = next;
      });
      return gate;
    },
    announce: async (gate, screen) => {
      const isDry = dryRun || policy.compiled.mode === 'dryRun';
      await announceGuard(gate, targets, isSystem, isDry ? ' (dry run: everything is allowed)' : '', screen);
      screen.say(`policy ${policy.compiled.identity.slice(0, 12)}, ${rulesText(policy)}`);
    },
    async sum(gate, screen) {
      await reloading?.end();
      sayHits((await gate.status()).ruleHits, current, screen);
    },
  }).finally(async () => {
    person?.end();
    await reloading?.end();
    log?.close();
  });
}

function rulesText({ compiled }: Policy): string {
  const { length } = compiled.rules;
  return length === 1 ? '1 rule' : `${length} rules`;
}

function sayHits(hits: readonly number[], { compiled }: Policy, screen: Screen): void {
  for (const [rule, count] of hits.entries()) {
    const name = compiled.rules[rule]?.name ?? `no rule (${compiled.default})`;
    if (count > 0) screen.say(`${String(count).padStart(8)}  ${shown(name)}`);
  }
}

/** A log that decisions are appended to; they are few enough to be written at once. */
class DecisionLog {
  readonly #fd: number;
  readonly #path: string;
  readonly #say: (text: string) => void;
  #unwritten = 0;

  constructor(path: string, say: (text: string) => void) {
    this.#path = JSON.stringify(path);
    this.#say = say;
    try {
      this.#fd = openSync(path, 'a', 0o640);
    } catch (error) {
      throw new UserError(`--log: ${this.#path} cannot be opened: ${reasonOf(error)}`);
    }
  }

  /** What cannot be written is no reason to let everything in: it is said. */
  write(record: DecisionRecord): void {
    try {
      writeSync(this.#fd, `${JSON.stringify(record)}\n`);
    } catch (error) {
      if (this.#unwritten++ === 0)
        this.#say(`fanotify: --log: ${this.#path} cannot be written (${reasonOf(error)}): decisions are missing in it`);
    }
  }

  close(): void {
    closeSync(this.#fd);
    if (this.#unwritten > 0) this.#say(`fanotify: ${this.#unwritten} decisions are not in ${this.#path}`);
  }
}

/** Reads the policy again when its file changes. A bad one changes nothing. */
class Reloading {
  readonly #how: PolicyGuarding;
  readonly #gate: Guard;
  readonly #screen: Screen;
  readonly #changed: (policy: Policy) => void;
  readonly #watcher: ReturnType<typeof watch>;
  readonly #ended: Promise<void>;
  #identity: string;
  #complaint = '';

  constructor(how: PolicyGuarding, gate: Guard, screen: Screen, policy: Policy, changed: (policy: Policy) => void) {
    this.#how = how;
    this.#gate = gate;
    this.#screen = screen;
    this.#identity = policy.compiled.identity;
    this.#changed = changed;
    const directories = [...new Set(policy.files.map((file) => dirname(file)))];
    this.#watcher = watch(directories, { recursive: false, baseline: 'none', by: false });
    this.#ended = this.#follow();
  }

  async end(): Promise<void> {
    await this.#watcher.close();
    await this.#ended;
  }

  async #follow(): Promise<void> {
    try {
      await this.#watcher.ready;
      // It may have been changed before.
      await this.#readAgain();
      for await (const _ of this.#watcher) await this.#readAgain();
    } catch (error) {
      this.#screen.say(`fanotify: the policy is not read again when it changes: ${sentenceOf(error)}`);
    }
  }

  async #readAgain(): Promise<void> {
    try {
      const policy = await readPolicy(this.#how.file, this.#how.dryRun, () => undefined);
      if (policy.compiled.identity === this.#identity) return;
      await this.#gate.setPolicy(policy);
      this.#identity = policy.compiled.identity;
      this.#complaint = '';
      this.#changed(policy);
      this.#screen.say(`policy ${this.#identity.slice(0, 12)} from now on, ${rulesText(policy)}`);
    } catch (error) {
      const complaint = sentenceOf(error);
      // Each write of a file that is being written is a change.
      if (complaint !== this.#complaint) this.#screen.say(`the policy stays as it was: ${complaint}`);
      this.#complaint = complaint;
    }
  }
}

// What sequences have exercised: so that what they never do shows.

import type { ExpectedEvent, Observed, Operation, Outcome, Step } from '../conformance/case.ts';
import type { Observation, Sequence } from './observation.ts';

const NO_EVENTS = new Set(['FAN_ONDIR', 'FAN_EVENT_ON_CHILD']);

export class Coverage {
  readonly counts = new Map<string, number>();

  add(sequence: Sequence, observations: readonly Observation[]): void {
    this.#count('sequences');
    sequence.steps.forEach((step, index) => {
      const observation = observations[index];
      this.#count(`step ${step.do}${observation === null ? ' (nothing to do)' : ''}`);
      if (observation !== null && observation !== undefined) this.#step(step, observation);
    });
  }

  merge(other: Iterable<readonly [string, number]>): void {
    for (const [word, count] of other) this.counts.set(word, (this.counts.get(word) ?? 0) + count);
  }

  toString(): string {
    return [...this.counts]
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([word, count]) => `${String(count).padStart(9)}  ${word}`)
      .join('\n');
  }

  #step(step: Step, observation: Observed): void {
    switch (step.do) {
      case 'fs':
        this.#operation(step, observation as Outcome);
        return;
      case 'child':
      case 'permChild':
      case 'answer': {
        if (typeof observation !== 'object' || !('child' in observation)) return;
        const operations = step.do === 'answer' ? [] : step.ops;
        operations.forEach((operation, index) => {
          this.#operation(operation, observation.child[index] ?? 'not done');
        });
        for (const event of observation.events) this.#event(event);
        if (step.do !== 'child')
          for (const { response = 'FAN_ALLOW' } of step.events.slice(0, observation.events.length))
            this.#count(`response ${response}`);
        return;
      }
      case 'read':
      case 'readRaw':
        if (!Array.isArray(observation)) {
          this.#count(`${step.do} ${String(observation)}`);
          return;
        }
        if (observation.length > 1) this.#count(`${step.do} of several events`);
        for (const event of observation as readonly ExpectedEvent[]) this.#event(event);
        return;
      case 'fdinfo':
        for (const line of Array.isArray(observation) ? (observation as readonly string[]).slice(1) : [])
          this.#count(
            `fdinfo ${line.split(' ')[0]}${/ignored_mask:0$/.test(line) ? '' : ', ignores'}${/mflags:0 /.test(line) ? '' : `, ${/mflags:\w+/.exec(line)?.[0] ?? ''}`}`,
          );
        return;
      case 'init':
      case 'mark':
        this.#count(`${step.do} ${String(observation)}`);
        return;
      default:
        return;
    }
  }

  #operation({ op }: Operation, outcome: Outcome): void {
    this.#count(`op ${op} ${typeof outcome === 'number' ? 'ok' : outcome}`);
  }

  #event({ mask = [], info = [], fd, failed, answered, pid }: ExpectedEvent): void {
    for (const bit of mask) this.#count(`event ${bit}`);
    for (const { type, pidfd, object, error } of info) {
      this.#count(`record ${type}`);
      if (pidfd !== undefined) this.#count(`pidfd ${pidfd}`);
      if (object !== undefined && (object === 'null' || object.startsWith('unnamed')))
        this.#count(`object ${object.split(' ')[0]}`);
      if (error !== undefined) this.#count(`error ${error}`);
    }
    if (mask.filter((bit) => !NO_EVENTS.has(bit)).length > 1) this.#count('merged');
    if (failed !== undefined) this.#count(`read failed ${failed}`);
    if (answered !== undefined) this.#count(`answered ${answered}`);
    if (fd !== undefined) this.#count(`fd ${fd}`);
    if (pid !== undefined) this.#count(`pid ${pid}`);
    if (info.length > 0) this.#count(`records ${info.map(({ type }) => type).join('+')}`);
  }

  #count(word: string): void {
    this.counts.set(word, (this.counts.get(word) ?? 0) + 1);
  }
}

// A difference, for people.

import type { ExpectedEvent, Step } from '../conformance/case.ts';
import { eventText } from '../conformance/compare.ts';
import type { Finding } from './hold-against.ts';
import type { Observation } from './observation.ts';

export function findingText({ seed, sequence, expected, difference }: Finding): string {
  const steps = sequence.steps.map((step, index) => {
    const lines = [`  ${index + 1}. ${stepText(step)}`];
    if (index < difference.step) lines.push(`       ${observationText(expected[index])}`);
    if (index === difference.step) {
      lines.push(`     - ${observationText(difference.expected)}`, `     + ${observationText(difference.got)}`);
    }
    return lines.join('\n');
  });
  const fixture = sequence.fixture.map(({ path }) => path).join(' ');
  return [
    `seed ${seed} (- the real kernel, + the other; there are: ${fixture})`,
    ...steps.slice(0, difference.step + 1),
  ].join('\n');
}

export function stepText(step: Step): string {
  const { do: word, ...rest } = step as Step & { expect?: unknown };
  delete rest.expect;
  return `${word} ${JSON.stringify(rest)}`;
}

export function observationText(observation: Observation | undefined): string {
  if (observation === undefined) return 'nothing';
  if (observation === null) return '(nothing to do)';
  if (Array.isArray(observation))
    return observation.length === 0 ? 'no events' : lines(observation as readonly (ExpectedEvent | string)[]);
  if (typeof observation === 'object' && 'child' in observation) {
    const events = observation.events.length === 0 ? '' : `; asked:${lines(observation.events)}`;
    return `${observation.child.join(', ')}${events}`;
  }
  return typeof observation === 'object' ? JSON.stringify(observation) : String(observation);
}

function lines(events: readonly (ExpectedEvent | string)[]): string {
  return events.map((event) => `\n         ${typeof event === 'string' ? event : eventText(event)}`).join('');
}

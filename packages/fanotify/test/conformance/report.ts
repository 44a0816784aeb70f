// Holds whole answers against what a case expects, and puts both into words for who reads a failure.

import type { AnsweredEvent, EventSummary, ExpectedEvent, Observed, PermissionOutcome, Step } from './case.ts';
import { compareEvent, compareEvents, compareOutcomes, type Difference, eventText } from './compare.ts';

/** Holds an answer against what was recorded for this file system. */
export function compareObserved(recorded: Observed, answer: Observed, step: Step): Difference {
  // The step says the same.
  if (step.do === 'fdinfo') return undefined;
  if (isEvents(recorded)) {
    if (!isEvents(answer)) return 'events were recorded, none were read';
    return compareEvents(recorded, answer, step.do === 'read' && step.matching === 'mergeable');
  }
  if (isPermission(recorded)) {
    if (!isPermission(answer)) return 'permission events were recorded';
    // With repeatLast the number of events is the kernel's choice.
    const repeats = step.do === 'permChild' && step.repeatLast === true;
    const events = repeats ? undefined : compareEvents(recorded.events, answer.events);
    return events ?? compareOutcomes(recorded.child, answer.child);
  }
  // A summary is compared with what the step says.
  if (typeof recorded === 'object') return undefined;
  return recorded === answer ? undefined : `${recorded} was recorded, got ${JSON.stringify(answer)}`;
}

export function isEvents(observed: Observed): observed is readonly ExpectedEvent[] {
  return Array.isArray(observed);
}

function isPermission(observed: Observed): observed is PermissionOutcome {
  return typeof observed === 'object' && 'child' in observed;
}

export function compareAnswered(
  expected: readonly AnsweredEvent[],
  got: readonly ExpectedEvent[],
  repeatLast: boolean,
): Difference {
  const last = expected.at(-1);
  const surplus = repeatLast && last !== undefined ? Array.from(got.slice(expected.length), () => last) : [];
  return compareEvents([...expected, ...surplus], got);
}

export function summary(events: readonly ExpectedEvent[]): EventSummary {
  const [first, last] = [events[0], events.at(-1)];
  return { count: events.length, ...(first && { first }), ...(last && { last }) };
}

export function compareSummary(expected: EventSummary, got: EventSummary): Difference {
  for (const field of Object.keys(expected)) {
    if (!['count', 'first', 'last'].includes(field)) return `a summary has no "${field}"`;
  }
  if (expected.count !== undefined && expected.count !== got.count)
    return `expected ${expected.count} events, got ${got.count}`;
  for (const end of ['first', 'last'] as const) {
    const want = expected[end];
    const have = got[end];
    if (want === undefined) continue;
    const difference = have === undefined ? 'there is none' : compareEvent(want, have);
    if (difference !== undefined) return `${end} event: ${difference}`;
  }
  return undefined;
}

export function report(difference: Difference, expected: Observed, got: Observed): string {
  const heading = difference === undefined ? '' : `  ${difference}\n`;
  return `${heading}  expected: ${answerText(expected)}\n  got:      ${answerText(got)}`;
}

function answerText(answer: Observed): string {
  if (isEvents(answer)) return answer.length === 0 ? 'no events' : answer.map((e) => `\n    ${eventText(e)}`).join('');
  if (isPermission(answer)) return `child: ${answer.child.join(', ')}; events: ${answerText(answer.events)}`;
  return typeof answer === 'object' ? JSON.stringify(answer) : String(answer);
}

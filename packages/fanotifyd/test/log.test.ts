// What the daemon says to its operator, and how little a client can make it say.

import { expect, test } from 'vitest';
import { Log } from '../src/log.ts';

function logOf(settings: ConstructorParameters<typeof Log>[0], hasPriorities = false) {
  const lines: string[] = [];
  const clock = { ms: 0 };
  const log = new Log(settings, { write: (line) => void lines.push(line), hasPriorities, nowMs: () => clock.ms });
  return { log, lines, clock };
}

test('a line is one line, whatever a client puts into it', () => {
  const { log, lines } = logOf({ level: 'info', format: 'text' });
  log.say('warn', 'odd\nerror: forged \u001b[2J', { pid: 7, name: 'a\u2028b' });
  expect(lines).toEqual([
    'warn: odd\\nerror: forged \\u001b[2J pid=7 name=a\u2028b\n'.replace(
      '\u2028',
      JSON.stringify('\u2028').slice(1, -1),
    ),
  ]);
  log.say('info', 'x'.repeat(5_000));
  expect(lines[1]?.length).toBeLessThan(1_100);
});

test('says what is at least as important as its level', () => {
  const { log, lines } = logOf({ level: 'warn', format: 'text' }, true);
  for (const level of ['error', 'warn', 'info', 'debug'] as const) log.say(level, level);
  expect(lines).toEqual(['<3>error: error\n', '<4>warn: warn\n']);
  log.settings = { level: 'debug', format: 'json' };
  log.say('debug', 'now "quoted"', { uid: 5 });
  const { time, ...said } = JSON.parse(lines[2]?.slice('<7>'.length) ?? '') as Record<string, unknown>;
  expect(said).toEqual({ level: 'debug', message: 'now "quoted"', uid: 5 });
  expect(Date.parse(String(time))).toBeGreaterThan(0);
});

test('what one user causes is said ten times in ten seconds, and then how often more', () => {
  const { log, lines, clock } = logOf({ level: 'info', format: 'text' });
  for (let time = 0; time < 25; time++) log.ofUser('warn', 5, 'again');
  log.ofUser('warn', 6, 'another user');
  expect(lines).toHaveLength(11);
  expect(lines[10]).toBe('warn: another user uid=6\n');
  clock.ms = 10_000;
  log.settle();
  expect(lines.slice(11)).toEqual(['warn: 15 more lines about user 5 were left out uid=5\n']);
  log.ofUser('warn', 5, 'again');
  expect(lines.at(-1)).toBe('warn: again uid=5\n');
});

test('many users take no more memory than some', () => {
  const { log, lines } = logOf({ level: 'error', format: 'text' });
  for (let uid = 0; uid < 100_000; uid++) log.ofUser('warn', uid, 'once');
  expect(lines).toEqual([]);
});

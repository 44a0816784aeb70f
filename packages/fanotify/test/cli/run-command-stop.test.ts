// When `fanotify run` stops itself for its command that has stopped.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { monotonicMs } from '../../src/cli/run-command/socket.ts';
import { Stop } from '../../src/cli/run-command/stop.ts';

const terminal = { noteHolder: () => undefined, lendAgain: () => undefined };

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('the command alone has stopped', () => {
  const stop = vi.fn();
  new Stop(terminal, stop).commandStopped(monotonicMs());
  vi.runAllTimers();
  expect(stop).toHaveBeenCalledOnce();
});

test('all were stopped, and go on: what is heard of the stop only now is old', () => {
  const stop = vi.fn();
  const stopping = new Stop(terminal, stop);
  const stoppedMs = monotonicMs() - 1;
  stopping.goesOn();
  stopping.commandStopped(stoppedMs);
  vi.runAllTimers();
  expect(stop).not.toHaveBeenCalled();
});

test('all were stopped, and the command is seen to be while this process goes on already', () => {
  const stop = vi.fn();
  const stopping = new Stop(terminal, stop);
  stopping.goesOn();
  stopping.commandStopped(monotonicMs() + 1);
  stopping.commandWentOn();
  vi.runAllTimers();
  expect(stop).not.toHaveBeenCalled();
});

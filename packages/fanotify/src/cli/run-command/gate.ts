// The guard rail: opens of what is denied are held on the mounts of the command's own mount namespace, and fail.

import type { Guard } from '../../decision/guard.ts';
import { guard } from '../../decision/guard.ts';
import { MountTable } from '../../identity/mount-table.ts';
import type { Kernel } from '../../kernel/index.ts';
import type { RunDenied } from '../../scope/run-report.ts';
import { deciderOf, mountsToGuard, type Rule } from './rules.ts';

/** How long an open waits at most, if this process does not get to it. Then it is allowed. */
const DEADLINE_MS = 10_000;

/** Denies what is to be denied, from {@link openGate} to {@link Gate.close}. */
export interface Gate {
  /** The process that answers the kernel; undefined when nothing is guarded. */
  readonly responderPid: number | undefined;
  readonly denied: readonly RunDenied[];
  /** Opens that were allowed since nobody has decided on them in time. */
  readonly undecided: number;
  close(): Promise<void>;
}

/** @param fail Is told when nothing is guarded any more. */
export async function openGate(kernel: Kernel, rules: readonly Rule[], fail: (error: Error) => void): Promise<Gate> {
  const mounts = new MountTable(kernel);
  const places = mountsToGuard(rules, mounts.mounts).map(({ mountPoint }) => mountPoint);
  mounts.close();
  const denied = new Map<string, { path: string; kind: RunDenied['kind']; count: number; pids: Set<number> }>();
  let undecided = 0;
  let gate: Guard | undefined;
  if (places.length > 0) {
    const isDenied = deciderOf(rules);
    gate = await guard(places, {
      scope: 'mount',
      on: ['open', 'openExec'],
      directories: true,
      deadlineMs: DEADLINE_MS,
      decide: ({ kind, path, pid }) => {
        if (path === null || !isDenied(path)) return 'allow';
        const how = kind === 'openExec' ? kind : 'open';
        const key = `${how} ${path}`;
        const known = denied.get(key) ?? { path, kind: how, count: 0, pids: new Set() };
        known.count++;
        known.pids.add(pid);
        denied.set(key, known);
        return 'deny';
      },
    });
    gate.on('error', fail);
    gate.on('timeout', ({ count }) => {
      undecided += count;
    });
  }
  return {
    responderPid: gate?.responderPid,
    get denied() {
      return [...denied.values()].map(({ pids, ...rest }) => ({ ...rest, pids: [...pids] }));
    },
    get undecided() {
      return undecided;
    },
    close: async () => gate?.close(),
  };
}

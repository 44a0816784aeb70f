// Who has a number, and who had it: nobody is told for somebody else.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MountTable } from '../../src/identity/mount-table.ts';
import { ProcFiles } from '../../src/identity/proc-files.ts';
import type { ProcessDepth } from '../../src/identity/process.ts';
import { Processes } from '../../src/identity/processes.ts';
import { FakeProc } from '../support/fake-proc.ts';

let proc: FakeProc;
let processes: Processes;

function open(depth: ProcessDepth = 'name', pidMax?: number, before?: (proc: FakeProc) => void): void {
  processes?.close();
  proc = new FakeProc(pidMax);
  before?.(proc);
  processes = new Processes(
    proc.kernel,
    depth,
    new ProcFiles(proc.kernel, new MountTable(proc.kernel), () => undefined),
  );
}

/** A read of the queue, which was last empty now; then `happens`, and some time. */
function whileQueued(happens: () => void): void {
  const since = processes.now();
  proc.nowMs += 50;
  happens();
  proc.nowMs += 50;
  processes.nextReading(since);
}

const told = (pid: number, pidfd?: number | null) => {
  const process = processes.of(pid, pidfd);
  return process && `${process.comm ?? '?'}${process.gone ? ' gone' : ''}`;
};

beforeEach(() => open());
afterEach(() => processes.close());

describe('the process of a number', () => {
  it('is told while it lives, and looked at once for all events that are read together', () => {
    proc.start(1001, 'cat');
    whileQueued(() => {});
    expect(told(1001)).toBe('cat');
    const { opens } = proc;
    for (let event = 0; event < 100; event++) expect(told(1001)).toBe('cat');
    expect(proc.opens).toBe(opens);
    expect(proc.openDescriptors).toBe(0);
  });

  it('is nobody where the kernel tells none', () => {
    expect(processes.of(0)).toBeNull();
  });

  it('may have any name', () => {
    proc.start(1001, 'a) S 7 (b');
    whileQueued(() => {});
    expect(told(1001)).toBe('a) S 7 (b');
    expect(processes.of(1001)?.ppid).toBe(1);
  });

  it('is another after an exec', () => {
    proc.start(1001, 'sh');
    whileQueued(() => {});
    const shell = processes.of(1001);
    whileQueued(() => proc.exec(1001, 'make'));
    expect(told(1001)).toBe('make');
    expect(shell?.comm).toBe('sh');
  });

  it('is gone, and known by what was seen of it, after its end', () => {
    proc.start(1001, 'cat');
    whileQueued(() => {});
    told(1001);
    whileQueued(() => proc.end(1001));
    expect(told(1001)).toBe('cat gone');
  });

  it('is known when it was there before anybody listened, though its end is all that is heard', () => {
    open('command', undefined, (before) => before.start(1001, 'early'));
    whileQueued(() => proc.end(1001));
    expect(told(1001)).toBe('early gone');
  });

  it('that was there before anybody listened is read whole when it is heard of', () => {
    open('command', undefined, (before) => before.start(1001, 'early'));
    whileQueued(() => {});
    expect(processes.of(1001)).toMatchObject({ comm: 'early', args: ['early', '--flag'], uid: 2, gone: false });
  });

  it('that was there before anybody listened is not taken for its successor', () => {
    open('name', undefined, (before) => before.start(1001, 'early'));
    whileQueued(() => {
      proc.end(1001);
      proc.start(1001, 'late');
    });
    expect(told(1001)).toBe('? gone');
  });

  it('is unknown when nothing was seen of it', () => {
    whileQueued(() => {});
    expect(told(1001)).toBe('? gone');
  });

  it('is known as a zombie, without what a zombie has not', () => {
    open('command');
    proc.start(1001, 'cat');
    proc.zombie(1001);
    whileQueued(() => {});
    expect(processes.of(1001)).toMatchObject({ comm: 'cat', gone: true, args: null });
  });
});

describe('a number that is given on', () => {
  it('is nobody while events of both may be meant, and then the new one', () => {
    proc.start(1001, 'old');
    whileQueued(() => {});
    told(1001);
    whileQueued(() => {
      proc.end(1001);
      proc.start(1001, 'new');
    });
    expect(told(1001)).toBe('? gone');
    whileQueued(() => {});
    expect(told(1001)).toBe('new');
  });

  it('is the new one at once when the old one is known to have ended before', () => {
    proc.start(1001, 'old');
    whileQueued(() => {});
    told(1001);
    whileQueued(() => proc.end(1001));
    expect(told(1001)).toBe('old gone');
    whileQueued(() => proc.start(1001, 'new'));
    expect(told(1001)).toBe('new');
  });

  it('is the new one when that had it before the queue was last empty', () => {
    proc.start(1001, 'old');
    whileQueued(() => {});
    told(1001);
    proc.end(1001);
    proc.start(1001, 'new');
    proc.nowMs += 20;
    whileQueued(() => {});
    expect(told(1001)).toBe('new');
  });

  it('is no longer the old one when the kernel may have come round to it', () => {
    proc.start(1001, 'old');
    whileQueued(() => {});
    told(1001);
    whileQueued(() => {
      proc.end(1001);
      proc.usePids(20_000);
    });
    expect(told(1001)).toBe('old gone');
    whileQueued(() => proc.usePids(20_000));
    expect(told(1001)).toBe('? gone');
  });

  it('is nobody when the numbers went round while events waited', () => {
    open('name', 1300);
    proc.start(1001, 'early');
    whileQueued(() => {
      for (let round = 0; round < 3; round++) {
        proc.usePids(400);
        proc.nowMs += 20_000;
      }
      proc.start(1001, 'late');
    });
    expect(told(1001)).toBe('? gone');
  });
});

describe('a pidfd', () => {
  it('tells the one from the other', () => {
    proc.start(1001, 'old');
    const old = proc.pidfd(1001);
    whileQueued(() => {
      proc.end(1001);
      proc.start(1001, 'new');
    });
    expect(told(1001, old)).toBe('? gone');
    expect(told(1001, proc.pidfd(1001))).toBe('new');
    expect(told(1001, old)).toBe('? gone');
  });

  it('that the kernel could not give is of one that has ended', () => {
    proc.start(1001, 'cat');
    whileQueued(() => {});
    told(1001, proc.pidfd(1001));
    whileQueued(() => proc.end(1001));
    expect(told(1001, null)).toBe('cat gone');
  });

  it('of a process that was known is not taken for its successor', () => {
    proc.start(1001, 'old');
    whileQueued(() => {});
    const old = proc.pidfd(1001);
    expect(told(1001, old)).toBe('old');
    whileQueued(() => {
      proc.end(1001);
      proc.start(1001, 'new');
    });
    expect(told(1001, old)).toBe('? gone');
  });
});

describe('depth', () => {
  it('decides what is read', () => {
    open('command');
    proc.start(1001, 'cat');
    whileQueued(() => {});
    expect(processes.of(1001)?.toJSON()).toEqual({
      pid: 1001,
      comm: 'cat',
      ppid: 1,
      args: ['cat', '--flag'],
      uid: 2,
      gid: 6,
    });
  });

  it('full has the parents as they were when it was first seen', () => {
    open('full');
    const cgroup = `0::/system.slice/docker-${'ab'.repeat(32)}.scope\n`;
    proc.start(1, 'init', { ppid: 0 });
    proc.start(1001, 'shell');
    proc.start(1002, 'make', { ppid: 1001, cgroup });
    whileQueued(() => {});
    const ancestors = [
      { pid: 1001, comm: 'shell' },
      { pid: 1, comm: 'init' },
    ];
    const container = { id: 'ab'.repeat(32), runtime: 'docker' };
    expect(processes.of(1002)?.toJSON()).toMatchObject({ ancestors, container });
    whileQueued(() => {
      proc.end(1001);
      proc.end(1002);
    });
    expect(processes.of(1002)?.toJSON()).toMatchObject({ gone: true, ancestors, container });
  });

  it('takes nobody for a parent who is younger than the child', () => {
    open('full');
    proc.start(1002, 'child', { ppid: 1001 });
    proc.nowMs += 100;
    proc.start(1001, 'stranger');
    whileQueued(() => {});
    expect(processes.of(1002)?.ancestors).toEqual([]);
  });
});

describe('what a process that ends unread was heard to execute', () => {
  const hear = (pid: number, ...paths: readonly [string, boolean][]) => {
    const record = processes.of(pid);
    for (const [path, executes] of paths) record?.heard(Buffer.from(path), executes);
    return record;
  };

  beforeEach(() => whileQueued(() => {}));

  it('is its executable; its comm may be another, that of a link', () => {
    const record = hear(1001, ['/usr/bin/dash', true]);
    expect(record?.toJSON()).toEqual({ pid: 1001, comm: null, exe: '/usr/bin/dash', gone: true });
  });

  it('is the script, not its interpreter and the linker', () => {
    expect(hear(1001, ['/srv/run', true], ['/usr/bin/bash', true], ['/lib64/ld-linux-x86-64.so.2', true])?.exe).toBe(
      '/srv/run',
    );
  });

  it('is the last program of several', () => {
    const record = hear(
      1001,
      ['/usr/bin/env', true],
      ['/lib/ld-musl-x86_64.so.1', true],
      ['/etc/ld.so.cache', false],
      ['/usr/bin/node', true],
      ['/usr/bin/node', false],
      ['/lib/ld-musl-x86_64.so.1', true],
    );
    expect(record?.exe).toBe('/usr/bin/node');
  });

  it('is not told of one that could be read', () => {
    proc.start(1001, 'true-name');
    whileQueued(() => {});
    expect(hear(1001, ['/usr/bin/other', true])?.comm).toBe('true-name');
  });

  it('replaces what was read before the execution, once the process has ended', () => {
    proc.start(1001, 'bash');
    whileQueued(() => {});
    hear(1001, ['/usr/bin/rm', true]);
    whileQueued(() => proc.end(1001));
    expect(processes.of(1001)).toMatchObject({ comm: null, exe: '/usr/bin/rm', gone: true, ppid: 1 });
  });

  it('replaces it also where the end was read ahead of that', () => {
    proc.start(1001, 'bash');
    whileQueued(() => {});
    const before = processes.of(1001);
    whileQueued(() => proc.end(1001));
    const after = processes.of(1001);
    expect(after).toMatchObject({ comm: 'bash', gone: true });
    before?.heard(Buffer.from('/usr/bin/rm'), true);
    expect(after).toMatchObject({ comm: null, rawComm: null, exe: '/usr/bin/rm', gone: true, ppid: 1 });
  });

  it('is forgotten when the execution failed', () => {
    proc.start(1001, 'bash');
    whileQueued(() => {});
    hear(1001, ['/srv/not-a-program', true], ['/srv/other', false]);
    whileQueued(() => {});
    expect(told(1001)).toBe('bash');
    whileQueued(() => proc.end(1001));
    expect(told(1001)).toBe('bash gone');
  });
});

it('holds a bounded number of processes, those that were heard of last', () => {
  for (let pid = 1001; pid < 8001; pid++) proc.start(pid, `p${pid}`);
  proc.nowMs += 100;
  whileQueued(() => {});
  for (let pid = 1001; pid < 8001; pid++) told(pid);
  expect(processes.size).toBe(4096);
  whileQueued(() => proc.end(8000));
  expect(told(8000)).toBe('p8000 gone');
});

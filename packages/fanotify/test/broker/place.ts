// A file system with directories for users to reach or not, and a visitor who looks.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AT_FDCWD, O_CLOEXEC, O_NONBLOCK, O_PATH, O_RDONLY } from '../../src/abi/index.ts';
import type { Access } from '../../src/broker/visits.ts';
import { type Kernel, linuxKernel, type Peer } from '../../src/kernel/index.ts';
import { mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { Asking } from '../support/visitors.ts';

/** Lets two names change places, again and again. */
const SWAP = `
import ctypes, os, sys
libc = ctypes.CDLL(None)
os.chdir(sys.argv[1])
[a, b] = [name.encode() for name in sys.argv[2:]]
swap = lambda: libc.renameat2(-100, a, -100, b, 2)
assert swap() == 0 and swap() == 0
print('swapping', flush=True)
while True: swap()
`;

export class Place {
  readonly kernel: Kernel = linuxKernel();
  asking = undefined as unknown as Asking;
  scratch = undefined as unknown as ScratchMount;
  readonly #opened: number[] = [];

  /** Before all tests. */
  start(): void {
    this.asking = new Asking(1);
  }

  /** Before each. */
  mount(): void {
    this.scratch = mountTmpfs();
    mkdirSync(this.top, { mode: 0o755 });
  }

  unmount(): void {
    this.closeAll();
    this.scratch.unmount();
  }

  /** The root of walks, which is not that of the file system. */
  get top(): string {
    return join(this.scratch.path, 'top');
  }

  readonly keep = (fd: number): number => {
    this.#opened.push(fd);
    return fd;
  };

  readonly closeAll = (): void => {
    for (const fd of this.#opened.splice(0)) closeSync(fd);
  };

  readonly below = (name: string): string => (name === '' ? this.top : join(this.top, name));

  readonly pathTo = (path: string): number => this.keep(this.kernel.openAt(AT_FDCWD, path, O_PATH | O_CLOEXEC));

  readonly handleOf = (path: string): Buffer => this.kernel.nameToHandleAt(AT_FDCWD, path, 0).handle;

  /** Makes a directory below the top: 'a/b'. */
  readonly make = (name: string, mode: number, uid = 0, gid = uid): string => {
    const path = this.below(name);
    mkdirSync(path);
    chownSync(path, uid, gid);
    chmodSync(path, mode);
    return path;
  };

  readonly file = (name: string, mode: number, uid = 0): string => {
    const path = this.below(name);
    writeFileSync(path, 'content');
    chownSync(path, uid, uid);
    chmodSync(path, mode);
    return path;
  };

  readonly walk = (
    peer: Peer,
    name: string,
    handle: Buffer = this.handleOf(this.below(name)),
  ): Promise<Access | 'stuck'> =>
    this.asking.answer((then) =>
      this.asking.visitors.walk(peer, this.pathTo(this.top), Buffer.from(name), handle, then),
    );

  readonly visitFd = async (peer: Peer, event: number, flags: number): Promise<number | null | undefined | 'stuck'> => {
    const answer = await this.asking.answer<number | null | undefined>((then) =>
      this.asking.visitors.visit(peer, this.pathTo(this.top), event, flags, then),
    );
    return typeof answer === 'number' ? this.keep(answer) : answer;
  };

  /** Of a file as an event has it: opened before, by root. */
  readonly visit = (peer: Peer, name: string, flags: number = O_RDONLY): Promise<number | null | undefined | 'stuck'> =>
    this.visitFd(peer, this.keep(openSync(this.below(name), O_RDONLY | O_NONBLOCK)), flags);

  /** Lets two names change places until it is told to stop. */
  readonly swap = async (one: string, other: string): Promise<() => Promise<unknown>> => {
    const swapper = spawn('python3', ['-c', SWAP, this.top, one, other], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(swapper.stdout, 'data');
    return () => {
      swapper.kill('SIGKILL');
      return once(swapper, 'exit');
    };
  };
}

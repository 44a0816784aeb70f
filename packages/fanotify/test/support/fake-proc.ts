// A /proc of a test's own making: processes that start, execute, end and give their numbers on when the test says so.

import { ERRNO, type Kernel, KernelError } from '../../src/kernel/index.ts';
import { scriptedKernel } from './scripted-kernel.ts';

interface FakeProcess {
  comm: string;
  ppid: number;
  startedMs: number;
  state: 'S' | 'Z';
  /** Changes with an exec. */
  image: number;
  cgroup: string;
}

/** The kernel, and what a test may do to its processes. */
export class FakeProc {
  nowMs = 100_000;
  readonly pidMax: number;
  readonly kernel: Kernel;
  /** How often a file was opened. */
  opens = 0;
  readonly #processes = new Map<number, FakeProcess>();
  readonly #pidfds = new Map<number, FakeProcess>();
  readonly #open = new Map<number, Buffer>();
  #lastPid = 1000;
  #nextFd = 10;

  constructor(pidMax = 32_768) {
    this.pidMax = pidMax;
    const fail = (syscall: string, errno: number): never => {
      throw new KernelError(syscall, errno);
    };
    this.kernel = {
      ...scriptedKernel([]),
      bootTimeMs: () => this.nowMs,
      openAt: (_dirfd, path) => {
        this.opens++;
        const bytes = this.#file(String(path)) ?? fail('openat', ERRNO.ENOENT);
        this.#open.set(++this.#nextFd, bytes);
        return this.#nextFd;
      },
      read: (fd, buffer) => {
        const bytes = this.#open.get(fd) ?? fail('read', ERRNO.EBADF);
        return bytes.copy(buffer);
      },
      close: (fd) => void this.#open.delete(fd),
      readlink: (path) => (path === '/proc/self' ? Buffer.from('4711') : fail('readlink', ERRNO.ENOENT)),
      readFile: (path) => this.#file(String(path)) ?? fail('open', ERRNO.ENOENT),
      readDirectory: () =>
        [...this.#processes.keys()].map((pid) => ({ name: Buffer.from(String(pid)), type: 'directory' as const })),
      pidfdSendSignal: (pidfd) => {
        const process = this.#pidfds.get(pidfd);
        if (![...this.#processes.values()].some((other) => other === process)) fail('pidfd_send_signal', ERRNO.ESRCH);
      },
    };
  }

  /** Descriptors that are open. */
  get openDescriptors(): number {
    return this.#open.size;
  }

  start(pid: number, comm: string, more: { ppid?: number; cgroup?: string } = {}): void {
    const { ppid = 1, cgroup = '0::/\n' } = more;
    this.#lastPid = pid;
    const startedMs = Math.floor(this.nowMs / 10) * 10;
    this.#processes.set(pid, { comm, ppid, startedMs, state: 'S', image: 1, cgroup });
  }

  exec(pid: number, comm: string): void {
    const process = this.#of(pid);
    process.comm = comm;
    process.image++;
  }

  /** Has ended, and nobody has waited for it yet. */
  zombie(pid: number): void {
    this.#of(pid).state = 'Z';
  }

  end(pid: number): void {
    this.#processes.delete(pid);
  }

  pidfd(pid: number): number {
    this.#pidfds.set(++this.#nextFd, this.#of(pid));
    return this.#nextFd;
  }

  /** Other processes come and go, and use up so many numbers. */
  usePids(count: number): void {
    const first = 300;
    this.#lastPid = ((this.#lastPid - first + count) % (this.pidMax - first)) + first;
  }

  #of(pid: number): FakeProcess {
    const process = this.#processes.get(pid);
    if (!process) throw new Error(`the test has no process ${pid}`);
    return process;
  }

  #file(path: string): Buffer | undefined {
    if (path === '/proc/sys/kernel/pid_max') return Buffer.from(`${this.pidMax}\n`);
    if (path === '/proc/loadavg') return Buffer.from(`0.00 0.00 0.00 1/100 ${this.#lastPid}\n`);
    const [, pid, name] = /^\/proc\/(\d+)\/(\w+)$/.exec(path) ?? [];
    const process = this.#processes.get(Number(pid));
    if (!process) return undefined;
    const { comm, ppid, startedMs, state, image, cgroup } = process;
    switch (name) {
      case 'stat':
        return Buffer.from(
          `${pid} (${comm}) ${state} ${ppid} ${'0 '.repeat(17)}${startedMs / 10} 1 2 3 ${image} ${image} ${image} 0\n`,
        );
      case 'cmdline':
        return Buffer.from(state === 'Z' ? '' : `${comm}\0--flag\0`);
      case 'status':
        return Buffer.from('Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n');
      case 'cgroup':
        return Buffer.from(cgroup);
      default:
        return undefined;
    }
  }
}

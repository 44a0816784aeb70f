// What the service manager is told: sd_notify(3), without its library.

import { type Kernel, KernelError } from 'fanotify/kernel';

/** How the manager is told, as its environment says. Taken out of that: children have nothing to tell. */
export class Manager {
  /** How often at least it wants to hear that all is well; undefined where it does not. */
  readonly watchdogMs: number | undefined;
  readonly #kernel: Kernel;
  readonly #path: string | undefined;

  constructor(kernel: Kernel, env: NodeJS.ProcessEnv = process.env) {
    this.#kernel = kernel;
    const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: usec, WATCHDOG_PID: pid } = env;
    for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name];
    // unix(7): a name in the abstract namespace begins with NUL, for which '@' stands here.
    if (socket?.startsWith('@')) this.#path = `\0${socket.slice(1)}`;
    else if (socket?.startsWith('/')) this.#path = socket;
    const isForUs = pid === undefined || Number(pid) === process.pid;
    if (isForUs && Number(usec) > 0) this.watchdogMs = Number(usec) / 1_000;
  }

  /** It serves; also the end of a reload. */
  ready(status: string): void {
    this.#send(`READY=1\nMAINPID=${process.pid}\nSTATUS=${status}`);
  }

  status(status: string): void {
    this.#send(`STATUS=${status}`);
  }

  reloading(): void {
    this.#send(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1_000n}`);
  }

  stopping(): void {
    this.#send('STOPPING=1\nSTATUS=Ending');
  }

  isWell(): void {
    this.#send('WATCHDOG=1');
  }

  #send(text: string): void {
    if (this.#path === undefined) return;
    try {
      this.#kernel.sendDatagram(this.#path, Buffer.from(text));
    } catch (error) {
      // Nobody is there to be told of it.
      if (!(error instanceof KernelError)) throw error;
    }
  }
}

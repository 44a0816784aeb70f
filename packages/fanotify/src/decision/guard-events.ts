// How guards tell what happens to them: to listeners, whose errors are their own, and errors that nobody listens for as warnings.

import { EventEmitter } from 'node:events';

export class GuardEmitter<Events extends { readonly [Name in keyof Events]: unknown[] } & { error: [error: Error] }> {
  readonly #emitter = new EventEmitter();

  on<Name extends keyof Events & string>(name: Name, listener: (...told: Events[Name]) => void): void {
    this.#emitter.on(name, listener as never);
  }

  off<Name extends keyof Events & string>(name: Name, listener: (...told: Events[Name]) => void): void {
    this.#emitter.off(name, listener as never);
  }

  /** What a listener throws is no concern of what is being read. */
  emit<Name extends keyof Events & string>(name: Name, ...told: Events[Name]): void {
    try {
      this.#emitter.emit(name, ...told);
    } catch (error) {
      process.nextTick(() => {
        throw error;
      });
    }
  }

  tell(error: Error): void {
    if (this.#emitter.listenerCount('error') > 0) this.emit('error', ...([error] as Events['error']));
    else process.emitWarning(error);
  }
}

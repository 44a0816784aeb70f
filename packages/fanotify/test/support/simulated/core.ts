// Whether there is a core to be started: it is loaded for those files alone that have listeners.

import type { EventEmitter } from 'node:events';

export const core: {
  /** The core's process, when that is what is to be run. */
  start?: (command: string, args: readonly string[], stdio: readonly unknown[] | undefined) => EventEmitter | undefined;
} = {};

// A machine with nobody listening but a recording, and short words for what the tests of files do on it.

import { boot, type Machine } from '../../../src/simulated/boot.ts';
import { chmod } from '../../../src/simulated/files/attributes.ts';
import { AT_FDCWD, O_CREAT, O_TRUNC, O_WRONLY } from '../../../src/simulated/files/flags.ts';
import { open } from '../../../src/simulated/files/open.ts';
import { write } from '../../../src/simulated/files/read-write.ts';
import { setresgid, setresuid } from '../../../src/simulated/tasks/credentials.ts';
import { close } from '../../../src/simulated/tasks/descriptors.ts';
import { now, type Recording, record } from '../recording.ts';

export interface SmallMachine {
  readonly machine: Machine;
  readonly recording: Recording;
  /** open(2) that nothing holds. */
  open(path: string, flags: number, mode?: number): number;
  /** Makes or empties a file, and writes that. */
  put(path: string, content?: string | Uint8Array, mode?: number): void;
  /** Does something as an ordinary user and group. */
  as(id: number, what: () => void): void;
}

export function smallMachine(): SmallMachine {
  const recording = record();
  const machine = boot({ fsnotify: () => recording.hooks });
  const openNow = (path: string, flags: number, mode = 0o644) => now(open(machine, AT_FDCWD, path, flags, mode));
  return {
    machine,
    recording,
    open: openNow,
    put(path, content = '', mode) {
      const fd = openNow(path, O_CREAT | O_WRONLY | O_TRUNC);
      now(write(machine, fd, Buffer.from(content)));
      close(machine, fd);
      if (mode !== undefined) chmod(machine, path, mode);
    },
    as(id, what) {
      setresgid(machine, -1, id, -1);
      setresuid(machine, -1, id, -1);
      try {
        what();
      } finally {
        setresuid(machine, -1, 0, -1);
        setresgid(machine, -1, 0, -1);
      }
    },
  };
}

/** The errno that something is refused with. */
export function refusal(what: () => unknown): number | undefined {
  try {
    what();
  } catch (error) {
    if (error instanceof Error && 'errno' in error && typeof error.errno === 'number') return error.errno;
    throw error;
  }
  return undefined;
}

// What reading a group needs of files/ and tasks/: descriptors of whoever reads.

import type { Path } from '../files/objects.ts';
import type { Process } from '../tasks/task.ts';
import type { Blocking } from '../wait.ts';

export interface EventDescriptors {
  /**
   * A descriptor of what an event is about, which raises no events itself: dentry_open_nonotify. Whether there is a free number is asked
   * first. A lease that conflicts is waited for, unless `flags` have O_NONBLOCK.
   *
   * @throws Refusal EMFILE; ETXTBSY, EROFS, EAGAIN and the like when it cannot be opened so.
   */
  openQuietly(path: Path, flags: number): Blocking<number>;
  /** @throws Refusal EMFILE. */
  openPidfd(process: Process): number;
  close(fd: number): void;
}

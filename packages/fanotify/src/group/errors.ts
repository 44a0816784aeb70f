// What can go wrong above the kernel seam: one class per cause, with a literal code, the kernel's own error as `cause`, and a
// sentence that says what to do.

/** What each of the errors below has. */
interface Details {
  readonly cause?: unknown;
  readonly path?: string | undefined;
}

/**
 * Options that contradict each other or that no kernel takes. The message says which, and what to say instead.
 *
 * @example
 * import { Group } from 'fanotify';
 * try {
 *   await Group.open({ report: ['name', 'pidfd', 'tid'] });
 * } catch (error) {
 *   console.log(error.code); // INVALID_OPTIONS
 * }
 */
export class InvalidOptionsError extends Error {
  static {
    InvalidOptionsError.prototype.name = 'InvalidOptionsError';
  }
  readonly code = 'INVALID_OPTIONS';
  constructor(message: string, details: Details = {}) {
    super(message, { cause: details.cause });
  }
}

/**
 * An event name that does not exist. `event` is that name, `suggestion` the nearest one that does, if any is near.
 *
 * @example
 * import { Group } from 'fanotify';
 * const group = await Group.open();
 * try {
 *   await group.mark('/tmp', { events: ['closewrite'] });
 * } catch (error) {
 *   console.log(error.code, error.suggestion); // UNKNOWN_EVENT closeWrite
 * }
 * await group.close();
 */
export class UnknownEventError extends Error {
  static {
    UnknownEventError.prototype.name = 'UnknownEventError';
  }
  readonly code = 'UNKNOWN_EVENT';
  readonly event: string;
  readonly suggestion: string | undefined;
  constructor(event: string, suggestion: string | undefined, known: readonly string[]) {
    super(
      suggestion === undefined
        ? `there is no event ${JSON.stringify(event)}: use one of ${known.join(', ')}`
        : `there is no event ${JSON.stringify(event)}: did you mean ${JSON.stringify(suggestion)}?`,
    );
    this.event = event;
    this.suggestion = suggestion;
  }
}

/**
 * Nothing is at that path, or no path can be so (too long, links in a circle). `path` is what was asked for.
 *
 * @example
 * import { Group } from 'fanotify';
 * const group = await Group.open();
 * try {
 *   await group.mark('/no/where', { events: ['open'] });
 * } catch (error) {
 *   console.log(error.code, error.path); // NO_SUCH_PATH /no/where
 * }
 * await group.close();
 */
export class NoSuchPathError extends Error {
  static {
    NoSuchPathError.prototype.name = 'NoSuchPathError';
  }
  readonly code = 'NO_SUCH_PATH';
  readonly path: string | undefined;
  constructor(message: string, details: Details = {}) {
    super(message, { cause: details.cause });
    this.path = details.path;
  }
}

/**
 * A directory is needed, and the path is something else: with `onlyDirectory`, for events of a directory's entries, or
 * in the middle of a path. `path` is what was asked for.
 *
 * @example
 * import { Group } from 'fanotify';
 * const group = await Group.open();
 * try {
 *   await group.mark(process.execPath, { events: ['open'], onlyDirectory: true });
 * } catch (error) {
 *   console.log(error.code); // NOT_DIRECTORY
 * }
 * await group.close();
 */
export class NotDirectoryError extends Error {
  static {
    NotDirectoryError.prototype.name = 'NotDirectoryError';
  }
  readonly code = 'NOT_DIRECTORY';
  readonly path: string | undefined;
  constructor(message: string, details: Details = {}) {
    super(message, { cause: details.cause });
    this.path = details.path;
  }
}

/**
 * There is no such mark to remove: never made, removed already, or gone with its object. `path` is what was asked for.
 *
 * @example
 * import { Group } from 'fanotify';
 * const group = await Group.open();
 * try {
 *   await group.unmark('/tmp');
 * } catch (error) {
 *   console.log(error.code); // NOT_MARKED
 * }
 * await group.close();
 */
export class NotMarkedError extends Error {
  static {
    NotMarkedError.prototype.name = 'NotMarkedError';
  }
  readonly code = 'NOT_MARKED';
  readonly path: string | undefined;
  constructor(message: string, details: Details = {}) {
    super(message, { cause: details.cause });
    this.path = details.path;
  }
}

/**
 * This user may not do that (EPERM, EACCES). The message says what is possible without privilege. `path` is what was
 * asked for, when it is about a mark.
 *
 * @example
 * import { Group, NotPermittedError } from 'fanotify';
 * try {
 *   await (await Group.open({ report: ['name', 'pidfd'] })).close();
 * } catch (error) {
 *   if (!(error instanceof NotPermittedError)) throw error;
 *   console.log(error.code); // e.g. NOT_PERMITTED
 * }
 */
export class NotPermittedError extends Error {
  static {
    NotPermittedError.prototype.name = 'NotPermittedError';
  }
  readonly code = 'NOT_PERMITTED';
  readonly path: string | undefined;
  constructor(message: string, details: Details = {}) {
    super(message, { cause: details.cause });
    this.path = details.path;
  }
}

/**
 * This kernel is too old, or was built without it. `since` is the release of Linux that brought it ('5.17'), if one
 * did.
 *
 * @example
 * import { Group } from 'fanotify';
 * import { limitKernel, linuxKernel } from 'fanotify/kernel';
 * const group = await Group.open({ kernel: limitKernel(linuxKernel(), '5.16') });
 * try {
 *   await group.mark('/tmp', { events: ['rename'] });
 * } catch (error) {
 *   console.log(error.code, error.since); // UNSUPPORTED 5.17
 * }
 * await group.close();
 */
export class UnsupportedError extends Error {
  static {
    UnsupportedError.prototype.name = 'UnsupportedError';
  }
  readonly code = 'UNSUPPORTED';
  readonly since: string | undefined;
  constructor(message: string, details: Details & { readonly since?: string } = {}) {
    super(message, { cause: details.cause });
    this.since = details.since;
  }
}

/**
 * The file system cannot take part: it has no file handles, no fsid, or several (ENODEV, EOPNOTSUPP and EXDEV in
 * fanotify_mark(2)). `path` is what was asked for.
 *
 * @example
 * import { Group } from 'fanotify';
 * import { limitKernel, linuxKernel } from 'fanotify/kernel';
 * const group = await Group.open({ kernel: limitKernel(linuxKernel(), '6.1') });
 * try {
 *   await group.mark('/proc', { events: ['open'] });
 * } catch (error) {
 *   console.log(error.code, error.path); // UNSUPPORTED_FILESYSTEM /proc
 * }
 * await group.close();
 */
export class UnsupportedFilesystemError extends Error {
  static {
    UnsupportedFilesystemError.prototype.name = 'UnsupportedFilesystemError';
  }
  readonly code = 'UNSUPPORTED_FILESYSTEM';
  readonly path: string | undefined;
  constructor(message: string, details: Details = {}) {
    super(message, { cause: details.cause });
    this.path = details.path;
  }
}

/**
 * A limit of the system is reached. `setting` is what to raise (a sysctl, RLIMIT_NOFILE, or of what the daemon refuses `limits.groups of
 * fanotifyd` or `limits.marks of fanotifyd`), `current` its value where it could be read: a number of groups or marks.
 *
 * @example
 * import { Group, LimitError } from 'fanotify';
 * const groups = [];
 * try {
 *   for (let count = 0; count < 3; count++) groups.push(await Group.open());
 * } catch (error) {
 *   if (!(error instanceof LimitError)) throw error;
 *   console.error(`raise ${error.setting} above ${error.current}`);
 * }
 * for (const group of groups) await group.close();
 */
export class LimitError extends Error {
  static {
    LimitError.prototype.name = 'LimitError';
  }
  readonly code = 'LIMIT';
  readonly setting: string;
  readonly current: number | undefined;
  constructor(message: string, setting: string, current: number | undefined, details: Details = {}) {
    super(message, { cause: details.cause });
    this.setting = setting;
    this.current = current;
  }
}

/**
 * The group is closed: by `close()`, or by the end of an `await using` block.
 *
 * @example
 * import { Group } from 'fanotify';
 * const group = await Group.open();
 * await group.close();
 * try {
 *   group.marks();
 * } catch (error) {
 *   console.log(error.code); // GROUP_CLOSED
 * }
 */
export class GroupClosedError extends Error {
  static {
    GroupClosedError.prototype.name = 'GroupClosedError';
  }
  readonly code = 'GROUP_CLOSED';
  constructor() {
    super('the group is closed: open another with Group.open()');
  }
}

// What can go wrong above the kernel seam: one class per cause, with a literal code, the kernel's own error as `cause`, and a
// sentence that says what to do.

/** What each of the errors below has. */
interface Details {
  readonly cause?: unknown;
  readonly path?: string | undefined;
}

/** Options that contradict each other or that no kernel takes. */
export class InvalidOptionsError extends Error {
  static {
    InvalidOptionsError.prototype.name = 'InvalidOptionsError';
  }
  readonly code = 'INVALID_OPTIONS';
  constructor(message: string, details: Details = {}) {
    super(message, { cause: details.cause });
  }
}

/** An event name that does not exist. `suggestion` is the nearest one that does. */
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

/** Nothing is at that path. */
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

/** A directory is needed, and the path is something else. */
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

/** There is no such mark to remove. */
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

/** This user may not do that. The message says what is possible without privilege. */
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

/** This kernel is too old, or was built without it. `since` is the release of Linux that brought it. */
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

/** The file system cannot take part: it has no file handles or no fsid. */
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

/** A limit of the system is reached. `setting` is what to raise, `current` its value where it could be read. */
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

/** The group is closed. */
export class GroupClosedError extends Error {
  static {
    GroupClosedError.prototype.name = 'GroupClosedError';
  }
  readonly code = 'GROUP_CLOSED';
  constructor() {
    super('the group is closed: open another with Group.open()');
  }
}

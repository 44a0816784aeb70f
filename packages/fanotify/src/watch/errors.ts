// What can go wrong with what watch() keeps of a tree.

/**
 * There is no room for what watch() knows of the tree: the disk that holds the temporary file is full or fails (`cause` says which), or
 * memory is short. Nothing that was kept is true any more.
 */
export class BaselineError extends Error {
  static {
    BaselineError.prototype.name = 'BaselineError';
  }
  readonly code = 'BASELINE_LOST';
  constructor(message: string, details: { readonly cause?: unknown } = {}) {
    super(message, details);
  }
}

/**
 * A snapshot cannot be used. `reason`: nothing is at its path (`missing`), something that is no snapshot (`foreign`), one of another
 * version of this library (`version`), one that is cut off or was changed (`damaged`), or it cannot be read or written (`failed`: `cause`
 * says why).
 */
export class SnapshotError extends Error {
  static {
    SnapshotError.prototype.name = 'SnapshotError';
  }
  readonly code = 'SNAPSHOT';
  readonly reason: 'missing' | 'foreign' | 'version' | 'damaged' | 'failed';
  readonly path: string;
  constructor(
    message: string,
    reason: SnapshotError['reason'],
    path: string,
    details: { readonly cause?: unknown } = {},
  ) {
    super(message, details);
    this.reason = reason;
    this.path = path;
  }
}

// What the groups of one user hold together of what all users share: places among the undecided accesses, and descriptors.

export class Holdings {
  /** Accesses that wait for a response. */
  pending = 0;
  /** Notifications that wait: each may have a descriptor. */
  queued = 0;
  /** Descriptors that were sent, and for all that is known not received yet. */
  undelivered = 0;
}

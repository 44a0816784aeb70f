// What a guard of subtrees or of the system holds, and what it does not, and why.

/**
 * - `pseudo`: the kernel's own tables as files (proc, sysfs, cgroup and the like).
 * - `excludedType`, `excludedFilesystem`, `excludedMount`: by the option of that name. `only`: not among what alone was asked for.
 * - `belt`: FANOTIFY_GUARD_ONLY does not let it in.
 * - `elsewhere`: mounted below a subtree and outside of it as well: it is where it is, outside. `crossMounts`: that is false.
 * - `remote`: of a network or FUSE, left alone since it may not answer.
 * - `hidden`: no path leads to it, since another is mounted over it.
 * - else what the kernel has against a mark.
 */
export type NotHeldReason =
  | 'excludedType'
  | 'excludedFilesystem'
  | 'excludedMount'
  | 'only'
  | 'belt'
  | 'elsewhere'
  | 'crossMounts'
  | 'remote'
  | 'hidden'
  | (string & {});

/** A file system, and where it is mounted (one of the places). */
export interface FilesystemCoverage {
  /** `major:minor`, as in /proc/self/mountinfo. */
  readonly device: string;
  readonly mountPoint: string;
  readonly type: string;
  /** Why it is not held. */
  readonly why?: NotHeldReason | undefined;
}

/** Where a subtree is. */
export interface GuardedSubtree {
  /** As it was asked for. */
  readonly asked: string;
  /** Its path here; the last one when it is gone. */
  readonly path: string;
  /** Whether it is removed or unmounted: then nothing is in it any more, and nothing will be. */
  readonly gone: 'removed' | 'unmounted' | null;
}

/**
 * What a guard holds: {@link Guard.coverage}. What is on no mount of this mount namespace (memfd, mounts of other namespaces alone)
 * is not held by scope `system`, and is not listed.
 */
export interface GuardCoverage {
  /** File systems that are held as a whole, and those that subtrees are on. */
  readonly held: readonly FilesystemCoverage[];
  readonly notHeld: readonly FilesystemCoverage[];
  /** Types of pseudo file systems that are mounted, and left out. */
  readonly pseudoTypes: readonly string[];
  /** Scope `subtree` alone. */
  readonly subtrees: readonly GuardedSubtree[];
}

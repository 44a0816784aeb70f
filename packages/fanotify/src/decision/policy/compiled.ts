// A policy as the responder gets it: checked, names resolved, globs as expressions. Plain JSON, since it goes over a socket.

import type { DenyErrno, Verdict } from '../verdict.ts';

export type PolicyAction = 'allow' | 'deny' | 'ask' | 'scan';

/** Which decisions are told. */
export type PolicyLog = 'all' | 'denied' | 'none';

/**
 * Some globs of paths. It matches when one of `positive` does, or there is none, and none of `negative` does.
 */
export interface CompiledGlobs {
  readonly positive: readonly CompiledGlob[];
  readonly negative: readonly CompiledGlob[];
}

/** One glob, without braces: each of their alternatives is one. What a path is: absolute, without '//', '.' and '..'. */
export type CompiledGlob =
  /** The word `foreign`: whatever has no path here that can be vouched for. */
  | { readonly kind: 'foreign' }
  /** This path. */
  | { readonly kind: 'path'; readonly path: string }
  /** A directory, and all that is below it: `/srv/**`. `directory` has no slash at its end; it is '' for `/`. */
  | { readonly kind: 'below'; readonly directory: string }
  /** What has this name, wherever it is. */
  | { readonly kind: 'name'; readonly name: string }
  /** Whose name ends so, wherever it is: `*.exe`. */
  | { readonly kind: 'suffix'; readonly suffix: string }
  /**
   * `glob` begins with '/'. All that matches is below `directory`, as in 'below'; '' where that tells nothing. `end` is how the
   * last name ends, or all of it, where that is known. `part` is a name that is somewhere in each path, after `directory`.
   */
  | {
      readonly kind: 'pattern';
      readonly glob: string;
      readonly directory: string;
      readonly end?: { readonly name: string } | { readonly suffix: string };
      readonly part?: string;
    };

/** Whole numbers, as ranges that include both ends. */
export interface CompiledNumbers {
  readonly positive: readonly (readonly [number, number])[];
  readonly negative: readonly (readonly [number, number])[];
}

export type ContainerTest =
  | { readonly kind: 'any' }
  | { readonly kind: 'none' }
  /** Its identity begins so. */
  | { readonly kind: 'id'; readonly id: string }
  | { readonly kind: 'runtime'; readonly runtime: string };

/** Bits of st_mode; it matches when one of a test's bits is set. */
export type ModeBits = number;

/** What a rule asks for: everything that is said has to be the case. */
export interface CompiledRule {
  /** What it is called; rules without a name have `rule N`, counted from 1. */
  readonly name: string;
  /** Where it is in the policy's file, counted from 1. */
  readonly line: number;
  readonly column: number;
  readonly action: PolicyAction;
  /** Of denials. */
  readonly errno?: DenyErrno;
  /** What is written in the record. */
  readonly message?: string;
  readonly audit?: true;
  /** Overrides the policy's. */
  readonly log?: boolean;
  /** Bits by kind: 1 << index in KINDS. */
  readonly on?: number;
  readonly path?: CompiledGlobs;
  readonly owner?: CompiledNumbers;
  readonly group?: CompiledNumbers;
  readonly mode?: { readonly positive: readonly ModeBits[]; readonly negative: readonly ModeBits[] };
  /** In bytes, both ends included. */
  readonly size?: { readonly least: number; readonly most: number };
  readonly exe?: CompiledGlobs;
  readonly uid?: CompiledNumbers;
  /** The effective group, and the supplementary ones. */
  readonly gid?: CompiledNumbers;
  /** The executable of an ancestor. */
  readonly ancestor?: CompiledGlobs;
  readonly container?: { readonly positive: readonly ContainerTest[]; readonly negative: readonly ContainerTest[] };
  /** Indices in the policy's digest lists. */
  readonly sha256?: { readonly positive: readonly number[]; readonly negative: readonly number[] };
}

export interface CompiledPolicy {
  /** The sha256 of its file, and of the lists that this names, in hexadecimal. */
  readonly identity: string;
  readonly mode: 'enforce' | 'dryRun';
  /** What no rule matches. */
  readonly default: Verdict;
  readonly log: PolicyLog;
  /** What `ask` gets that nobody answers. */
  readonly ask: { readonly timeoutMs: number; readonly default: Verdict };
  readonly rules: readonly CompiledRule[];
  /** Lists of sha256 in hexadecimal, lower case. */
  readonly digests: readonly (readonly string[])[];
}

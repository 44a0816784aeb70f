// What is wrong with a policy: all of it, each with its place and a sentence.

/**
 * One thing that is wrong with a policy, or that may be.
 *
 * @example
 * import { parsePolicy } from 'fanotify';
 * const { warnings } = parsePolicy('version: 1\nsets:\n  shells: [/bin/sh]\nrules: []\n');
 * console.log(warnings[0].line, warnings[0].message); // 3 no rule uses the set 'shells'
 */
export interface PolicyProblem {
  /** Both counted from 1, the column in UTF-16 units. */
  readonly line: number;
  readonly column: number;
  /** A sentence that says what to do. */
  readonly message: string;
  /** With an error the policy is not used. */
  readonly severity: 'error' | 'warning';
  /**
   * What it is about: how YAML is written (`syntax`), the words and types of a policy, as its JSON Schema has them (`shape`), or what
   * they stand for.
   */
  readonly about: 'syntax' | 'shape' | 'meaning';
}

/** `file:line:column: sentence` */
export function problemText(file: string, { line, column, message, severity }: PolicyProblem): string {
  return `${file}:${line}:${column}: ${severity === 'warning' ? 'warning: ' : ''}${message}`;
}

/**
 * A policy that cannot be used. The message has a line for each problem, `file:line:column: sentence`.
 *
 * @example
 * import { parsePolicy } from 'fanotify';
 * try {
 *   parsePolicy('version: 1\nrules:\n  - acton: deny\n', { file: 'policy.yaml' });
 * } catch (error) {
 *   console.log(error.code, error.problems.length); // POLICY 2
 *   console.log(error.problems[0].message); // a rule has no 'acton': did you mean 'action'?
 * }
 */
export class PolicyError extends Error {
  static {
    PolicyError.prototype.name = 'PolicyError';
  }
  readonly code = 'POLICY';
  readonly file: string;
  /** In the order of their lines, warnings among them. */
  readonly problems: readonly PolicyProblem[];
  constructor(file: string, problems: readonly PolicyProblem[]) {
    super(problems.map((problem) => problemText(file, problem)).join('\n'));
    this.file = file;
    this.problems = problems;
  }
}

// What `fanotify guard` decides by globs, and how it tells its verdicts.

import { posix } from 'node:path';
import picomatch from 'picomatch';
import type { PermissionRequest, Verdict } from '../index.ts';
import { UserError } from './failure.ts';
import { nameOf } from './process-text.ts';
import { clock, shown, shownBytes } from './text.ts';

/** --deny or --allow, in the order of the command line. */
export interface Rule {
  readonly verdict: Verdict;
  readonly glob: string;
}

interface Compiled {
  readonly verdict: Verdict;
  readonly matches: (path: string) => boolean;
}

/** As in `--exclude`: a leading dot is a letter like any. So is a line end, with flag `s`: none may slip past by its name. */
const OPTIONS = { dot: true, nonegate: true, flags: 's' };

/** Decides by the last rule that matches. @throws UserError for an empty glob. */
export function decideByGlobs(
  rules: readonly Rule[],
  paths: readonly string[],
): (request: Pick<PermissionRequest, 'path'> & Partial<Pick<PermissionRequest, 'rawPath'>>) => Verdict {
  const roots = paths.map((path) => posix.resolve(path));
  const compiled = rules.map((rule) => compile(rule, roots)).reverse();
  const mayDeny = rules.some(({ verdict }) => verdict === 'deny');
  return ({ path, rawPath }) => {
    // Bytes that are no UTF-8 become U+FFFD, which wildcards match as they do any letter.
    const text = path ?? rawPath?.toString();
    if (text === undefined) return mayDeny ? 'deny' : 'allow';
    return compiled.find(({ matches }) => matches(text))?.verdict ?? 'allow';
  };
}

function compile({ verdict, glob }: Rule, roots: readonly string[]): Compiled {
  if (glob === '') throw new UserError(`--${verdict}: an empty glob matches nothing`);
  const matches = picomatch(glob.replace(/^(\.\/+)+/, ''), OPTIONS);
  if (!glob.includes('/')) return { verdict, matches: (path) => matches(posix.basename(path)) };
  if (glob.startsWith('/')) return { verdict, matches };
  const prefixes = roots.map((root) => (root === '/' ? root : `${root}/`));
  return {
    verdict,
    matches: (path) => prefixes.some((prefix) => path.startsWith(prefix) && matches(path.slice(prefix.length))),
  };
}

/** A verdict on a request. */
export interface Told {
  readonly request: PermissionRequest;
  readonly verdict: Verdict;
  readonly dryRun: boolean;
}

/** Verdicts as text, while the process is held that it is about. */
export const verdictText = {
  line({ request, verdict, dryRun }: Told): string {
    const { kind, pid, path, rawPath, process } = request;
    const who = process ? `${nameOf(process)}(${pid})` : `unknown(${pid})`;
    const where = path === null ? (rawPath ? shownBytes(rawPath) : '-') : shown(path);
    const what = dryRun && verdict === 'deny' ? 'would deny' : verdict;
    return `${clock(Date.now())}  ${what}  ${kind}  ${who}  ${where}`;
  },
  json({ request, verdict, dryRun }: Told): object {
    const { kind, pid, path, rawPath, process } = request;
    return {
      timeMs: Date.now(),
      verdict,
      dryRun,
      kind,
      path,
      ...(path === null && rawPath && { rawPath: rawPath.toString('base64') }),
      pid,
      process: process?.toJSON() ?? null,
    };
  },
};

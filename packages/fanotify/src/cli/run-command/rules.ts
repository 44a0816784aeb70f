// --deny and --allow: the last glob that fits a path decides. And where marks must be for that: on the mounts that a denied path can
// be on, and on no other.

import { realpathSync } from 'node:fs';
import { isAbsolute, join, relative } from 'node:path';
import picomatch from 'picomatch';
import { kindOf } from '../../identity/filesystems.ts';
import type { Mount } from '../../identity/mounts.ts';
import { isWithin } from '../../identity/path.ts';
import { UserError } from '../failure.ts';

/** One --deny or --allow. The glob is absolute. */
export interface Rule {
  readonly verdict: 'deny' | 'allow';
  readonly glob: string;
}

/**
 * A glob as it was given, from the working directory on. What comes before its first wildcard is taken to where it really is, since
 * paths are told without symbolic links.
 *
 * @throws UserError
 */
export function ruleOf(verdict: Rule['verdict'], glob: string, cwd: string): Rule {
  if (glob === '') throw new UserError(`--${verdict} needs a glob, as in --${verdict} '/home/*/.ssh/**'`);
  if (glob.startsWith('!'))
    throw new UserError(`--${verdict}: ${JSON.stringify(glob)} begins with '!': say it with --allow and --deny`);
  const absolute = isAbsolute(glob) ? glob : join(cwd, glob);
  const base = literalPrefix(absolute);
  const rest = relative(base, absolute);
  const real = realOf(base);
  return { verdict, glob: rest === '' ? escapeGlob(real) : `${escapeGlob(real).replace(/\/$/, '')}/${rest}` };
}

/** The directory or file before the first wildcard. */
function literalPrefix(glob: string): string {
  const { base, isGlob } = picomatch.scan(glob);
  return isGlob ? base || '/' : glob;
}

/** What of a path is there is resolved; the rest stays. */
function realOf(path: string): string {
  for (let head = path, tail = ''; ; ) {
    try {
      return join(realpathSync(head), tail);
    } catch {
      const cut = head.lastIndexOf('/');
      if (cut <= 0) return path;
      tail = join(head.slice(cut + 1), tail);
      head = head.slice(0, cut);
    }
  }
}

function escapeGlob(path: string): string {
  return path.replace(/[\\*?[\]{}()!+@]/g, '\\$&');
}

/** Says of a path whether it is denied. */
export function deciderOf(rules: readonly Rule[]): (path: string) => boolean {
  const compiled = rules
    .map(({ verdict, glob }) => {
      // A directory that is meant with all that it has is itself meant, as in .gitignore. With flag `s` a line end in a name is a
      // letter like any.
      const fits = picomatch(glob, { dot: true, flags: 's' });
      return { denies: verdict === 'deny', fits };
    })
    .reverse();
  return (path) => compiled.find(({ fits }) => fits(path))?.denies === true;
}

/** The mounts that something denied can be on: each takes a mark, which holds whoever opens something there. */
export function mountsToGuard(rules: readonly Rule[], mounts: readonly Mount[]): Mount[] {
  const guarded = new Map<number, Mount>();
  for (const { verdict, glob } of rules) {
    if (verdict === 'allow') continue;
    const base = Buffer.from(literalPrefix(glob).replace(/\\(.)/g, '$1'));
    const [holder] = mounts
      .filter(({ mountPoint }) => isWithin(base, mountPoint))
      // Of those over one another the last is on top.
      .toSorted((a, b) => b.mountPoint.length - a.mountPoint.length || mounts.indexOf(b) - mounts.indexOf(a));
    const below = mounts.filter(({ mountPoint }) => isWithin(mountPoint, base));
    for (const mount of holder ? [holder, ...below] : below) guarded.set(mount.mountId, mount);
  }
  return [...guarded.values()].filter(({ type }) => kindOf(type) !== 'pseudo');
}

// Which globs match something on the disk as it is now: a walk that ends after some time, or so many entries.

import { type Dirent, lstatSync, readdirSync } from 'node:fs';
import type { CompiledGlob } from './compiled.ts';
import { globTest } from './glob.ts';

/** Where files are made up as they are looked for. */
const MADE_UP = new Set(['/proc', '/sys', '/dev']);

export interface WalkLimits {
  readonly entries: number;
  readonly ms: number;
}

/**
 * The globs that nothing on the disk matches. Those that the walk came to no end for are not among them.
 *
 * @param roots Where globs without a directory are looked for.
 */
export function notOnDisk(
  globs: readonly CompiledGlob[],
  roots: readonly string[],
  limits: WalkLimits,
): ReadonlySet<CompiledGlob> {
  const missing = new Set<CompiledGlob>();
  const open = new Map<CompiledGlob, (path: string) => boolean>();
  const starts = new Set<string>();
  for (const glob of globs) {
    if (glob.kind === 'path' || glob.kind === 'below') {
      if (!isThere(glob.kind === 'path' ? glob.path : glob.directory || '/')) missing.add(glob);
    } else if (glob.kind !== 'foreign') {
      open.set(glob, globTest(glob));
      const directory = glob.kind === 'pattern' ? glob.directory : '';
      for (const start of directory === '' ? roots : [directory]) starts.add(start);
    }
  }
  const tops = [...starts].filter((path) => ![...starts].some((other) => other !== path && isWithin(other, path)));
  const isComplete = walk(tops, limits, (path) => {
    for (const [glob, test] of open) if (test(path)) open.delete(glob);
    return open.size > 0;
  });
  if (isComplete) for (const glob of open.keys()) missing.add(glob);
  return missing;
}

function isWithin(directory: string, path: string): boolean {
  return directory === '/' || path.startsWith(`${directory}/`);
}

function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    // What may not be looked at may be there.
    return true;
  }
}

/** Visits what is at and below some paths, until `visit` says no more. Whether nothing was left out. */
function walk(tops: readonly string[], limits: WalkLimits, visit: (path: string) => boolean): boolean {
  const endMs = performance.now() + limits.ms;
  const waiting = tops.filter(isThere);
  let left = limits.entries;
  let isComplete = true;
  for (const top of waiting) if (!visit(top)) return true;
  // Appended to while it is gone through: what is near the top comes first.
  for (const directory of waiting) {
    let entries: Dirent[] = [];
    try {
      entries = readdirSync(directory, { withFileTypes: true });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      isComplete &&= code === 'ENOENT' || code === 'ENOTDIR';
    }
    for (const entry of entries) {
      const path = directory === '/' ? `/${entry.name}` : `${directory}/${entry.name}`;
      if (!visit(path)) return true;
      if (entry.isDirectory() && !MADE_UP.has(path)) waiting.push(path);
      if (--left <= 0) return false;
    }
    if (performance.now() > endMs) return false;
  }
  return isComplete;
}

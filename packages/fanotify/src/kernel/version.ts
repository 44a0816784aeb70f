// Versions of Linux, and whether one has what another brought.

/** Major, minor, patch level. */
export type Version = readonly [number, number, number];

/**
 * Reads '6.1', '5.15.154' or what uname(2) says ('6.18.44-generic'). A fourth number, as WSL has it ('5.15.133.1-microsoft-standard-WSL2'), is the
 * distribution's.
 *
 * @throws RangeError for what is no version.
 */
export function parseVersion(text: string): Version {
  const [, major, minor, patch = '0'] = /^(\d+)\.(\d+)(?:\.(\d+)(?:\.\d+)?)?(?!\d|\.)/.exec(text) ?? [];
  if (major === undefined || minor === undefined) throw new RangeError(`${JSON.stringify(text)} is no Linux version.`);
  return [Number(major), Number(minor), Number(patch)];
}

/** Negative when `a` is older than `b`, positive when newer. */
export function compareVersions(a: Version, b: Version): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}

/** Whether `version` has what came with `since`, or with a later patch level of an older line (`backports`). */
export function hasSince(version: Version, since: string, backports: readonly string[] = []): boolean {
  if (compareVersions(version, parseVersion(since)) >= 0) return true;
  return backports.some((text) => {
    const backport = parseVersion(text);
    return version[0] === backport[0] && version[1] === backport[1] && version[2] >= backport[2];
  });
}

// How far what was told is from what is there.

export interface Difference {
  /** Paths that are there and were not told, or told as something else. */
  readonly missing: readonly string[];
  /** Paths that were told and are not there, or are something else. */
  readonly extra: readonly string[];
}

/** Compares lines as {@link Model.lines} gives them. */
export function differenceOf(told: Iterable<string>, there: Iterable<string>): Difference {
  const extra = new Set(told);
  const missing = [...there].filter((line) => !extra.delete(line));
  return { missing, extra: [...extra] };
}

/** Two paths of each, for who has to find out why. */
export function differenceText({ missing, extra }: Difference): string {
  const some = (lines: readonly string[]) =>
    lines.length > 2 ? `${lines.slice(0, 2).join(', ')} and ${lines.length - 2} more` : lines.join(', ');
  const parts = [
    missing.length > 0 ? `not told: ${some(missing)}` : undefined,
    extra.length > 0 ? `told and not there: ${some(extra)}` : undefined,
  ];
  return parts.filter((part) => part !== undefined).join('; ');
}

// "Did you mean": the known word that a misspelt one is nearest to.

/** Edit distance (Levenshtein), letters compared without case. */
function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substituted = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(substituted, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
}

/** The nearest known word, or undefined when none is near enough to have been meant. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  const plain = (text: string) => text.toLowerCase().replaceAll(/[^a-z]/g, '');
  const wanted = plain(word);
  let best: { word: string; distance: number } | undefined;
  for (const candidate of known) {
    const far = distance(wanted, plain(candidate));
    if (!best || far < best.distance) best = { word: candidate, distance: far };
  }
  return best && best.distance <= Math.max(1, Math.floor(wanted.length * 0.4)) ? best.word : undefined;
}

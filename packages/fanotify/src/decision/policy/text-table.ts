// Rules by a text, looked up by a hash that is made while a path is gone through: nothing is cut out of the path, nor allocated.

interface Row {
  readonly text: string;
  /** Numbers of rules, the lowest first. */
  rules: number[] | undefined;
  /** Rules that want a certain end of the path, too. */
  ends: { readonly end: string; readonly rules: number[] }[] | undefined;
  readonly next: Row | undefined;
}

/** More in one row are not gone through one by one. */
const MOST_ENDS = 16;

/** The hash of no text. */
export const EMPTY_HASH = 0x811c9dc5 | 0;

/** The hash of a text with one more UTF-16 unit: FNV-1a. */
export function hashed(hash: number, unit: number): number {
  return Math.imul(hash ^ unit, 0x01000193);
}

/** Of the filter, for each row: of texts that are not there fewer than one in a hundred are looked up all the same. */
const BITS_A_ROW = 16;

export class TextTable {
  readonly #rows = new Map<number, Row>();
  /** Two bits by hash are set where there may be a row. It is small enough to stay in the processor's cache, as the rows are not. */
  #filter = new Int32Array(8);

  get isEmpty(): boolean {
    return this.#rows.size === 0;
  }

  /**
   * @param hash Of the text: in the direction in which it is looked up.
   * @param end What the path has to end with. Returns false where it cannot be kept with the text.
   */
  add(text: string, hash: number, rule: number, end = ''): boolean {
    let row = this.#rows.get(hash);
    const first = row;
    while (row && row.text !== text) row = row.next;
    if (!row) {
      row = { text, rules: undefined, ends: undefined, next: first };
      this.#rows.set(hash, row);
      this.#note(hash);
    }
    if (end === '') {
      row.rules = withRule(row.rules, rule);
      return true;
    }
    row.ends ??= [];
    const ending = row.ends.find((one) => one.end === end);
    if (ending) withRule(ending.rules, rule);
    else if (row.ends.length >= MOST_ENDS) return false;
    else row.ends.push({ end, rules: [rule] });
    return true;
  }

  /** The rules of the text that `path` has from `start` to `end`, a list at a time. */
  find(hash: number, path: string, start: number, end: number, found: (rules: number[]) => void): void {
    const filter = this.#filter;
    if ((~(filter[wordOf(hash) & (filter.length - 1)] ?? 0) & bitsOf(hash)) !== 0) return;
    let row = this.#rows.get(hash);
    while (row && !(row.text.length === end - start && path.startsWith(row.text, start))) row = row.next;
    if (!row) return;
    if (row.rules) found(row.rules);
    const { ends } = row;
    if (!ends) return;
    for (let at = 0; at < ends.length; at++) {
      const ending = ends[at];
      if (ending && path.endsWith(ending.end)) found(ending.rules);
    }
  }

  #note(hash: number): void {
    if (this.#rows.size * BITS_A_ROW > this.#filter.length * 32) {
      this.#filter = new Int32Array(this.#filter.length * 4);
      for (const known of this.#rows.keys()) this.#set(known);
    }
    this.#set(hash);
  }

  #set(hash: number): void {
    const word = wordOf(hash) & (this.#filter.length - 1);
    this.#filter[word] = (this.#filter[word] ?? 0) | bitsOf(hash);
  }
}

function bitsOf(hash: number): number {
  return (1 << hash) | (1 << (hash >>> 27));
}

/** The word of the filter, before it is cut to its length. */
function wordOf(hash: number): number {
  return (hash >>> 5) ^ (hash >>> 17);
}

function withRule(rules: number[] | undefined, rule: number): number[] {
  if (!rules) return [rule];
  if (rules.at(-1) !== rule) rules.push(rule);
  return rules;
}

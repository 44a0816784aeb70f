// Text for a terminal: names may hold any byte, so what a terminal would obey is escaped, and widths are counted in columns.

import { isUtf8 } from 'node:buffer';

// C0, DEL and C1 are obeyed by terminals; the others turn the line around or break it; a backslash begins an escape.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
const OBEYED = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\\]/g;
const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\t': '\\t', '\r': '\\r', '\\': '\\\\' };

function escapeOf(character: string): string {
  const code = character.charCodeAt(0);
  return (
    SHORT[character] ??
    (code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`)
  );
}

/** A string as it can be shown; line ends too are escaped. */
export function shown(text: string): string {
  return text.replace(OBEYED, escapeOf);
}

/** The same for whole messages: backslashes, which our own sentences may use, stay. */
export function escaped(text: string): string {
  return text.replace(OBEYED, (character) => (character === '\\' ? character : escapeOf(character)));
}

/** Bytes as they can be shown: what is not valid UTF-8 as \xNN. */
export function shownBytes(bytes: Uint8Array): string {
  if (isUtf8(bytes)) return shown(Buffer.from(bytes).toString());
  let text = '';
  for (let start = 0; start < bytes.length; ) {
    const length = [1, 2, 3, 4].find((n) => start + n <= bytes.length && isUtf8(bytes.subarray(start, start + n)));
    text += length
      ? shown(Buffer.from(bytes.subarray(start, start + length)).toString())
      : `\\x${(bytes[start] ?? 0).toString(16).padStart(2, '0')}`;
    start += length ?? 1;
  }
  return text;
}

/** JSON with everything escaped that a terminal would obey: the same value when parsed. */
export function safeJson(value: unknown): string {
  return JSON.stringify(value).replace(/[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

// East Asian Width (Unicode Standard Annex 11), by block: wide letters and pictures take two columns.
function isWide(code: number): boolean {
  return (
    (code >= 0x1100 && code <= 0x115f) ||
    (code >= 0x2e80 && code <= 0xa4cf) ||
    (code >= 0xac00 && code <= 0xd7a3) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe6f) ||
    (code >= 0xff00 && code <= 0xff60) ||
    (code >= 0xffe0 && code <= 0xffe6) ||
    (code >= 0x1f300 && code <= 0x1faff) ||
    (code >= 0x20000 && code <= 0x3fffd)
  );
}

function widthOf(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x300) return 1;
  return /^[\p{Mn}\p{Me}\p{Cf}]/u.test(character) ? 0 : isWide(code) ? 2 : 1;
}

/** How many columns a text takes. */
export function columnsOf(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
  if (/^[\u0000-\u007f]*$/.test(text)) return text.length;
  let columns = 0;
  for (const character of text) columns += widthOf(character);
  return columns;
}

/** A text in at most so many columns: the middle goes first, and the end, where a file's name is, keeps the most. */
export function shortened(text: string, columns: number): string {
  if (columnsOf(text) <= columns) return text;
  if (columns <= 1) return '…'.slice(0, Math.max(0, columns));
  const characters = [...text];
  const tailColumns = Math.ceil(((columns - 1) * 2) / 3);
  let tail = characters.length;
  let used = 0;
  while (tail > 0 && used + widthOf(characters[tail - 1] ?? '') <= tailColumns)
    used += widthOf(characters[--tail] ?? '');
  let head = 0;
  while (head < tail && used + widthOf(characters[head] ?? '') <= columns - 1)
    used += widthOf(characters[head++] ?? '');
  return `${characters.slice(0, head).join('')}…${characters.slice(tail).join('')}`;
}

/** The time of day, as people read it. */
export function clock(timeMs: number): string {
  const time = new Date(timeMs);
  const two = (n: number) => String(n).padStart(2, '0');
  const ms = String(time.getMilliseconds()).padStart(3, '0');
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${ms}`;
}

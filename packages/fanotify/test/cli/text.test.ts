import { beforeEach, describe, expect, it, vi } from 'vitest';
import { parseEvents } from '../../src/cli/events.ts';
import { Output } from '../../src/cli/output.ts';
import { Screen } from '../../src/cli/screen.ts';
import { columnsOf, escaped, safeJson, shortened, shown, shownBytes } from '../../src/cli/text.ts';
import { Unseen } from '../../src/cli/unseen.ts';

describe('what a terminal would obey', () => {
  it('is escaped in names', () => {
    expect(shown('a\tb\u001b]0;x\u0007\u007f\u009b\u2028\u2066\\')).toBe(
      'a\\tb\\x1b]0;x\\x07\\x7f\\x9b\\u2028\\u2066\\\\',
    );
    expect(shown('grün 漢字 🎉')).toBe('grün 漢字 🎉');
  });

  it('is escaped in bytes, which need not be UTF-8', () => {
    expect(shownBytes(Buffer.from([0x61, 0xff, 0xc3, 0xbc, 0xc3, 0x0a]))).toBe('a\\xffü\\xc3\\n');
  });

  it('is escaped in messages, whose backslashes are their own', () => {
    expect(escaped('"a\\"\u001b')).toBe('"a\\"\\x1b');
  });

  it('is escaped in JSON without changing its value', () => {
    const value = { path: 'a\u009b\u007f\u202e\u001b' };
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not be there
    expect(safeJson(value)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
    expect(JSON.parse(safeJson(value))).toEqual(value);
  });
});

describe('columns', () => {
  it('are counted as terminals do', () => {
    expect([columnsOf('abc'), columnsOf('漢字'), columnsOf('e\u0301'), columnsOf('🎉')]).toEqual([3, 4, 1, 2]);
  });

  it.each([4, 9, 10, 20, 33])('are kept to when shortening to %i', (columns) => {
    for (const text of ['/a/rather/long/path/to/some/file.txt', '/漢字/漢字/漢字/漢字/漢字/漢字/漢字']) {
      const short = shortened(text, columns);
      expect(columnsOf(short)).toBeLessThanOrEqual(columns);
      expect(columnsOf(short)).toBeGreaterThanOrEqual(columns - 1);
      expect(short).toContain('…');
      expect(text.endsWith(short.slice(short.indexOf('…') + 1))).toBe(true);
    }
    expect(shortened('abc', columns)).toBe('abc');
  });
});

describe('event names', () => {
  it('are taken as this library, the kernel and inotifywait write them', () => {
    expect(parseEvents('closeWrite,FAN_CREATE, moved_from,IN_DELETE_SELF,OPEN')).toEqual([
      'closeWrite',
      'create',
      'movedFrom',
      'deleteSelf',
      'open',
    ]);
    expect(parseEvents('close,move')).toEqual(['closeWrite', 'closeNowrite', 'movedFrom', 'movedTo']);
  });

  it('are corrected', () => {
    expect(() => parseEvents('delet')).toThrow(/did you mean "delete"/);
    expect(() => parseEvents('create,,delete')).toThrow(/comma-separated/);
  });
});

describe('the status line', () => {
  beforeEach(() => {
    vi.stubEnv('TERM', 'xterm-256color');
    return () => vi.unstubAllEnvs();
  });

  it('is replaced by new lines and drawn again below them, and is gone at the end', async () => {
    const written: string[] = [];
    const terminal = { columns: 200, rows: 50, hasColours: false, onResize: () => undefined };
    const output = new Output(async (text) => void written.push(String(text)), terminal);
    const screen = new Screen(output, (text) => void written.push(`${text}\n`));
    screen.say('first');
    await screen.print(['one'], 0, () => undefined);
    await screen.print(['two', 'three'], 2, () => undefined);
    await screen.close();
    const status = (text: string) =>
      `\u001b[7m ${text} · 0/s · ${text === '3 events' ? 'LOST 2 times' : 'none lost'} · Ctrl-C ends \u001b[0m`;
    expect(written).toEqual([
      'first\n',
      `one\n${status('1 event')}`,
      `\r\u001b[2Ktwo\nthree\n${status('3 events')}`,
      '\r\u001b[2K',
    ]);
  });

  it('tells of progress until there are events', async () => {
    vi.useFakeTimers();
    try {
      const written: string[] = [];
      const terminal = { columns: 200, rows: 50, hasColours: false, onResize: () => undefined };
      const screen = new Screen(new Output(async (text) => void written.push(String(text)), terminal), () => undefined);
      screen.progress('marking… 12,000 directories');
      await vi.advanceTimersByTimeAsync(1000);
      screen.progress(undefined);
      await screen.print(['one'], 0, () => undefined);
      await screen.close();
      expect(written).toEqual([
        '\r\u001b[2K\u001b[7m marking… 12,000 directories · Ctrl-C ends \u001b[0m',
        expect.stringContaining('one\n\u001b[7m 1 event · '),
        '\r\u001b[2K',
      ]);
    } finally {
      vi.useRealTimers();
    }
  });

  it('is not there when the output is no terminal', async () => {
    const written: string[] = [];
    const screen = new Screen(new Output(async (text) => void written.push(String(text))), () => undefined);
    await screen.print(['one'], 0, () => undefined);
    await screen.close();
    expect(written).toEqual(['one\n']);
  });

  it('tells how many lines were taken before one could not be', async () => {
    let pieces = 0;
    const output = new Output(async () => {
      if (++pieces > 2) throw Object.assign(new Error('full'), { code: 'ENOSPC' });
    });
    const lines = Array.from({ length: 10 }, () => 'x'.repeat(10_000));
    let taken = 0;
    const printing = new Screen(output, () => undefined).print(lines, 0, (count) => {
      taken += count;
    });
    await expect(printing).rejects.toMatchObject({ name: 'OutputError', code: 'ENOSPC' });
    expect(taken).toBe(4);
  });
});

describe('what is not seen', () => {
  it('is told once, and again when there is twice as much', () => {
    const said: string[] = [];
    const unseen = new Unseen((text) => said.push(text));
    const unreadable = new Set<string>();
    unseen.tell({ unreadable, unheard: new Set() });
    for (const path of ['/a\n', '/b', '/c', '/d', '/e']) {
      unreadable.add(path);
      unseen.tell({ unreadable, unheard: new Set(['/m']) });
    }
    const directories = said.filter((text) => text.includes('cannot be read'));
    expect(directories.map((text) => text.replace(/ cannot.*/, ''))).toEqual([
      'fanotify: /a\\n',
      'fanotify: /b and 1 other directory',
      'fanotify: /c and 3 other directories',
    ]);
    expect(said.filter((text) => !text.includes('cannot be read'))).toEqual([
      'fanotify: not seen, since these file systems cannot be marked: /m',
    ]);
  });

  it('is not told at the length of the longest path', () => {
    const said: string[] = [];
    new Unseen((text) => said.push(text)).tell({ unreadable: new Set(['/x'.repeat(5000)]), unheard: new Set() });
    expect(said[0]?.length).toBeLessThan(300);
  });
});

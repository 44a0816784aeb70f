// What a person sees of a flood: rates, the busiest, and a few lines.

import { describe, expect, it } from 'vitest';
import { Busiest } from '../../src/cli/busiest.ts';
import { Calm } from '../../src/cli/calm.ts';
import { Output, type Terminal } from '../../src/cli/output.ts';
import { Screen } from '../../src/cli/screen.ts';

describe('the busiest', () => {
  it('are told with their rates, the busiest first', () => {
    const busiest = new Busiest<number>();
    for (let tick = 0; tick < 60; tick++) {
      for (let i = 0; i < 50; i++) busiest.add('often', i);
      busiest.add('seldom', 7);
      busiest.tick(500);
    }
    const [often, seldom] = busiest.top(5);
    expect(often).toMatchObject({ name: 'often', detail: 49 });
    expect(often?.perSecond).toBeCloseTo(100, 1);
    expect(seldom?.perSecond).toBeCloseTo(2, 1);
    expect(busiest.top(1)).toHaveLength(1);
  });

  it('are forgotten when nothing more happens', () => {
    const busiest = new Busiest<null>();
    for (let i = 0; i < 1000; i++) busiest.add('once', null);
    busiest.tick(500);
    const before = busiest.top(1)[0]?.perSecond ?? 0;
    busiest.tick(3000);
    expect(busiest.top(1)[0]?.perSecond).toBeCloseTo(before / Math.E, 5);
    for (let tick = 0; tick < 20; tick++) busiest.tick(3000);
    expect(busiest.top(1)).toEqual([]);
  });

  it('take a bounded room, however many names there are', () => {
    const busiest = new Busiest<null>();
    for (let i = 0; i < 100_000; i++) busiest.add(`name ${i}`, null);
    busiest.tick(500);
    expect(busiest.top(Number.POSITIVE_INFINITY).length).toBeLessThanOrEqual(20_000);
  });

  it('are found among many that happen once', () => {
    const busiest = new Busiest<null>();
    for (let i = 0; i < 100_000; i++) {
      busiest.add(`name ${i}`, null);
      if (i % 50 === 0) busiest.add('often', null);
    }
    busiest.tick(500);
    expect(busiest.top(1)[0]?.name).toBe('often');
  });
});

describe('lines that can be read', () => {
  const event = (pid: number, path: string, timeMs: number) => ({ pid, path, timeMs });

  it('are all of them while little happens', () => {
    const calm = new Calm();
    for (let i = 0; i < 20; i++) expect(calm.shows(event(i % 3, `/f${i}`, 1000 + i * 200))).toBe(true);
    expect(calm.takeLeftOut()).toBe(0);
  });

  it('are about ten a second of a flood, and the rest is counted', () => {
    const calm = new Calm();
    let shown = 0;
    for (let i = 0; i < 50_000; i++) if (calm.shows(event(i % 40, `/f${i}`, 1_000_000 + i / 5))) shown++;
    expect(shown).toBeGreaterThan(50);
    expect(shown).toBeLessThan(150);
    expect(calm.takeLeftOut()).toBe(50_000 - shown);
    expect(calm.takeLeftOut()).toBe(0);
  });

  it('are not all of one process', () => {
    const calm = new Calm();
    for (let i = 0; i < 10_000; i++) calm.shows(event(1, `/f${i}`, 1_000_000));
    const late = [2, 3, 4].map((pid) => calm.shows(event(pid, `/g${pid}`, 1_000_000 + pid)));
    expect(late).toEqual([true, true, true]);
  });

  it('do not tell again what a process does to the same file', () => {
    const calm = new Calm();
    expect([1, 2, 3].map((ms) => calm.shows(event(1, '/log', 1_000_000 + ms)))).toEqual([true, false, false]);
    expect(calm.shows(event(2, '/log', 1_000_010))).toBe(true);
  });
});

describe('a status of several lines', () => {
  it('stands below the lines, fits the terminal, and is taken away as a whole', async () => {
    const written: string[] = [];
    const terminal: Terminal = { columns: 12, rows: 30, hasColours: false, onResize: () => undefined };
    const output = new Output(async (text) => void written.push(text.toString()), terminal);
    const screen = new Screen(output, () => undefined);
    screen.tellStatus((columns, rows) => [
      { text: `${columns}x${rows}`, style: 'inverse' },
      { text: 'longer than the terminal', style: 'plain' },
    ]);
    await screen.print(['one'], 0, () => undefined);
    await screen.print(['two'], 0, () => undefined);
    await screen.close();
    const status = '\u001b[7m12x30\u001b[0m\nlon…erminal\u001b[0m';
    expect(written).toEqual([`one\n${status}`, `\r\u001b[1A\u001b[Jtwo\n${status}`, '\r\u001b[1A\u001b[J']);
  });

  it('makes room for what is said, and is drawn again below', async () => {
    const written: string[] = [];
    const terminal: Terminal = { columns: 20, rows: 30, hasColours: false, onResize: () => undefined };
    const output = new Output(async (text) => void written.push(text.toString()), terminal);
    const screen = new Screen(output, (text) => void written.push(`said ${text}`));
    screen.tellStatus(() => [
      { text: 'a', style: 'plain' },
      { text: 'b', style: 'plain' },
    ]);
    await screen.print(['one'], 0, () => undefined);
    screen.say('something');
    await screen.close();
    const status = 'a\u001b[0m\nb\u001b[0m';
    const clear = '\r\u001b[1A\u001b[J';
    expect(written.slice(0, 3)).toEqual([`one\n${status}`, clear, 'said something']);
    expect(written.at(-1)).not.toContain('b');
  });

  it('is taken away as a whole although the terminal has become narrower', async () => {
    const written: string[] = [];
    const terminal = { columns: 40, rows: 30, hasColours: false, onResize: () => undefined };
    const output = new Output(async (text) => void written.push(text.toString()), terminal);
    const screen = new Screen(output, () => undefined);
    screen.tellStatus((columns) => [
      { text: 'x'.repeat(columns - 1), style: 'inverse' },
      { text: 'short', style: 'plain' },
    ]);
    await screen.print(['one'], 0, () => undefined);
    terminal.columns = 15;
    await screen.close();
    // 39 columns take three rows of 15, and the second line one.
    expect(written.at(-1)).toBe('\r\u001b[3A\u001b[J');
  });
});

// What clamd says, in whatever pieces it comes.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describedSignatures, type Reply, ReplyReader } from '../../../src/decision/scan/protocol.ts';

function read(...chunks: readonly (string | Buffer)[]): { replies: Reply[]; rest: string } {
  const replies: Reply[] = [];
  const reader = new ReplyReader((reply) => replies.push(reply));
  for (const chunk of chunks) reader.push(Buffer.from(chunk));
  return { replies, rest: reader.rest };
}

describe('an answer', () => {
  it.each<[string, Reply]>([
    ['1: PONG', { kind: 'pong', id: 1 }],
    ['2: fd[10]: OK', { kind: 'clean', id: 2 }],
    ['3: fd[10]: Win.Test.EICAR_HDB-1 FOUND', { kind: 'found', id: 3, signature: 'Win.Test.EICAR_HDB-1' }],
    ['4: fd[10]: Name(44d88612:68) FOUND', { kind: 'found', id: 4, signature: 'Name(44d88612:68)' }],
    // What a signature is called is up to who has made it.
    ['5: fd[10]: a: OK FOUND', { kind: 'found', id: 5, signature: 'a: OK' }],
    ['6: fd[10]: Not a regular file ERROR', { kind: 'error', id: 6, message: 'Not a regular file' }],
    [
      '7: fd[10]: CL_ETIMEOUT: Time limit reached ERROR',
      { kind: 'error', id: 7, message: 'CL_ETIMEOUT: Time limit reached' },
    ],
    ['8: No file descriptor received. ERROR', { kind: 'error', id: 8, message: 'No file descriptor received' }],
    ['Error processing command. ERROR', { kind: 'ended', message: 'Error processing command. ERROR' }],
    ['fd[10]: OK', { kind: 'nonsense', text: 'fd[10]: OK' }],
    ['1: UNKNOWN COMMAND', { kind: 'nonsense', text: '1: UNKNOWN COMMAND' }],
    ['', { kind: 'nonsense', text: '' }],
  ])('%s', (line, reply) => {
    expect(read(`${line}\0`)).toEqual({ replies: [reply], rest: '' });
  });

  it('that ends the session comes without an end of its own', () => {
    expect(read('COMMAND READ TIMED OUT\n').replies).toEqual([{ kind: 'ended', message: 'COMMAND READ TIMED OUT' }]);
    expect(read('COMMAND READ TIMED OUT\n', '5: fd[10]: OK\0').replies.at(-1)).toEqual({ kind: 'clean', id: 5 });
    expect(read('COMMAND READ TIMED OUT\n5: fd[10]: OK\0').replies).toEqual([{ kind: 'clean', id: 5 }]);
  });

  it('that does not end is nonsense before it fills the memory', () => {
    const { replies } = read('x'.repeat(6_000), 'x'.repeat(6_000));
    expect(replies).toEqual([{ kind: 'nonsense', text: `${'x'.repeat(100)}…` }]);
  });

  it('is the same in whatever pieces it comes', () => {
    const names = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }).filter((name) => !/[\0\n]/.test(name));
    const answers = fc.oneof(
      fc.constant((id: number) => `${id}: PONG`),
      fc.constant((id: number) => `${id}: fd[${id}]: OK`),
      names.map((name) => (id: number) => `${id}: fd[9]: ${name} FOUND`),
      names.map((name) => (id: number) => `${id}: fd[9]: ${name} ERROR`),
      names.map((name) => () => name),
    );
    fc.assert(
      fc.property(fc.array(answers, { maxLength: 20 }), fc.array(fc.nat({ max: 40 })), (made, lengths) => {
        const whole = Buffer.from(made.map((answer, at) => `${answer(at + 1)}\0`).join(''));
        const pieces: Buffer[] = [];
        let from = 0;
        for (const length of lengths) {
          pieces.push(whole.subarray(from, from + length));
          from = Math.min(whole.length, from + length);
        }
        pieces.push(whole.subarray(from));
        expect(read(...pieces)).toEqual(read(whole));
        expect(read(whole).replies).toHaveLength(made.length);
      }),
    );
  });

  it('is never taken for clean when it is not', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const { replies } = read(`${text}\0`);
        const isClean = replies.some(({ kind }) => kind === 'clean');
        expect(isClean).toBe(/(^|\0)\d{1,10}: [^:\0]*: OK(\0|$)/.test(text));
      }),
    );
  });
});

describe('what clamd says of itself', () => {
  const told = (version: string, used: string) =>
    `1: ${version}\x002: POOLS: 1\n\nSTATE: VALID PRIMARY\nTHREADS: live 2  idle 1 max 10 idle-timeout 30\nQUEUE: 0 items\n\n` +
    `MEMSTATS: heap 9.1M mmap 0.0M used 6.9M free 2.2M releasable 0.1M pools 1 pools_used ${used} pools_total 5.964M\nEND\x00`;

  it('is another with other signatures', () => {
    const before = describedSignatures(told('ClamAV 1.4.6/27000/Mon Jan  1', '5.882M'));
    expect(before?.version).toBe('ClamAV 1.4.6/27000/Mon Jan  1');
    expect(describedSignatures(told('ClamAV 1.4.6/27000/Mon Jan  1', '5.882M'))).toEqual(before);
    expect(describedSignatures(told('ClamAV 1.4.6/27001/Tue Jan  2', '5.882M'))?.identity).not.toBe(before?.identity);
    expect(describedSignatures(told('ClamAV 1.4.6/27000/Mon Jan  1', '5.884M'))?.identity).not.toBe(before?.identity);
  });

  it('is not known where it says too little', () => {
    expect(describedSignatures('')).toBeUndefined();
    expect(describedSignatures('1: ClamAV 1.4')).toBeUndefined();
    // Its configuration may forbid to tell: EnableVersionCommand, EnableStatsCommand.
    expect(describedSignatures('1: COMMAND UNAVAILABLE\0')?.version).toBe('COMMAND UNAVAILABLE');
  });
});

// The numbers against every other place that has them: the conformance facts, the C header of this machine, the tables of
// since.ts.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as constants from '../../src/abi/constants.ts';
import * as fcntl from '../../src/abi/fcntl.ts';
import * as layout from '../../src/abi/layout.ts';
import { EVENT_BITS, INFO_TYPES, INIT_FLAGS, MARK_FLAGS, RESPONSE_FLAGS } from '../../src/abi/since.ts';

const numbers = new Map<string, number | bigint>(
  Object.entries(constants).filter((entry): entry is [string, number | bigint] => typeof entry[1] !== 'function'),
);

describe.skipIf(!existsSync(factsFile()))('against the conformance facts', () => {
  const facts = existsSync(factsFile())
    ? (JSON.parse(readFileSync(factsFile(), 'utf8')) as {
        constants: Record<string, number>;
        infoTypes: Record<string, string>;
      })
    : { constants: {}, infoTypes: {} };

  it('has every constant with its number', () => {
    expect(Object.keys(facts.constants).length).toBeGreaterThan(50);
    for (const [name, value] of Object.entries(facts.constants)) {
      expect([name, Number(numbers.get(name))]).toEqual([name, value]);
    }
  });

  it('has every information record with its type', () => {
    for (const [type, name] of Object.entries(facts.infoTypes)) {
      expect([name, numbers.get(`FAN_EVENT_INFO_TYPE_${name}`)]).toEqual([name, Number(type)]);
    }
  });
});

const hasHeader = existsSync('/usr/include/linux/fanotify.h') && spawnSync('cc', ['--version']).status === 0;

describe.skipIf(!hasHeader)('against the C headers of this machine', () => {
  it('agrees on every FAN_ name that the header has', () => {
    const header = compileNumbers('linux/fanotify.h', [...numbers.keys()]);
    expect(header.size).toBeGreaterThan(50);
    for (const [name, value] of header) expect([name, BigInt(numbers.get(name) ?? 'NaN')]).toEqual([name, value]);
  });

  it('leaves out no name of the header but the deprecated sets and the macros that are code', () => {
    const macros = execFileSync('cc', ['-E', '-dM', '-include', 'linux/fanotify.h', '-x', 'c', '/dev/null']).toString();
    const names = [...macros.matchAll(/^#define (FAN\w+)/gm)].map((match) => match[1] ?? '');
    const left = names.filter((name) => !(name in constants) && !name.startsWith('FAN_ALL_'));
    expect(left.sort()).toEqual(['FAN_EVENT_NEXT', 'FAN_EVENT_OK']);
  });

  it('agrees on AT_ and O_ names for this architecture', () => {
    const header = compileNumbers('linux/fcntl.h', Object.keys(fcntl));
    expect(header.size).toBeGreaterThan(15);
    const ours = new Map<string, unknown>(Object.entries(fcntl));
    for (const [name, value] of header) expect([name, ours.get(name)]).toEqual([name, Number(value)]);
  });

  it('agrees on where the fields are', () => {
    const { EVENT, RECORD, FID_RECORD, PIDFD_RECORD, ERROR_RECORD, RESPONSE } = layout;
    const at = (struct: string, field: string) => `__builtin_offsetof(struct fanotify_${struct}, ${field})`;
    const expected: [string, number][] = [
      [at('event_metadata', 'event_len'), EVENT.eventLen],
      [at('event_metadata', 'vers'), EVENT.vers],
      [at('event_metadata', 'metadata_len'), EVENT.metadataLen],
      [at('event_metadata', 'mask'), EVENT.mask],
      [at('event_metadata', 'fd'), EVENT.fd],
      [at('event_metadata', 'pid'), EVENT.pid],
      ['sizeof(struct fanotify_event_metadata)', EVENT.size],
      [at('event_info_header', 'info_type'), RECORD.infoType],
      [at('event_info_header', 'len'), RECORD.len],
      ['sizeof(struct fanotify_event_info_header)', RECORD.size],
      [at('event_info_fid', 'fsid'), FID_RECORD.fsid],
      [at('event_info_fid', 'handle'), FID_RECORD.handle],
      [at('event_info_pidfd', 'pidfd'), PIDFD_RECORD.pidfd],
      [at('event_info_error', 'error'), ERROR_RECORD.error],
      [at('event_info_error', 'error_count'), ERROR_RECORD.errorCount],
      [at('response', 'fd'), RESPONSE.fd],
      [at('response', 'response'), RESPONSE.response],
      ['sizeof(struct fanotify_response)', RESPONSE.size],
    ];
    const found = compileExpressions(
      'linux/fanotify.h',
      expected.map(([expression]) => expression),
    );
    expect(found).toEqual(expected.map(([, value]) => BigInt(value)));
  });
});

describe('the tables of since.ts', () => {
  const tables = [...INIT_FLAGS, ...MARK_FLAGS, ...EVENT_BITS, ...INFO_TYPES, ...RESPONSE_FLAGS];

  it('say the number that goes by the name', () => {
    for (const { name, value } of tables) expect([name, value]).toEqual([name, numbers.get(name)]);
  });

  it('have every flag, bit and record type', () => {
    const composed = /^FAN_(REPORT_DFID_NAME|REPORT_DFID_NAME_TARGET|MARK_IGNORE_SURV|CLOSE|MOVE)$/;
    const noFlag = /^(FANOTIFY_METADATA_VERSION|FAN_EVENT_METADATA_LEN|FAN_ERRNO_.*|FAN_RESPONSE_.*|FAN_.*FD)$/;
    const expected = [...numbers.keys()].filter(
      (name) => !composed.test(name) && (name === 'FAN_REPORT_PIDFD' || /TYPE_PIDFD$/.test(name) || !noFlag.test(name)),
    );
    expect(tables.map(({ name }) => name).sort()).toEqual(expected.sort());
  });

  it('list the bits of a mask one by one, lowest first', () => {
    const values = EVENT_BITS.map(({ value }) => value);
    for (const value of values) expect(value & (value - 1n)).toBe(0n);
    expect(values).toEqual([...new Set(values)].sort((a, b) => (a < b ? -1 : 1)));
  });
});

it('gives other numbers to O_DIRECTORY and its like on arm64', () => {
  expect(fcntl.openFlags('arm64')).toEqual({
    O_DIRECTORY: 0x4000,
    O_NOFOLLOW: 0x8000,
    O_DIRECT: 0x1_0000,
    O_LARGEFILE: 0x2_0000,
  });
});

it('makes a denial with an errno an unsigned number', () => {
  expect(constants.FAN_DENY_ERRNO(122)).toBe(0x7a00_0002);
  expect(constants.FAN_DENY_ERRNO(255)).toBe(0xff00_0002);
});

function factsFile(): string {
  return join(import.meta.dirname, '../../../../../shared/conformance/constants.json');
}

/** What the names are in a header, without those it does not have. */
function compileNumbers(header: string, names: string[]): Map<string, bigint> {
  const lines = names.map((name) => `#ifdef ${name}\nprintf("${name} %lld\\n", (long long)(${name}));\n#endif`);
  const output = runC(`#include <stdio.h>\n#include <${header}>\nint main(void) {\n${lines.join('\n')}\nreturn 0; }\n`);
  return new Map(
    output.map((line): [string, bigint] => {
      const [name = '', value = ''] = line.split(' ');
      return [name, BigInt(value)];
    }),
  );
}

function compileExpressions(header: string, expressions: string[]): bigint[] {
  const lines = expressions.map((expression) => `printf("%lld\\n", (long long)(${expression}));`);
  return runC(`#include <stdio.h>\n#include <${header}>\nint main(void) {\n${lines.join('\n')}\nreturn 0; }\n`).map(
    BigInt,
  );
}

function runC(source: string): string[] {
  const directory = mkdtempSync(join(tmpdir(), 'fanotify-abi-'));
  try {
    writeFileSync(join(directory, 'main.c'), source);
    execFileSync('cc', ['-o', join(directory, 'main'), join(directory, 'main.c')], { stdio: 'inherit' });
    return execFileSync(join(directory, 'main')).toString().trim().split('\n');
  } finally {
    rmSync(directory, { recursive: true });
  }
}

// A file system, a clamd, and a guard that has what is opened there scanned by it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DecisionRecord, type Guard, type ScanGuardOptions, type ScannerStatus, scan } from 'fanotify';
import { onTestFinished } from 'vitest';
import { Clamd, type ClamdOptions, EICAR, waitUntil } from '../../support/clamd.ts';
import { mountTmpfs, type ScratchMount } from '../../support/mounts.ts';
import { ROOTS_PLACE } from '../guarded-tree.ts';

/** Longer than any test takes. */
const PATIENCE_MS = 15_000;

export interface Scene {
  readonly mount: ScratchMount;
  readonly clamd: Clamd;
  readonly gate: Guard;
  readonly records: DecisionRecord[];
  readonly errors: string[];
  path(name: string): string;
  scanner(): Promise<ScannerStatus>;
}

/** A tmpfs with a letter, a virus and a program in it, root's alone. */
export function filesystem(under: string = ROOTS_PLACE): ScratchMount {
  const mount = mountTmpfs(64 * 1024 * 1024, under);
  onTestFinished(() => mount.unmount());
  for (const [name, content] of [
    ['letter', 'Dear Sir'],
    ['virus', EICAR],
    ['true', '#!/bin/true\n'],
    ['worm.sh', `#!/bin/true\n${EICAR}\n`],
  ] as const) {
    writeFileSync(join(mount.path, name), content);
    chmodSync(join(mount.path, name), 0o755);
  }
  return mount;
}

export async function clamdOfTest(options: ClamdOptions = {}): Promise<Clamd> {
  const clamd = await Clamd.start(options);
  onTestFinished(() => clamd.dispose());
  return clamd;
}

export async function scene(
  options: Partial<ScanGuardOptions> = {},
  clamdOptions: ClamdOptions = {},
  mount: ScratchMount = filesystem(),
): Promise<Scene> {
  const clamd = await clamdOfTest(clamdOptions);
  const gate = await scan(mount.path, {
    clamd: clamd.socket,
    deadlineMs: PATIENCE_MS,
    onTimeout: 'deny',
    onError: 'deny',
    ...options,
  });
  onTestFinished(() => gate.close());
  const records: DecisionRecord[] = [];
  const errors: string[] = [];
  gate.on('decision', (record) => records.push(record));
  gate.on('error', (error) => errors.push(error.message));
  return {
    mount,
    clamd,
    gate,
    records,
    errors,
    path: (name) => join(mount.path, name),
    scanner: async () => (await gate.status()).scanner as ScannerStatus,
  };
}

/** Runs a command; what it says where something is wrong, and '' where nothing is. */
export async function run(command: string, args: readonly string[], uid = 0): Promise<string> {
  const child = spawn(command, args, { uid, gid: uid, stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [code, signal] = await once(child, 'close');
  return code === 0 ? '' : stderr || `${code ?? signal}`;
}

export const cat = (path: string, uid?: number): Promise<string> => run('cat', [path], uid);

export const DENIED: RegExp = /Operation not permitted/;

/** Makes files look as if they had been left alone for long: what was changed a moment ago is not kept. */
export async function settle(): Promise<void> {
  const since = Date.now();
  await waitUntil(() => Date.now() - since > 40);
}

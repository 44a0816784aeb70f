// Nothing is missed by `fanotify run` that strace(1) names, of the very same processes.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { missedBy, readStrace, straceArguments } from '../../../bench/src/strace.ts';
import type { RunReport } from '../../src/index.ts';
import { canMount } from '../support/mounts.ts';
import { COMMAND } from './command.ts';

const version = Number(/version (\d+)/.exec(spawnSync('strace', ['-V'], { encoding: 'utf8' }).stdout ?? '')?.[1] ?? 0);
const has = (program: string) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;

const SCRIPT = `
set -e
mkdir -p d/e/f g
echo one > d/a; cp d/a d/b; mv d/b d/e/c; ln d/a d/hard; ln -s a d/sym; cat d/sym > d/e/f/out
mv d moved; (cd moved/e; touch ../rel; mv ../rel rel2; rm rel2; mkdir here; rmdir here)
chmod 600 moved/e/c; cp -r moved copy; rm -r moved
i=0; while [ $i -lt 200 ]; do echo $i > g/$i; i=$((i+1)); done
find copy g -type f -exec cat {} + > all
(for n in 1 2 3; do sh -c "echo $n > by-child-$n" & done; wait)
setsid sh -c '(sleep 0.2; echo late > by-daemon) &' < /dev/null > /dev/null 2>&1
tar cf copy.tar copy; mkdir out; tar xf copy.tar -C out; rm -rf copy g/1*
${has('cc') ? 'echo "#include <stdio.h>\nint main(void) { return 0; }" > p.c; cc -o p p.c; ./p' : ''}
${has('git') ? 'git init -q repo; cd repo; echo > file; git add file; git -c user.name=a -c user.email=a@b commit -qm c; cd ..' : ''}
"${process.execPath}" -e 'const fs = require("fs"); fs.mkdirSync("by-node"); fs.writeFileSync("by-node/x", ""); fs.renameSync("by-node/x", "by-node/y"); fs.unlinkSync("by-node/y")'
`;

it.skipIf(!canMount || version < 6)('tells all that strace names', { timeout: 120_000 }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'fanotify-run-'));
  try {
    const [report, trace, script] = ['report.json', 'strace', 'script.sh'].map((name) => join(directory, name));
    writeFileSync(script ?? '', SCRIPT);
    const work = mkdtempSync(join(directory, 'work-'));
    const command = ['strace', ...straceArguments(trace ?? ''), 'sh', script ?? ''];
    const args = [COMMAND, 'run', '--json', '--report', report ?? '', '--', ...command];
    const { status, stderr } = spawnSync(process.execPath, args, { cwd: work, encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const told = JSON.parse(readFileSync(report ?? '', 'utf8')) as RunReport;
    const named = readStrace(readFileSync(trace ?? '', 'latin1'));
    for (const kind of ['open', 'openExec', 'create', 'delete', 'rename'] as const) {
      expect(named.filter((one) => one.kind === kind).length, kind).toBeGreaterThan(4);
    }
    expect(named).toContainEqual({ kind: 'open', path: join(work, 'by-daemon') });
    expect(missedBy(told, named)).toEqual([]);
    expect(told.lost).toBe(0);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

// Waiting for a descriptor without ending the process in any of the ways that native handles know. Each program here runs
// in a process of its own, on the built package: how it ends is what is tested.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { AT_FDCWD, FAN_CREATE, FAN_MARK_ADD, FAN_NONBLOCK, FAN_REPORT_FID } from '../../src/abi/index.ts';
import { type Kernel, linuxKernel, type Readiness } from '../../src/kernel/index.ts';

const BUILT = join(import.meta.dirname, '../../dist/kernel/index.js');

/** What every program begins with: a group that hears `directory`, and `touch()`, which makes an event. */
const PRELUDE = `
  const { linuxKernel } = await import(${JSON.stringify(pathToFileURL(BUILT).href)});
  const { mkdtempSync, rmSync, writeFileSync } = await import('node:fs');
  const { join } = await import('node:path');
  const { tmpdir } = await import('node:os');
  const kernel = linuxKernel();
  const directory = mkdtempSync(join(process.env.SCRATCH ?? tmpdir(), 'program-'));
  const fd = kernel.fanotifyInit(0x202, 0); // FAN_NONBLOCK | FAN_REPORT_FID
  kernel.fanotifyMark(fd, 1, 0x100n, -100, directory); // FAN_MARK_ADD, FAN_CREATE
  let touched = 0;
  const touch = () => writeFileSync(join(directory, String(touched++)), '');
  const drain = () => {
    try { for (;;) kernel.read(fd, Buffer.alloc(65536)); } catch (error) { if (error.code !== 'EAGAIN') throw error; }
  };
`;
const WORKER = `const { Worker } = await import('node:worker_threads');`;

describe.skipIf(process.platform !== 'linux')('onReadable', () => {
  let scratch: string;
  beforeAll(() => {
    if (!existsSync(BUILT)) throw new Error(`${BUILT} is not there: build the package first (npm run build)`);
    scratch = mkdtempSync(join(tmpdir(), 'fanotify-readiness-'));
  });
  afterAll(() => rmSync(scratch, { recursive: true }));

  function run(program: string, ...flags: string[]) {
    const { status, signal, stdout, stderr } = spawnSync(
      process.execPath,
      [...flags, '--input-type=module', '--eval', PRELUDE + program],
      { encoding: 'utf8', timeout: 15_000, env: { ...process.env, SCRATCH: scratch, NODE_OPTIONS: '' } },
    );
    return { status, signal, stdout: stdout.trim(), stderr: stderr.trim() };
  }
  const ended = (status: number, stdout = '') => ({ status, signal: null, stdout, stderr: '' });

  describe('in this process', () => {
    let kernel: Kernel;
    let fd: number;
    let directory: string;
    let readiness: Readiness | undefined;
    beforeEach(() => {
      kernel = linuxKernel();
      directory = mkdtempSync(join(scratch, 'here-'));
      fd = kernel.fanotifyInit(FAN_NONBLOCK | FAN_REPORT_FID, 0);
      kernel.fanotifyMark(fd, FAN_MARK_ADD, FAN_CREATE, AT_FDCWD, directory);
    });
    afterEach(() => {
      readiness?.close();
      kernel.close(fd);
    });

    test('calls again for as long as something is unread', async () => {
      let calls = 0;
      const thrice = new Promise<void>((resolve) => {
        readiness = kernel.onReadable(fd, () => {
          if (++calls === 3) resolve();
        });
      });
      writeFileSync(join(directory, 'a'), '');
      await thrice;
    });

    test('is quiet while stopped, and goes on from there', async () => {
      let calls = 0;
      let called = () => {};
      readiness = kernel.onReadable(fd, () => {
        calls++;
        called();
      });
      readiness.stop();
      writeFileSync(join(directory, 'a'), '');
      // Another watcher hears its event after this one would have heard its own.
      const other = kernel.fanotifyInit(FAN_NONBLOCK | FAN_REPORT_FID, 0);
      kernel.fanotifyMark(other, FAN_MARK_ADD, FAN_CREATE, AT_FDCWD, directory);
      const heard = new Promise<void>((resolve) => {
        const watcher = kernel.onReadable(other, () => {
          watcher.close();
          resolve();
        });
      });
      writeFileSync(join(directory, 'b'), '');
      await heard;
      kernel.close(other);
      expect(calls).toBe(0);
      const resumed = new Promise<void>((resolve) => {
        called = resolve;
      });
      readiness.start();
      await resumed;
    });

    test('is quiet when closed by another listener of the same turn', async () => {
      const other = kernel.fanotifyInit(FAN_NONBLOCK | FAN_REPORT_FID, 0);
      kernel.fanotifyMark(other, FAN_MARK_ADD, FAN_CREATE, AT_FDCWD, directory);
      let calls = 0;
      await new Promise<void>((resolve) => {
        const both: Readiness[] = [fd, other].map((each) =>
          kernel.onReadable(each, () => {
            calls++;
            for (const watcher of both) watcher.close();
            resolve();
          }),
        );
        writeFileSync(join(directory, 'a'), '');
      });
      await new Promise((resolve) => setImmediate(resolve));
      kernel.close(other);
      expect(calls).toBe(1);
    });

    test('every method is safe after close, close too', () => {
      readiness = kernel.onReadable(fd, () => {});
      readiness.close();
      readiness.close();
      readiness.start();
      readiness.stop();
      readiness.ref();
      readiness.unref();
    });
  });

  test('what awaits the listener runs before the listener is called again', () => {
    const result = run(`
      let calls = 0;
      let readiness;
      const readable = new Promise((resolve) => { readiness = kernel.onReadable(fd, () => { calls++; resolve(); }); });
      setTimeout(touch, 20);
      await readable;
      await undefined;
      console.log(calls);
      readiness.close();
    `);
    expect(result).toEqual(ended(0, '1'));
  });

  test('process.nextTick runs before the listener is called again', () => {
    const result = run(`
      let calls = 0;
      const readiness = kernel.onReadable(fd, () => {
        calls++;
        process.nextTick(() => { console.log(calls); readiness.close(); });
      });
      touch();
    `);
    expect(result).toEqual(ended(0, '1'));
  });

  test('keeps the process alive, and unref lets it end with events unread', () => {
    expect(run(`kernel.onReadable(fd, () => {}).unref(); touch();`)).toEqual(ended(0));
    const alive = run(`
      const readiness = kernel.onReadable(fd, () => { console.log('heard'); readiness.close(); });
      readiness.unref();
      readiness.ref();
      setTimeout(touch, 20).unref();
    `);
    expect(alive).toEqual(ended(0, 'heard'));
  });

  test('process.exit ends at once with its code, events unread', () => {
    expect(run(`kernel.onReadable(fd, () => {}); touch(); process.exit(3);`)).toEqual(ended(3));
    expect(run(`kernel.onReadable(fd, () => process.exit(4)); touch();`)).toEqual(ended(4));
  });

  test('an exit handler may still use what it watched with', () => {
    const result = run(`
      const readiness = kernel.onReadable(fd, () => {});
      readiness.unref();
      touch();
      process.on('exit', () => {
        readiness.stop(); readiness.start(); readiness.ref(); readiness.unref(); readiness.close();
        drain();
        kernel.close(fd);
        console.log('ok');
      });
    `);
    expect(result).toEqual(ended(0, 'ok'));
  });

  test('an uncaught throw ends the process, events unread', () => {
    const elsewhere = run(
      `kernel.onReadable(fd, () => {}); touch(); setTimeout(() => { throw new Error('elsewhere'); });`,
    );
    expect(elsewhere).toMatchObject({ status: 1, signal: null, stderr: expect.stringContaining('elsewhere') });
    const listener = run(`kernel.onReadable(fd, () => { throw new Error('listener'); }); touch();`);
    expect(listener).toMatchObject({ status: 1, signal: null, stderr: expect.stringContaining('Error: listener') });
  });

  test('a throw in the listener can be caught as any other, and it is called again', () => {
    const result = run(`
      const seen = [];
      const readiness = kernel.onReadable(fd, () => { throw new Error('thrown ' + seen.length); });
      process.on('uncaughtException', (error) => {
        seen.push(error.message);
        if (seen.length === 3) { readiness.close(); console.log(seen.join(', ')); }
      });
      touch();
    `);
    expect(result).toEqual(ended(0, 'thrown 0, thrown 1, thrown 2'));
  });

  test('is not collected as garbage while it waits', () => {
    const result = run(
      `
      (() => kernel.onReadable(fd, () => { console.log('heard'); process.exit(); }))();
      for (let i = 0; i < 10; i++) { gc(); await new Promise((resolve) => setTimeout(resolve, 2)); }
      touch();
      `,
      '--expose-gc',
    );
    expect(result).toEqual(ended(0, 'heard'));
  });

  test('a thousand watchers, one after the other, on the same descriptor', () => {
    const result = run(`
      for (let i = 0; i < 1000; i++) {
        touch();
        await new Promise((resolve) => {
          const readiness = kernel.onReadable(fd, () => { readiness.close(); drain(); resolve(); });
        });
      }
      console.log('ok');
    `);
    expect(result).toEqual(ended(0, 'ok'));
  });

  describe('in a worker thread', () => {
    test('hears events, and lets the worker end when closed', () => {
      const result = run(`${WORKER}
        const worker = new Worker(${JSON.stringify(`(async () => { ${PRELUDE}
          const readiness = kernel.onReadable(fd, () => { drain(); console.log('heard'); readiness.close(); });
          touch();
        })();`)}, { eval: true });
        worker.on('exit', (code) => console.log('ended', code));
      `);
      expect(result).toEqual(ended(0, 'heard\nended 0'));
    });

    test('stops, starts and lets the worker end when unreferenced', () => {
      const result = run(`${WORKER}
        const worker = new Worker(${JSON.stringify(`(async () => { ${PRELUDE}
          let calls = 0;
          const readiness = kernel.onReadable(fd, () => { calls++; });
          readiness.stop();
          touch();
          await new Promise((resolve) => setTimeout(resolve, 60));
          console.log(calls);
          await new Promise((resolve) => { const other = setInterval(() => { if (calls > 1) { clearInterval(other); resolve(); } }, 1); readiness.start(); });
          console.log('started');
          readiness.unref();
        })();`)}, { eval: true });
        worker.on('exit', (code) => console.log('ended', code));
      `);
      expect(result).toEqual(ended(0, '0\nstarted\nended 0'));
    });

    test('terminate() twenty times while events come leaves the process whole', () => {
      const result = run(`${WORKER}
        const code = ${JSON.stringify(`(async () => { ${PRELUDE}
          const { parentPort } = await import('node:worker_threads');
          kernel.onReadable(fd, () => { drain(); parentPort.postMessage('heard'); touch(); });
          touch();
        })();`)};
        let terminated = 0;
        for (let i = 0; i < 20; i++) {
          const worker = new Worker(code, { eval: true });
          await new Promise((resolve, reject) => { worker.once('message', resolve); worker.once('error', reject); });
          terminated += await worker.terminate();
        }
        console.log(terminated);
      `);
      expect(result).toEqual(ended(0, '20'));
    });

    test('process.exit of the main thread while a worker waits', () => {
      const result = run(`${WORKER}
        const worker = new Worker(${JSON.stringify(`(async () => { ${PRELUDE}
          const { parentPort } = await import('node:worker_threads');
          kernel.onReadable(fd, () => { parentPort.postMessage('heard'); });
          touch();
        })();`)}, { eval: true });
        worker.once('message', () => process.exit(5));
      `);
      expect(result).toEqual(ended(5));
    });
  });
});

describe('where there is no kernel to ask', () => {
  const attempt = (sabotage: string) =>
    spawnSync(
      process.execPath,
      [
        '--input-type=module',
        '--eval',
        `${sabotage}
        const { linuxKernel, KernelUnavailableError, KernelError } = await import(${JSON.stringify(pathToFileURL(BUILT).href)});
        console.log('imported');
        try { linuxKernel(); } catch (error) {
          console.log(error instanceof KernelUnavailableError, error.name, error.code, error.message);
        }`,
      ],
      { encoding: 'utf8', timeout: 15_000 },
    ).stdout.split('\n');

  test('the import works and the use says why it does not', () => {
    const [imported, failed] = attempt(`Object.defineProperty(process, 'platform', { value: 'darwin' });`);
    expect(imported).toBe('imported');
    expect(failed).toBe(
      'true KernelUnavailableError KERNEL_UNAVAILABLE fanotify is a Linux interface; this is darwin.',
    );
  });

  test.skipIf(process.platform !== 'linux')('an architecture that is not supported is named', () => {
    const [imported, failed] = attempt(`Object.defineProperty(process, 'arch', { value: 'ia32' });`);
    expect(imported).toBe('imported');
    expect(failed).toMatch(/^true KernelUnavailableError KERNEL_UNAVAILABLE ia32 is not supported/);
  });

  test.skipIf(process.platform !== 'linux')('koffi that does not load is named, with what it said', () => {
    const [imported, failed] = attempt(`
      const { default: Module } = await import('node:module');
      const load = Module._load;
      Module._load = (id, ...rest) => { if (id === 'koffi') throw new Error('no binary'); return load(id, ...rest); };
    `);
    expect(imported).toBe('imported');
    expect(failed).toMatch(/^true KernelUnavailableError KERNEL_UNAVAILABLE .*koffi.*no binary$/);
  });
});

// What takes the place of node:fs/promises there: the same calls, done a turn of the event loop later.

import { setImmediate as nextTurn } from 'node:timers/promises';
import * as entries from './fs-entries.ts';
import * as files from './fs-files.ts';
import * as status from './fs-status.ts';
import type { PathLike } from './node-error.ts';

function later<Arguments extends readonly unknown[], Result>(call: (...given: Arguments) => Result) {
  return async (...given: Arguments): Promise<Result> => {
    await nextTurn();
    return call(...given);
  };
}

export const access = later(status.accessSync);
export const appendFile = later(files.appendFileSync);
export const chmod = later(entries.chmodSync);
export const copyFile = later(files.copyFileSync);
export const link = later(entries.linkSync);
export const lstat = later(status.lstatSync);
export const mkdir = later(entries.mkdirSync);
export const mkdtemp = later(entries.mkdtempSync);
export const readFile = later(files.readFileSync);
export const readdir = later(entries.readdirSync);
export const readlink = later(status.readlinkSync);
export const realpath = later(status.realpathSync);
export const rename = later(entries.renameSync);
export const rm = later(entries.rmSync);
export const rmdir = later(entries.rmdirSync);
export const stat = later(status.statSync);
export const symlink = later(entries.symlinkSync);
export const truncate = later(files.truncateSync);
export const unlink = later(entries.unlinkSync);
export const utimes = later(entries.utimesSync);
export const writeFile = later(files.writeFileSync);

class FileHandle {
  readonly fd: number;

  constructor(fd: number) {
    this.fd = fd;
  }

  async read(options: { readonly buffer: Buffer; readonly position?: number }) {
    await nextTurn();
    return { buffer: options.buffer, bytesRead: files.readSync(this.fd, options.buffer, options) };
  }

  async write(data: files.Data) {
    await nextTurn();
    return { buffer: data, bytesWritten: files.writeSync(this.fd, data) };
  }

  async stat(options?: Parameters<typeof status.fstatSync>[1]) {
    await nextTurn();
    return status.fstatSync(this.fd, options);
  }

  async readFile(options?: files.EncodingOption) {
    await nextTurn();
    return files.readFileSync(this.fd, options);
  }

  async writeFile(data: files.Data) {
    await nextTurn();
    files.writeFileSync(this.fd, data);
  }

  async close(): Promise<void> {
    await nextTurn();
    files.closeSync(this.fd);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

export async function open(path: PathLike, flags?: string | number, mode?: number): Promise<FileHandle> {
  await nextTurn();
  return new FileHandle(files.openSync(path, flags, mode));
}

// Files, directories, groups and proc at the seam.

import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  FAN_CREATE,
  FAN_MARK_ADD,
  FAN_NONBLOCK,
  FAN_REPORT_FID,
  O_CREAT,
  O_DIRECTORY,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
} from '../../src/abi/index.ts';
import {
  AT_EACCESS,
  bytes,
  F,
  POLLIN,
  POLLOUT,
  POLLPRI,
  polled,
  type Scripts,
  testAlike,
  tried,
} from './seam-alike.ts';

const [RDLCK, WRLCK, UNLCK] = [0, 1, 2];
/** Text of proc with its numbers left out. */
const shape = (bytes: Buffer): string => bytes.toString().replace(/\d+/g, 'N');

const SCRIPTS: Scripts = {
  'the mount table says once that nothing has changed'({ kernel }) {
    const fd = kernel.openAt(AT_FDCWD, '/proc/self/mountinfo', O_RDONLY);
    return [polled(kernel, fd, POLLPRI), kernel.read(fd, Buffer.alloc(16))];
  },

  '/dev/null takes what is written, and has nothing to read'({ kernel }) {
    const fd = kernel.openAt(AT_FDCWD, '/dev/null', O_RDWR);
    return [
      kernel.write(fd, Buffer.from('text')),
      kernel.read(fd, Buffer.alloc(16)),
      polled(kernel, fd, POLLIN | POLLOUT),
    ];
  },

  'fcntl changes what it changes, and duplicates'({ kernel, directory }) {
    const fd = kernel.openAt(AT_FDCWD, join(directory, 'file'), O_RDWR);
    const before = kernel.fcntl(fd, F.GETFL, 0);
    kernel.fcntl(fd, F.SETFL, O_NONBLOCK | O_CREAT);
    const copy = kernel.fcntl(fd, F.DUPFD_CLOEXEC, 100);
    return [
      before & 3,
      (kernel.fcntl(fd, F.GETFL, 0) & (O_NONBLOCK | O_CREAT)).toString(8),
      copy,
      [fd, copy].map((each) => kernel.fcntl(each, F.GETFD, 0)),
      tried(() => kernel.fcntl(9999, F.GETFL, 0)),
      tried(() => kernel.fcntl(fd, F.DUPFD, -1)),
      tried(() => kernel.fcntl(fd, 4095, 0)),
    ];
  },

  'a read lease is to be had while nobody may write'({ kernel, directory }) {
    const path = join(directory, 'file');
    const reader = kernel.openAt(AT_FDCWD, path, O_RDONLY);
    const writer = kernel.openAt(AT_FDCWD, path, O_WRONLY);
    const told = [tried(() => kernel.fcntl(reader, F.SETLEASE, RDLCK))];
    kernel.close(writer);
    told.push(
      tried(() => kernel.fcntl(reader, F.SETLEASE, RDLCK)),
      kernel.fcntl(reader, F.GETLEASE, 0),
    );
    told.push(tried(() => kernel.openAt(AT_FDCWD, path, O_WRONLY | O_NONBLOCK)));
    told.push(
      kernel.fcntl(reader, F.GETLEASE, 0),
      tried(() => kernel.fcntl(reader, F.SETLEASE, UNLCK)),
    );
    told.push(
      tried(() => kernel.fcntl(reader, F.SETLEASE, WRLCK)),
      tried(() => kernel.fcntl(reader, F.SETLEASE, 7)),
    );
    return told;
  },

  'paths lead where they may'({ kernel, directory }) {
    const fd = kernel.openAt(AT_FDCWD, directory, O_PATH | O_DIRECTORY);
    const opened = (path: string, resolve: number) =>
      tried(() => {
        kernel.close(kernel.openAt2(fd, path, O_RDONLY, resolve));
        return 'opened';
      });
    return [
      opened('file', RESOLVE_BENEATH),
      opened('../etc', RESOLVE_BENEATH),
      opened('link', RESOLVE_BENEATH),
      opened('link', RESOLVE_NO_SYMLINKS),
      opened('/tmp', RESOLVE_BENEATH),
      tried(() => kernel.openAt2(fd, 'file', O_RDONLY, 0x4000_0000)),
      tried(() => kernel.openAt(fd, 'no\0name', O_RDONLY)),
      tried(() => kernel.openAt(fd, 'file/below', O_RDONLY)),
      tried(() => kernel.openAt(fd, 'x'.repeat(256), O_RDONLY)),
      tried(() => kernel.openAt(fd, '', O_RDONLY)),
      kernel.readlink(join(directory, 'link')).toString(),
      tried(() => kernel.readlink(join(directory, 'file'))),
    ];
  },

  'what is told of files'({ kernel, directory }) {
    const fd = kernel.openAt(AT_FDCWD, join(directory, 'file'), O_PATH);
    const { mode, nlink, sizeBytes, uid } = kernel.statAt(fd, '', AT_EMPTY_PATH);
    const link = kernel.statAt(AT_FDCWD, join(directory, 'link'), AT_SYMLINK_NOFOLLOW);
    return [
      [mode.toString(8), nlink, sizeBytes, uid === kernel.statAt(AT_FDCWD, directory, 0).uid],
      [link.mode.toString(8), link.sizeBytes],
      tried(() => kernel.statAt(fd, '', 0)),
      tried(() => kernel.accessAt(AT_FDCWD, join(directory, 'file'), 4, AT_EACCESS)),
      tried(() => kernel.accessAt(AT_FDCWD, join(directory, 'file'), 1, AT_EACCESS)),
      tried(() => kernel.accessAt(AT_FDCWD, join(directory, 'nothing'), 0, 0)),
      tried(() => kernel.statfs(9999)),
      tried(() => kernel.nameToHandleAt(fd, '', 0)),
    ];
  },

  'names are bytes, and what is in a directory has its type'({ kernel, directory }) {
    const name = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0xff, 0x0a, 0x7e])]);
    kernel.close(kernel.openAt(AT_FDCWD, name, O_CREAT | O_WRONLY, 0o600));
    const entries = kernel.readDirectory(directory).map(({ name: entry, type }) => `${entry.toString('hex')} ${type}`);
    const fd = kernel.openAt(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
    return [
      entries.sort(),
      kernel.readEntries(fd, 'directories'),
      kernel.readEntries(fd),
      tried(() => kernel.readDirectory(join(directory, 'file'))),
      tried(() => kernel.readFile(directory)),
      kernel.readFile(join(directory, 'file')).toString(),
    ];
  },

  'reads go on where the last one ended, and from anywhere'({ kernel, directory }) {
    const fd = kernel.openAt(AT_FDCWD, join(directory, 'file'), O_RDONLY);
    const buffer = Buffer.alloc(2);
    const [one] = kernel.socketPair();
    return [
      kernel.read(fd, buffer),
      kernel.readAt(fd, buffer, 3),
      buffer.toString(),
      kernel.read(fd, buffer),
      kernel.read(fd, buffer),
      tried(() => kernel.write(fd, buffer)),
      tried(() => kernel.readAt(one, buffer, 0)),
      tried(() => kernel.waitingBytes(one)),
      tried(() => kernel.read(9999, buffer)),
      tried(() => kernel.close(9999)),
    ];
  },

  'a group has what waits, and takes what fits'({ kernel, directory }) {
    const group = kernel.fanotifyInit(FAN_REPORT_FID | FAN_NONBLOCK, 0);
    kernel.fanotifyMark(group, FAN_MARK_ADD, FAN_CREATE, AT_FDCWD, directory);
    kernel.close(kernel.openAt(AT_FDCWD, join(directory, 'new'), O_CREAT | O_WRONLY, 0o600));
    return [
      kernel.waitingBytes(group),
      tried(() => kernel.read(group, Buffer.alloc(8))),
      kernel.waitingBytes(group),
      tried(() => kernel.fanotifyMark(group, FAN_MARK_ADD, FAN_CREATE, AT_FDCWD, null)),
      tried(() => kernel.fanotifyMark(group, FAN_MARK_ADD, FAN_CREATE, AT_FDCWD, join(directory, 'nothing'))),
      tried(() => kernel.fanotifyMark(group, FAN_MARK_ADD, 1n << 63n, AT_FDCWD, directory)),
      tried(() => kernel.fanotifyMark(9999, FAN_MARK_ADD, FAN_CREATE, AT_FDCWD, directory)),
      tried(() => kernel.write(group, Buffer.alloc(8))),
    ];
  },

  'what is open is told in proc'({ kernel, directory }) {
    const [socket] = kernel.socketPair();
    const [file, event, epoll, pidfd, group] = [
      kernel.openAt(AT_FDCWD, join(directory, 'file'), O_RDONLY),
      kernel.eventFd(),
      kernel.epollCreate(),
      kernel.pidfdOpen(kernel.pid),
      kernel.fanotifyInit(FAN_REPORT_FID | FAN_NONBLOCK, 0),
    ];
    const link = (fd: number) => shape(kernel.readlink(`/proc/self/fd/${fd}`)).replace(shape(bytes(directory)), '');
    const keys = (fd: number) =>
      kernel
        .readFile(`/proc/self/fdinfo/${fd}`)
        .toString()
        .split('\n')
        .map((line) => line.split(/[:\s]/, 1)[0]);
    return [
      [socket, file, event, epoll, pidfd, group].map(link),
      [socket, file, epoll, pidfd, group].map(keys),
      tried(() => kernel.readlink('/proc/self/fd/9999')),
      tried(() => kernel.readFile('/proc/self/fdinfo/9999')),
      ['mnt', 'pid', 'user'].map((kind) => shape(kernel.readlink(`/proc/self/ns/${kind}`))),
      kernel.readlink('/proc/self').toString() === String(kernel.pid),
    ];
  },
};

// What a writer sends to whoever has a lease.
const ignore = () => undefined;
beforeAll(() => void process.on('SIGIO', ignore));
afterAll(() => void process.off('SIGIO', ignore));

testAlike(SCRIPTS);

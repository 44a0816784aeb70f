// What processes wait for, are, and do to each other and to the machine, at the seam.

import { join } from 'node:path';
import { AT_FDCWD, FAN_NONBLOCK, FAN_REPORT_FID, O_CREAT, O_RDONLY, O_WRONLY } from '../../src/abi/index.ts';
import { AT_EACCESS, bytes, POLLIN, POLLOUT, POLLPRI, polled, type Scripts, testAlike, tried } from './seam-alike.ts';

const SCRIPTS: Scripts = {
  'an eventfd counts what is written to it'({ kernel }) {
    const fd = kernel.eventFd();
    const buffer = Buffer.alloc(8);
    const told: unknown[] = [tried(() => kernel.read(fd, buffer)), polled(kernel, fd, POLLIN | POLLOUT)];
    for (const add of [3n, 4n]) kernel.write(fd, Buffer.from(new BigUint64Array([add]).buffer));
    told.push(polled(kernel, fd, POLLIN | POLLOUT), kernel.read(fd, buffer), buffer.readBigUInt64LE(0));
    told.push(
      tried(() => kernel.write(fd, Buffer.alloc(4))),
      tried(() => kernel.read(fd, Buffer.alloc(4))),
    );
    told.push(tried(() => kernel.write(fd, Buffer.alloc(8, 0xff))));
    kernel.write(fd, Buffer.from(new BigUint64Array([0xffff_ffff_ffff_fffen]).buffer));
    told.push(polled(kernel, fd, POLLIN | POLLOUT));
    told.push(tried(() => kernel.write(fd, Buffer.from(new BigUint64Array([1n]).buffer))));
    return told;
  },

  'an epoll tells of what it was told of'({ kernel, directory }) {
    const epoll = kernel.epollCreate();
    const [one, other] = kernel.socketPair();
    const ready = (most = 8) => {
      const all: [boolean, number][] = [];
      kernel.epollReady(epoll, most, (fd, revents) => all.push([fd === one, revents]));
      return all;
    };
    const file = kernel.openAt(AT_FDCWD, join(directory, 'file'), O_RDONLY);
    const told: unknown[] = [
      tried(() => kernel.epollControl(epoll, file, POLLIN, false)),
      tried(() => kernel.epollControl(epoll, epoll, POLLIN, false)),
      tried(() => kernel.epollControl(epoll, one, POLLIN, true)),
      tried(() => kernel.epollControl(epoll, one, undefined, true)),
      tried(() => kernel.epollControl(epoll, 9999, POLLIN, false)),
      tried(() => kernel.epollControl(one, other, POLLIN, false)),
    ];
    kernel.epollControl(epoll, one, POLLIN, false);
    told.push(tried(() => kernel.epollControl(epoll, one, POLLIN, false)));
    told.push(ready(), polled(kernel, epoll, POLLIN));
    kernel.sendMessage(other, bytes('x'));
    told.push(ready(), ready(), polled(kernel, epoll, POLLIN));
    kernel.epollControl(epoll, one, POLLOUT, true);
    kernel.epollControl(epoll, other, 0, false);
    told.push(ready());
    kernel.close(one);
    told.push(ready());
    return told;
  },

  'poll says what is the case, also of what is not open'({ kernel, directory }) {
    const file = kernel.openAt(AT_FDCWD, join(directory, 'file'), O_RDONLY);
    const group = kernel.fanotifyInit(FAN_REPORT_FID | FAN_NONBLOCK, 0);
    const [one] = kernel.socketPair();
    const entries = [file, -1, 9999, group, one].map((fd) => ({ fd, events: POLLIN | POLLOUT, revents: 7 }));
    return [kernel.poll(entries, 0), entries.map(({ revents }) => revents), kernel.poll([], 10)];
  },

  'a pidfd is of a process, and leads to what it has open'({ kernel, directory }) {
    const pidfd = kernel.pidfdOpen(kernel.pid);
    const file = kernel.openAt(AT_FDCWD, join(directory, 'file'), O_RDONLY);
    const copy = kernel.pidfdGetfd(pidfd, file);
    return [
      polled(kernel, pidfd, POLLIN),
      kernel.read(copy, Buffer.alloc(16)),
      kernel.read(file, Buffer.alloc(16)),
      tried(() => kernel.pidfdSendSignal(pidfd, 0)),
      tried(() => kernel.pidfdSendSignal(file, 0)),
      tried(() => kernel.pidfdGetfd(pidfd, 9999)),
      tried(() => kernel.pidfdOpen(0)),
      tried(() => kernel.pidfdOpen(4_194_303)),
      tried(() => kernel.read(pidfd, Buffer.alloc(16))),
    ];
  },

  'there are no terminals and no children'({ kernel, directory }) {
    const fd = kernel.openAt(AT_FDCWD, join(directory, 'file'), O_RDONLY);
    return [
      tried(() => kernel.terminalGroup(fd)),
      tried(() => kernel.setTerminalGroup(fd, 1)),
      tried(() => kernel.waitChild(kernel.pid, 4)),
      tried(() => kernel.scheduleInRealTime(1000)),
      tried(() => kernel.setNamespace(fd, 0)),
    ];
  },
};

testAlike(SCRIPTS);

/** For whom it takes root, in a mount namespace that is ours alone. */
const ROOT_SCRIPTS: Scripts = {
  'as another user, what that one may, and as itself again'({ kernel, directory }) {
    const path = join(directory, 'secret');
    kernel.close(kernel.openAt(AT_FDCWD, path, O_CREAT | O_WRONLY, 0o600));
    const open = () =>
      tried(() => {
        kernel.close(kernel.openAt(AT_FDCWD, path, O_RDONLY));
        return 'opened';
      });
    const told: unknown[] = [open()];
    for (const uid of [12345, 0]) {
      kernel.actAs({ uid, gid: uid, groups: [] });
      told.push(
        open(),
        tried(() => kernel.accessAt(AT_FDCWD, path, 4, AT_EACCESS)),
      );
      told.push(tried(() => kernel.mount('x', directory, 'tmpfs', 0)));
      // Groups are limited by what the process is.
      told.push(tried(() => kernel.openByHandleAt(AT_FDCWD, kernel.nameToHandleAt(AT_FDCWD, path, 0).handle, 0)));
      kernel.actAs(null);
    }
    told.push(
      open(),
      tried(() => kernel.openByHandleAt(AT_FDCWD, kernel.nameToHandleAt(AT_FDCWD, path, 0).handle, 0)),
    );
    return told.map((each) => (typeof each === 'number' ? 'a descriptor' : each));
  },

  'what is mounted is seen, told once, and is another file system'({ kernel, directory }) {
    const mounts = kernel.openAt(AT_FDCWD, '/proc/self/mountinfo', O_RDONLY);
    const before = kernel.statAt(AT_FDCWD, directory, 0).dev;
    const told: unknown[] = [polled(kernel, mounts, POLLPRI)];
    kernel.mount('scratch', directory, 'tmpfs', 0);
    told.push(polled(kernel, mounts, POLLPRI), polled(kernel, mounts, POLLPRI));
    told.push(kernel.statAt(AT_FDCWD, directory, 0).dev === before, kernel.readDirectory(directory));
    const line = kernel
      .readFile('/proc/self/mountinfo')
      .toString()
      .split('\n')
      .find((each) => each.includes(` ${directory} `));
    told.push(line?.replace(/^.* - /, '').replace(/ rw.*$/, ''));
    told.push(
      tried(() => kernel.mount('x', directory, 'no such type', 0)),
      kernel.statfs(directory).type,
    );
    told.push(tried(() => kernel.mount('x', join(directory, 'nothing'), 'tmpfs', 0)));
    return told;
  },

  'namespaces are entered and left'({ kernel }) {
    const own = kernel.openAt(AT_FDCWD, '/proc/self/ns/pid', O_RDONLY);
    const CLONE_NEWPID = 0x2000_0000;
    const told = [tried(() => kernel.unshare(CLONE_NEWPID)), tried(() => kernel.setNamespace(own, CLONE_NEWPID))];
    told.push(
      tried(() => kernel.setNamespace(own, 0x2_0000)),
      tried(() => kernel.unshare(1)),
    );
    return told;
  },
};

testAlike(ROOT_SCRIPTS, true);

// What the types of the proposal's three forms refuse: never run, only compiled.

import { FAN_OPEN } from '../src/abi/index.ts';
import * as device from '../src/proposal/device.ts';
import * as socket from '../src/proposal/socket.ts';
import * as syscalls from '../src/proposal/syscalls.ts';

const group: number = syscalls.fanotify_init(0, 0, FAN_OPEN, 0);
syscalls.fanotify_add_mark(group, new Uint8Array(), FAN_OPEN, 0n);
syscalls.fanotify_ignore_fsid(group, [1, 2]);
syscalls.fanotify_mark_path(group, syscalls.FAN_MARK_SUBTREE, '/', FAN_OPEN, 0n);
// @ts-expect-error A mask has 64 bits.
syscalls.fanotify_init(0, 0, 32, 0);
// @ts-expect-error The proposal's call has both masks.
syscalls.fanotify_add_mark(group, '/', FAN_OPEN);
// @ts-expect-error A cookie has 64 bits.
syscalls.fanotify_perm_response(group, 1, 1);
// @ts-expect-error An fsid is a pair.
syscalls.fanotify_ignore_fsid(group, [1]);

const { SOL_FANOTIFY: LEVEL } = socket;
socket.bind(socket.socket(socket.PF_FANOTIFY, socket.SOCK_RAW, 0), { family: 37, mask: 0n, priority: 0, f_flags: 0 });
socket.setsockopt(group, LEVEL, socket.FANOTIFY_ADD_MARK, { path: '/', mask: FAN_OPEN, ignored_mask: 0n, flags: 0 });
socket.setsockopt(group, LEVEL, socket.FANOTIFY_RM_MARK, { path: '/', mask: FAN_OPEN });
socket.setsockopt(group, LEVEL, socket.FANOTIFY_CLEAR_MARKS, {});
const marks: number = socket.getsockopt(group, LEVEL, socket.FANOTIFY_STATISTICS).marks;
const names: string[] = socket.getsockopt(group, LEVEL, socket.FANOTIFY_OPTIONS).map(({ name }) => name);
// @ts-expect-error Without a priority.
socket.bind(group, { family: socket.AF_FANOTIFY, mask: 0n, f_flags: 0 });
// @ts-expect-error Another level.
socket.setsockopt(group, 1, socket.FANOTIFY_CLEAR_MARKS, {});
// @ts-expect-error No such option.
socket.setsockopt(group, LEVEL, 99, {});
// @ts-expect-error The value of another option.
socket.setsockopt(group, LEVEL, socket.FANOTIFY_TIMEOUT, { path: '/', mask: FAN_OPEN, ignored_mask: 0n });
// @ts-expect-error A misspelt word.
socket.setsockopt(group, LEVEL, socket.FANOTIFY_IGNORE_SB, { ftype: 0x9fa0 });
// @ts-expect-error It takes no words.
socket.setsockopt(group, LEVEL, socket.FANOTIFY_CLEAR_MARKS, { all: true });
// @ts-expect-error It is only to be asked for.
socket.setsockopt(group, LEVEL, socket.FANOTIFY_STATISTICS, {});
// @ts-expect-error It is only to be set.
socket.getsockopt(group, LEVEL, socket.FANOTIFY_TIMEOUT);

device.ioctl(group, device.FANOTIFY_IOC_INIT, { mask: 0n, priority: marks, f_flags: names.length });
device.ioctl(group, device.FANOTIFY_IOC_ADD_MARK, { path: '/', mask: FAN_OPEN, ignored_mask: 0n });
// @ts-expect-error A word that came later.
device.ioctl(group, device.FANOTIFY_IOC_ADD_MARK, { path: '/', mask: FAN_OPEN, ignored_mask: 0n, flags: 0 });
// @ts-expect-error No such request.
device.ioctl(group, socket.FANOTIFY_TIMEOUT, { ms: 1, response: 1 });

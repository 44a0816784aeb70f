// Writes what a kernel answers to some 36,000 combinations of flags, masks, objects and responses, one a line: run on an
// old kernel, and with a version as limitKernel() on a new one, the two are compared with diff(1). As root, on the built
// package, in a directory on a tmpfs of its own (permission marks are placed there, and nowhere else):
//
//   unshare --mount --propagation private sh -c
//     'mkdir -p /tmp/answers && mount -t tmpfs tmpfs /tmp/answers && node answers.mjs /tmp/answers [VERSION]'

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as abi from 'fanotify/abi';
import { limitKernel, linuxKernel, probe } from 'fanotify/kernel';

const TMPFS_MAGIC = 0x0102_1994;
const [directory = '', version] = process.argv.slice(2);
const running = linuxKernel();
if (directory === '' || running.statfs(directory).type !== TMPFS_MAGIC) {
  throw new Error('usage: node answers.mjs DIRECTORY-ON-A-TMPFS [VERSION]');
}
const kernel = version === undefined ? running : limitKernel(running, version);
mkdirSync(join(directory, 'dir'), { recursive: true });
writeFileSync(join(directory, 'file'), '');

const CLASSES = {
  fd: 0,
  fid: abi.FAN_REPORT_FID,
  name: abi.FAN_REPORT_DFID_NAME,
  target: abi.FAN_REPORT_DFID_NAME_TARGET,
  content: abi.FAN_CLASS_CONTENT,
  preContent: abi.FAN_CLASS_PRE_CONTENT,
  mnt: abi.FAN_REPORT_MNT,
};
const OBJECTS = {
  dir: join(directory, 'dir'),
  file: join(directory, 'file'),
  missing: join(directory, 'missing'),
  proc: '/proc/sys',
  nsfs: '/proc/self/ns/mnt',
  sysfs: '/sys/kernel',
  device: '/dev/null',
};
const OWN_OBJECTS = ['dir', 'file', 'missing'];
const MARK_TYPES = { inode: 0, mount: abi.FAN_MARK_MOUNT, fs: abi.FAN_MARK_FILESYSTEM, mntns: abi.FAN_MARK_MNTNS };
const MARK_FLAGS = {
  none: 0,
  ignored: abi.FAN_MARK_IGNORED_MASK,
  ignore: abi.FAN_MARK_IGNORE,
  ignoreSurvive: abi.FAN_MARK_IGNORE_SURV,
  evictable: abi.FAN_MARK_EVICTABLE,
  onlyDir: abi.FAN_MARK_ONLYDIR,
};
const PERMISSION = abi.FAN_OPEN_PERM | abi.FAN_ACCESS_PERM | abi.FAN_OPEN_EXEC_PERM | abi.FAN_PRE_ACCESS;
const MASKS = {
  ...Object.fromEntries(abi.EVENT_BITS.map(({ name, value }) => [name, value])),
  none: 0n,
  bit29: 1n << 29n,
  bit40: 1n << 40n,
  directoryOpen: abi.FAN_ONDIR | abi.FAN_OPEN,
  childCreate: abi.FAN_CREATE | abi.FAN_EVENT_ON_CHILD,
  directoryRename: abi.FAN_RENAME | abi.FAN_ONDIR,
};
const RULE = { ruleNumber: 1, subjectTrust: 2, objectTrust: 2 };
const RESPONSE_OPTIONS = [{}, { audit: true }, { errno: 5 }, { errno: 13 }, { auditRule: RULE }];
const HANDLE_FLAGS = [0, 0x1, 0x2, 0x4, 0x100, 0x200, 0x201, 0x202, 0x400, 0x1000, 0x1200, 0x2000];

const lines = [];
function tell(what, operation) {
  let answer = 'ok';
  try {
    operation();
  } catch (error) {
    answer = error.code ?? String(error);
  }
  lines.push(`${what}: ${answer}`);
}
function groupOrNone(flags) {
  try {
    return kernel.fanotifyInit(flags | abi.FAN_CLOEXEC | abi.FAN_NONBLOCK, 0);
  } catch {
    return -1;
  }
}

for (const first of abi.INIT_FLAGS) {
  for (const second of abi.INIT_FLAGS) {
    for (const report of ['fd', 'name', 'target']) {
      const flags = first.value | second.value | CLASSES[report];
      tell(`init ${first.name} ${second.name} ${report}`, () => kernel.close(kernel.fanotifyInit(flags, 0)));
    }
  }
}
for (const [className, classFlags] of Object.entries(CLASSES)) {
  for (const [objectName, object] of Object.entries(OBJECTS)) {
    for (const [typeName, type] of Object.entries(MARK_TYPES)) {
      for (const [flagName, flag] of Object.entries(MARK_FLAGS)) {
        for (const [maskName, mask] of Object.entries(MASKS)) {
          if (mask & PERMISSION && !OWN_OBJECTS.includes(objectName)) continue;
          const group = groupOrNone(classFlags);
          tell(`mark ${className} ${objectName} ${typeName} ${flagName} ${maskName}`, () =>
            kernel.fanotifyMark(group, abi.FAN_MARK_ADD | type | flag, mask, abi.AT_FDCWD, object),
          );
          if (group !== -1) kernel.close(group);
        }
      }
    }
  }
  for (const audit of [0, abi.FAN_ENABLE_AUDIT]) {
    const group = groupOrNone(classFlags | audit);
    if (group === -1) continue;
    for (const fd of [0x7fff_ffff, -1, -2]) {
      for (const verdict of [0, 1, 2, 3, 4]) {
        for (const options of RESPONSE_OPTIONS) {
          const bytes = abi.encodeResponse(fd, verdict, options);
          const what = `response ${className} ${audit} ${fd} ${verdict} ${JSON.stringify(options)}`;
          tell(`${what} whole`, () => kernel.write(group, bytes));
          tell(`${what} short`, () => kernel.write(group, bytes.subarray(0, 7)));
          tell(`${what} long`, () => kernel.write(group, Buffer.concat([bytes, Buffer.alloc(5)])));
        }
      }
    }
    kernel.close(group);
  }
}
for (const [objectName, object] of Object.entries(OBJECTS)) {
  for (const flags of HANDLE_FLAGS) {
    tell(`handle ${objectName} ${flags.toString(16)}`, () => kernel.nameToHandleAt(abi.AT_FDCWD, object, flags));
  }
}
lines.push(`probe: ${JSON.stringify({ ...probe(kernel), kernel: undefined })}`);
writeFileSync(1, `${lines.join('\n')}\n`);

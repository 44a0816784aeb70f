// What the types of Group refuse, and what they know: never run, only compiled.

import {
  type AccessEventName,
  type FileEvent,
  type FileEventName,
  type FilesystemErrorEvent,
  Group,
  type GroupEvent,
  type GroupOptions,
  type GroupSource,
  type MarkScope,
  type ModeOf,
  type MountEvent,
  type MountEventName,
  type OverflowEvent,
  type RenameEvent,
} from '../src/index.ts';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Same<A, B>): void => {};

// The mode follows from what is reported.
const handles = await Group.open();
same<typeof handles, Group<'handle'>>(true);
const named = await Group.open({ report: ['name', 'targetFid', 'pidfd', 'fdError'] });
same<typeof named, Group<'handle'>>(true);
const threads = await Group.open({ report: ['fid', 'tid'], queue: 'unlimited', marks: 'unlimited' });
same<typeof threads, Group<'handle'>>(true);
const descriptors = await Group.open({ report: [] });
same<typeof descriptors, Group<'descriptor'>>(true);
const content = await Group.open({ class: 'content', report: ['pidfd'], eventFlags: 2, audit: true });
same<typeof content, Group<'descriptor'>>(true);
const mounts = await Group.open({ report: ['mount'] });
same<typeof mounts, Group<'mount'>>(true);
same<ModeOf<{ readonly ownEvents: false }>, 'handle'>(true);
same<ModeOf<{ readonly report: readonly ['pidfd'] }>, 'descriptor'>(true);

// @ts-expect-error A class that decides needs descriptors.
await Group.open({ class: 'content', report: ['name'] });
// @ts-expect-error The same, with the default report.
await Group.open({ class: 'preContent' });
// @ts-expect-error A pidfd is of a process, not a thread.
await Group.open({ report: ['name', 'pidfd', 'tid'] });
// @ts-expect-error The same with descriptors.
await Group.open({ report: ['pidfd', 'tid'] });
// @ts-expect-error mount stands alone.
await Group.open({ report: ['mount', 'name'] });
// @ts-expect-error mount stands alone.
await Group.open({ report: ['mount', 'pidfd'] });
// @ts-expect-error Only descriptors have open flags.
await Group.open({ report: ['name'], eventFlags: 0 });
// @ts-expect-error Only permission events are audited.
await Group.open({ report: ['name'], audit: true });
// @ts-expect-error No such report.
await Group.open({ report: ['names'] });
// @ts-expect-error No such class.
await Group.open({ class: 'permission', report: [] });
// @ts-expect-error No such queue.
await Group.open({ queue: 'endless' });

// Marks.
await handles.mark('/tmp', { events: ['create', 'rename', 'deleteSelf'] });
await handles.mark(new Uint8Array(), { events: ['open'], evictable: true, children: false, directories: false });
await handles.mark({ fd: 3 }, { scope: 'filesystem', events: ['create', 'filesystemError'] });
await handles.mark('/tmp', { scope: 'mount', events: ['open', 'modify'], onlyDirectory: true, noFollow: true });
await handles.mark('/tmp', { events: ['open'], ignore: 'untilModified' });
await handles.mark('/tmp', { scope: 'filesystem', events: ['open'], ignore: 'always', legacyIgnore: true });
await descriptors.mark('/tmp', { scope: 'filesystem', events: ['open', 'closeWrite'] });
await mounts.mark('/proc/self/ns/mnt', { scope: 'mountNamespace', events: ['mountAttach', 'mountDetach'] });
await handles.unmark('/tmp', { scope: 'mount', events: ['open'], ignore: true });
await handles.flush('mountNamespace');

// @ts-expect-error Mount marks hear no create.
await handles.mark('/tmp', { scope: 'mount', events: ['create'] });
// @ts-expect-error Descriptors tell of no create.
await descriptors.mark('/tmp', { events: ['create'] });
// @ts-expect-error Nor do file system marks with descriptors.
await descriptors.mark('/tmp', { scope: 'filesystem', events: ['create'] });
// @ts-expect-error Errors are of file systems.
await handles.mark('/tmp', { events: ['filesystemError'] });
// @ts-expect-error Errors are told by handle.
await descriptors.mark('/tmp', { scope: 'filesystem', events: ['filesystemError'] });
// @ts-expect-error Only inode marks can be evictable.
await handles.mark('/tmp', { scope: 'filesystem', events: ['open'], evictable: true });
// @ts-expect-error Only inode marks can be evictable.
await handles.mark('/tmp', { scope: 'mount', events: ['open'], evictable: true });
// @ts-expect-error Only inode marks have children.
await handles.mark('/tmp', { scope: 'filesystem', events: ['open'], children: true });
// @ts-expect-error What ends when a file is modified is of files.
await handles.mark('/tmp', { scope: 'filesystem', events: ['open'], ignore: 'untilModified' });
// @ts-expect-error What ends when a file is modified is of files.
await handles.mark('/tmp', { scope: 'mount', events: ['open'], ignore: 'untilModified' });
// @ts-expect-error The older form is of ignore masks.
await handles.mark('/tmp', { events: ['open'], legacyIgnore: true });
// @ts-expect-error Mount events need a group of their own.
await handles.mark('/tmp', { events: ['mountAttach'] });
// @ts-expect-error Mount namespaces need a group of their own.
await handles.mark('/proc/self/ns/mnt', { scope: 'mountNamespace', events: ['mountAttach'] });
// @ts-expect-error A group that hears of mounts hears of nothing else.
await mounts.mark('/tmp', { events: ['open'] });
// @ts-expect-error What ends when a file is modified is of files.
await mounts.mark('/proc/self/ns/mnt', { scope: 'mountNamespace', events: ['mountAttach'], ignore: 'untilModified' });
// @ts-expect-error No such event.
await handles.mark('/tmp', { events: ['opened'] });
// @ts-expect-error Something has to be heard.
await handles.mark('/tmp', {});
// @ts-expect-error No such scope.
await handles.flush('subtree');

// Events: each mode has its own, told apart by kind.
for await (const event of handles) {
  same<typeof event, OverflowEvent | FileEvent | RenameEvent | FilesystemErrorEvent>(true);
  // @ts-expect-error An overflow has no path.
  event.path;
  switch (event.kind) {
    case 'file':
      same<typeof event.kinds, readonly Exclude<FileEventName, 'rename'>[]>(true);
      same<typeof event.path, string | null>(true);
      // @ts-expect-error Only renames come from somewhere.
      event.from;
      break;
    case 'rename':
      same<typeof event.from, string | null>(true);
      // @ts-expect-error A rename is told by handles alone.
      event.fd;
      break;
    case 'overflow':
      same<typeof event.lastSeq, number>(true);
      // @ts-expect-error Nobody did it.
      event.pid;
      break;
    case 'filesystemError':
      same<typeof event.count, number>(true);
      break;
    default:
      same<typeof event, never>(true);
  }
}

for await (const event of descriptors) {
  if (event.kind === 'overflow') continue;
  same<(typeof event)['kind'], 'file'>(true);
  const kinds: readonly AccessEventName[] = event.kinds;
  const fd: number | null = event.take('fd');
  void [kinds, fd];
}

for await (const batch of mounts.batches()) {
  for (const event of batch) {
    same<typeof event, OverflowEvent | MountEvent>(true);
    if (event.kind === 'mount') same<typeof event.kinds, readonly MountEventName[]>(true);
    // @ts-expect-error Mount events name no file.
    if (event.kind === 'file') continue;
  }
}

// @ts-expect-error Events are to be read.
const changed = (event: GroupEvent<'handle'>) => event.seq++;

// A source of one mode is not one of another; any group is a source.
const source: GroupSource<'handle'> = handles;
const scopes: readonly MarkScope[] = ['inode', 'mount', 'filesystem', 'mountNamespace'];
// @ts-expect-error
const other: GroupSource<'mount'> = handles;
void [changed, source, scopes, other];

await using disposed = await Group.open();
void disposed;

// Options and groups are passed on as they are.

export const opened = (options: GroupOptions) => Group.open(options);
export const signalled = (signal: AbortSignal | undefined) => Group.open({ signal });
export const scoped = (group: Group, wide: boolean) =>
  group.mark('/tmp', { scope: wide ? 'filesystem' : 'inode', events: ['create'] });
// @ts-expect-error a group that reports descriptors is not the kind that is meant when none is named
scoped(await Group.open({ report: [] }), true);

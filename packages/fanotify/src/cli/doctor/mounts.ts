// The mounts: what is seen as a whole, partly or not, why, and what to do.

import type { FilesystemKind } from '../../identity/filesystems.ts';
import type { Coverage, Reason } from '../../scope/coverage.ts';
import { shown, shownBytes } from '../text.ts';
import { type Finding, type Level, listed, pathJson, shellWord } from './finding.ts';

const MOST_PLACES = 4;

/** File systems of one type that are seen in the same way are one finding. `isRoot`: whether sudo would change nothing. */
export function mountFindings(coverages: readonly Coverage[], isRoot: boolean): Finding[] {
  const alike = new Map<string, Coverage[]>();
  for (const coverage of coverages) {
    const { type, seen, how, reasons, answer, markAt } = coverage;
    const key = JSON.stringify([type, seen, how, reasons, markAt ? 'yes' : answer]);
    alike.set(key, [...(alike.get(key) ?? []), coverage]);
  }
  return [...alike.values()].flatMap((same) => {
    const [first] = same;
    return first ? [findingOf(first, same, isRoot), ...same.flatMap(subvolumesOf)] : [];
  });
}

function findingOf(first: Coverage, same: readonly Coverage[], isRoot: boolean): Finding {
  const { type, seen, how, reasons, answer } = first;
  const isHidden = reasons.includes('hidden');
  const level: Level =
    seen === 'partly'
      ? 'warning'
      : seen === 'blind'
        ? isHidden
          ? 'note'
          : 'problem'
        : reasons.length > 0
          ? 'note'
          : 'ok';
  const todo = todoOf(first, isRoot);
  return {
    id: reasons.includes('silent') ? 'mount-silent' : isHidden ? 'mount-hidden' : `mount-${seen}`,
    about: 'mounts',
    level,
    what: `${labelOf(same)} (${shown(type)}): ${sentence(first, new Set(same.map(({ device }) => device)).size, isRoot)}`,
    ...(todo !== undefined && { todo }),
    data: {
      type,
      seen,
      how: how ?? null,
      reasons,
      ...(answer !== 'yes' && { errno: answer }),
      filesystems: same.map((one) => ({
        device: one.device,
        source: one.source,
        places: one.places.map(pathJson),
        ...(one.markAt && { markAt: pathJson(one.markAt) }),
      })),
    },
  };
}

/** The first place of each file system. */
function labelOf(same: readonly Coverage[]): string {
  const labels = same.map(({ places, markAt }) => {
    const [first] = markAt && places.some((place) => place.equals(markAt)) ? [markAt] : places;
    return `${first ? shownBytes(first) : '?'}${places.length > 1 ? ` [${places.length} mounts]` : ''}`;
  });
  return listed(labels, MOST_PLACES);
}

function sentence({ seen, how, reasons, answer }: Coverage, count: number, isRoot: boolean): string {
  const parts = reasons.map((reason) => explain(reason, answer, isRoot));
  if (seen === 'blind') return `not seen, ${parts.join(', ')}`;
  const by = {
    filesystem: `seen as a whole, by one mark${count > 1 ? ' each' : ''}`,
    inode: reasons.length === 0 || seen === 'covered' ? BY_INODES : `${BY_INODES} only`,
    descriptors: 'opens, reads, writes and closes are seen, but not what is created, renamed or deleted',
  }[how ?? 'inode'];
  return [by, ...parts].join('; ');
}

const BY_INODES = 'seen by a mark for each directory';

function explain(reason: Reason, answer: string, isRoot: boolean): string {
  switch (reason) {
    case 'subvolume':
      return `a btrfs subvolume takes no mark as a whole (${answer})`;
    case 'noHandles':
      return `it takes no mark as a whole, having no handles that can be opened (${answer})`;
    case 'noFsid':
      return `it takes no mark as a whole, having no fsid (${answer})`;
    case 'remote':
      return 'only what this machine does is seen, not what others do on the server';
    case 'daemon':
      return 'what the daemon behind it changes by itself is not seen';
    case 'underneath':
      return 'what is changed in the layers beneath is not seen';
    case 'pseudo':
      return 'what the kernel changes there by itself raises no event';
    case 'unreadable':
      return isRoot
        ? `since only the user who mounted it may look into it (${answer})`
        : `since this user may not read it (${answer})`;
    case 'silent':
      return 'since it does not answer: its server or daemon hangs or is gone';
    case 'dead':
      return `since its daemon is gone (${answer})`;
    case 'hidden':
      return 'since another mount lies over it: it is on no path';
    case 'refused':
      return `since it takes no mark (${answer})`;
  }
}

function todoOf({ seen, how, reasons, places, source }: Coverage, isRoot: boolean): string | undefined {
  const place = places[0] ? shellWord(places[0]) : '';
  const watch = `${isRoot ? '' : 'sudo '}fanotify watch -r ${place}`;
  const by = `${watch} sees it (a mark for each directory); a watch from above leaves it out`;
  if (reasons.includes('subvolume')) {
    return `mount -o subvolid=5 ${shellWord(Buffer.from(source))} DIRECTORY and watch that: one mark there hears all subvolumes; or ${watch} (a mark for each directory)`;
  }
  if (reasons.includes('silent')) return `see to its server or daemon, or let go of it: umount -l ${place}`;
  if (reasons.includes('dead')) return `umount ${place}, and mount it again`;
  if (reasons.includes('hidden')) return 'umount what lies over it, if it is needed';
  if (reasons.includes('unreadable')) return isRoot ? 'run it as that user' : `sudo fanotify doctor ${place}`;
  if (seen === 'partly' && how === 'descriptors')
    return 'hear it with Group.open({ report: [] }), or take a newer Linux (6.7, for FUSE 6.8)';
  if (reasons.includes('noHandles') || reasons.includes('noFsid')) {
    if (!reasons.includes('underneath')) return by;
    return `${by}; or mount it with nfs_export=on,index=on`;
  }
  if (reasons.includes('remote')) return 'to see all, run fanotify on the server, too';
  if (reasons.includes('underneath'))
    return 'watch the file systems of its layers, too, if somebody changes them there';
  return undefined;
}

/** The places of a file system that have to be watched from elsewhere. */
function subvolumesOf({ refusing, markAt, answer }: Coverage): Finding[] {
  if (markAt === undefined || refusing.length === 0) return [];
  const what = `${listed(refusing.map(shownBytes), MOST_PLACES)}: ${refusing.length === 1 ? 'a subvolume' : 'subvolumes'} that cannot be marked as a whole (${answer}), and heard by the mark on ${shownBytes(markAt)}`;
  return [
    {
      id: 'mount-subvolume',
      about: 'mounts',
      level: 'note',
      what,
      todo: `watch ${shellWord(markAt)} instead`,
      data: { places: refusing.map(pathJson), markAt: pathJson(markAt) },
    },
  ];
}

/** One line for what nobody wants to watch. */
export function leftOutFinding(types: readonly string[]): Finding {
  const names = [...new Set(types)].sort();
  return {
    id: 'mount-left-out',
    about: 'mounts',
    level: 'ok',
    what: `left out, being the kernel’s own tables: ${names.map(shown).join(', ')}`,
    data: { types: names },
  };
}

/** What no mark hears, on whichever file system. Seen on Linux 6.18, on tmpfs and ext4. */
export const UNSEEN_EVERYWHERE: readonly Finding[] = [
  {
    id: 'unseen-mmap',
    about: 'mounts',
    level: 'note',
    what: 'writes through mmap raise no modify event anywhere, only closeWrite when the last mapping is gone',
    todo: 'hear closeWrite, not modify alone',
  },
  {
    id: 'unseen-aio',
    about: 'mounts',
    level: 'note',
    what: 'writes by Linux AIO (io_submit) raise no modify event anywhere, only closeWrite at the end; io_uring’s do',
    todo: 'hear closeWrite, not modify alone',
  },
];

/** Whether this kind is shown only to whoever asks for it. */
export const isLeftOut = (kind: FilesystemKind): boolean => kind === 'pseudo';

// struct fsnotify_mark_connector: what ties an object to its marks. It is made with the first mark and goes with the last.

import type { Inode, Markable, Mount, MountNamespace, Superblock } from '../files/objects.ts';
import { CHILD_EVENTS, FAN_EVENT_ON_CHILD } from './bits.ts';
import { compareGroups } from './group.ts';
import { interestOf, type Mark } from './mark.ts';

/** What can be marked. */
export type Target =
  | { readonly type: 'inode'; readonly object: Inode }
  | { readonly type: 'mount'; readonly object: Mount }
  | { readonly type: 'filesystem'; readonly object: Superblock }
  | { readonly type: 'namespace'; readonly object: MountNamespace };

export interface Connector {
  readonly target: Target;
  /**
   * In the order in which fsnotify walks them: by the groups' priority, then as the groups came. Another array after each change, so that
   * a walk that waits for an answer goes on with the one that it had.
   */
  marks: readonly Mark[];
  /** All that any of them wants to hear: most events are of nobody's interest, and end here. Kept as Linux keeps it, not always up to date. */
  mask: number;
}

/** The mark that a group has of an object. */
export function findMark({ connector }: Markable, group: Mark['group']): Mark | undefined {
  return connector?.marks.find((mark) => mark.group === group && mark.isAttached);
}

/** fsnotify_add_mark_list: ties it to its object, in its place. Says nothing of what it wants: {@link recalculate} does. */
export function connect(mark: Mark, target: Target): void {
  const { object } = target;
  object.connector ??= { target, marks: [], mask: 0 };
  const { connector } = object;
  const { marks } = connector;
  let place = marks.length;
  for (let i = 0; i < marks.length; i++) {
    // Before one of the same group that was removed and is kept for somebody held.
    if (compareGroups((marks[i] as Mark).group, mark.group) >= 0) {
      place = i;
      break;
    }
  }
  connector.marks = [...marks.slice(0, place), mark, ...marks.slice(place)];
  mark.connector = connector;
}

/** fsnotify_put_mark: takes a mark away from its object. */
export function disconnect(mark: Mark): void {
  const { connector } = mark;
  if (connector === undefined) return;
  mark.connector = undefined;
  connector.marks = connector.marks.filter((other) => other !== mark);
  if (connector.marks.length === 0) connector.target.object.connector = undefined;
  else recalculate(connector);
}

/** fsnotify_recalc_mask. */
export function recalculate(connector: Connector): void {
  let mask = 0;
  for (const mark of connector.marks) if (mark.isAttached) mask |= interestOf(mark);
  connector.mask = mask;
}

/** fsnotify_inode_watches_children: what the marks of a directory want to hear of what is in it; 0 of one that is not marked so. */
export function watchesChildren({ connector }: Inode): number {
  if (connector === undefined || (connector.mask & FAN_EVENT_ON_CHILD) === 0) return 0;
  return connector.mask & CHILD_EVENTS;
}

// The whole system: a mark on every mounted file system but what is left out, and on those that are mounted later.

import { type Group, type GroupInternals, internalsOf } from '../group/group.ts';
import type { FileEventName } from '../group/names.ts';
import { markedDevices } from '../identity/marks.ts';
import { hanging, isWhole, type Mount } from '../identity/mounts.ts';
import { type CompiledExclusions, compileExclusions } from './exclusions.ts';
import type { OtherNamespace, OtherNamespaces } from './other-namespaces.ts';
import { type FilesystemState, isHeard, type Places, Placing } from './placing.ts';
import type { HeardFilesystem, SystemCoverageChange, UnheardFilesystem } from './system-coverage.ts';

/** Marks on all file systems, for one group. */
export class SystemMarks {
  readonly #inside: GroupInternals;
  readonly #group: Group<'handle'>;
  readonly #others: OtherNamespaces | undefined;
  readonly #placing: Placing;
  /** By device: a file system is marked once, however often it is mounted. */
  readonly #states = new Map<string, FilesystemState>();
  readonly #placesOf = new WeakMap<OtherNamespace, Map<string, Places>>();
  #generation = -1;
  #namespaces: readonly OtherNamespace[] = [];

  /** `others`: where to look for file systems that are mounted in other mount namespaces alone. */
  constructor(
    group: Group<'handle'>,
    events: readonly FileEventName[],
    exclusions: CompiledExclusions = compileExclusions({}),
    others?: OtherNamespaces,
  ) {
    this.#group = group;
    this.#inside = internalsOf(group as Group);
    this.#others = others;
    this.#placing = new Placing(group, events, exclusions);
  }

  get heard(): HeardFilesystem[] {
    return [...this.#states.values()].map(({ filesystem }) => filesystem).filter(isHeard);
  }

  get notHeard(): UnheardFilesystem[] {
    return [...this.#states.values()].flatMap(({ filesystem }) => (isHeard(filesystem) ? [] : [filesystem]));
  }

  /** Whether mounts in other namespaces are told as they come. */
  get namespaces(): 'watched' | 'scanned' | 'left out' {
    if (!this.#others) return 'left out';
    return this.#others.areWatched ? 'watched' : 'scanned';
  }

  /**
   * Marks what there is and is not marked yet. A file system may be another under the same number: the mark went with the old one, so
   * the kernel is asked for the marks that it has. Costs next to nothing while no mount table changes.
   *
   * @throws LimitError and UnsupportedError, which would be the same for every file system; then the next look tries again.
   */
  async look(): Promise<SystemCoverageChange[]> {
    const { mounts, kernel } = this.#inside;
    const generation = mounts.generation;
    const namespaces = this.#others?.look() ?? [];
    if (generation === this.#generation && areSame(namespaces, this.#namespaces)) return [];
    const changes: SystemCoverageChange[] = [];
    const all = this.#allPlaces(namespaces);
    this.#forgetAllBut(all, changes);
    const marked = markedDevices(kernel, this.#group.fd);
    for (const [device, places] of all) {
      const before = this.#states.get(device);
      if (!isDue(places, before, marked)) continue;
      const now = await this.#look(places, before, marked.has(device));
      this.#states.set(device, now);
      changes.push(...changesOf(before, now));
      if (before?.fsid !== undefined && before.fsid !== now.fsid) this.#lose([before.fsid]);
    }
    this.#generation = generation;
    this.#namespaces = namespaces;
    return changes;
  }

  /** By device, our own first: what is mounted here too has paths here. From one reading of the table, which changes meanwhile. */
  #allPlaces(namespaces: readonly OtherNamespace[]): Map<string, Places> {
    const { mounts } = this.#inside;
    const all = placesIn(mounts.mounts, undefined, (mount) => mounts.mayHang(mount));
    for (const namespace of namespaces) {
      let places = this.#placesOf.get(namespace);
      if (!places) {
        places = placesIn(namespace.mounts, namespace, hanging(namespace.mounts));
        this.#placesOf.set(namespace, places);
      }
      for (const [device, there] of places) if (!all.has(device)) all.set(device, there);
    }
    return all;
  }

  #forgetAllBut(all: ReadonlyMap<string, Places>, changes: SystemCoverageChange[]): void {
    const lost: string[] = [];
    for (const [device, { filesystem, fsid }] of this.#states) {
      if (all.has(device)) continue;
      this.#states.delete(device);
      changes.push({ change: 'gone', filesystem });
      if (fsid !== undefined) lost.push(fsid);
    }
    if (lost.length > 0) this.#lose(lost);
  }

  async #look(places: Places, before: FilesystemState | undefined, isMarked: boolean): Promise<FilesystemState> {
    if (!before || !isHeard(before.filesystem) || !isMarked) return this.#placing.place(places);
    const { mounts } = places;
    // Its paths depend on the mount through which it was marked, and in another namespace on the process.
    if (isSameWay(before.namespace, places.namespace) && mounts.some(({ mountId }) => mountId === before.mountId)) {
      return { ...before, mounts };
    }
    const placed = await this.#placing.place(places);
    // It was heard all the while, and still is where what is left of its mounts cannot be reached.
    if (!isHeard(placed.filesystem)) return { ...before, mounts };
    return { ...placed, filesystem: { ...placed.filesystem, sinceMs: before.filesystem.sinceMs } };
  }

  /** Lets go of what is known of the directories of file systems that are gone, when what was heard there has been told. */
  #lose(fsids: readonly string[]): void {
    this.#inside.queue.afterQueued(() => this.#inside.lose(new Set(fsids)));
  }
}

/** The mounts of each file system, those of the whole first. */
function placesIn(
  mounts: readonly Mount[],
  namespace: OtherNamespace | undefined,
  mayHang: Places['mayHang'],
): Map<string, Places> {
  const all = new Map<string, { mounts: Mount[]; mayHang: Places['mayHang']; namespace: typeof namespace }>();
  for (const whole of [true, false]) {
    for (const mount of mounts) {
      if (isWhole(mount) !== whole) continue;
      const places = all.get(mount.device);
      if (places) places.mounts.push(mount);
      else all.set(mount.device, { mounts: [mount], mayHang, namespace });
    }
  }
  return all;
}

/** Whether a file system is to be looked at: it is new, or its mounts have changed, or another has its number by now. */
function isDue(places: Places, state: FilesystemState | undefined, marked: ReadonlySet<string>): boolean {
  if (!state || !isSameWay(state.namespace, places.namespace)) return true;
  const { filesystem } = state;
  if (isHeard(filesystem)) {
    if (!marked.has(filesystem.device)) return true;
    // What is hidden or refused may come to light without a change of its own mounts.
  } else if (filesystem.why === 'hidden' || filesystem.why === 'refused') return true;
  // A mount that is the same is the same object.
  return !areSame(places.mounts, state.mounts);
}

/** Whether a namespace is reached through the same process. */
function isSameWay(one: OtherNamespace | undefined, other: OtherNamespace | undefined): boolean {
  return one?.id === other?.id && one?.pid === other?.pid;
}

function areSame(some: readonly unknown[], others: readonly unknown[]): boolean {
  return some.length === others.length && some.every((one, index) => one === others[index]);
}

function changesOf(before: FilesystemState | undefined, { filesystem: is }: FilesystemState): SystemCoverageChange[] {
  const was = before?.filesystem;
  if (!isHeard(is)) {
    const isNews = !was || isHeard(was) || was.why !== is.why || was.mountPoint !== is.mountPoint;
    return isNews ? [{ change: 'notHeard', filesystem: is }] : [];
  }
  if (was && isHeard(was) && was.sinceMs === is.sinceMs) return [];
  const heard: SystemCoverageChange = { change: 'heard', filesystem: is };
  return was && isHeard(was) ? [{ change: 'gone', filesystem: was }, heard] : [heard];
}

/**
 * Hears all executions, for the names of processes that end before they can be read. Whoever reads the group leaves these events
 * out where nobody asked for them.
 */
export async function hearExecutions(group: Group<'handle'>): Promise<SystemMarks> {
  const marks = new SystemMarks(group, ['openExec']);
  await marks.look();
  return marks;
}

// What a trace marks, and what it says of that: at its start, and as file systems come.

import { MountWatch } from '../identity/mount-watch.ts';
import { readPrivilege } from '../identity/privilege.ts';
import { procSight } from '../identity/running.ts';
import { type FileEventName, type Group, GroupClosedError, UnsupportedError } from '../index.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { compileExclusions, type SystemExclusions } from '../scope/exclusions.ts';
import { OtherNamespaces } from '../scope/other-namespaces.ts';
import { hearExecutions, SystemMarks } from '../scope/system.ts';
import type { HeardFilesystem, SystemCoverageChange, UnheardFilesystem } from '../scope/system-coverage.ts';
import { UserError } from './failure.ts';
import type { Screen } from './screen.ts';
import { shown } from './text.ts';

/** How soon a new mount is told: it is heard at once, but many may come. */
const TELL_MS = 250;
const MOST_NAMED = 6;

/** What to trace. */
export interface Places {
  /** What is directly in these directories. */
  readonly dirs: readonly string[];
  /** The file system of the current directory. Without either: all. */
  readonly currentMount: boolean;
  readonly events: readonly FileEventName[];
  /** Of all. */
  readonly exclusions: SystemExclusions;
}

/** Places marks, and keeps them in step with what is mounted until {@link end}. */
export class TraceMarks {
  readonly #kernel: Kernel;
  readonly #group: Group<'handle'>;
  readonly #screen: Screen;
  #marks: SystemMarks | undefined;
  /** Whether what comes is told, rather than heard for the sake of names alone. */
  #tells = false;
  #watch: MountWatch | undefined;
  #others: OtherNamespaces | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #untold: SystemCoverageChange[] = [];
  #lastFailure: string | undefined;

  constructor(kernel: Kernel, group: Group<'handle'>, screen: Screen) {
    this.#kernel = kernel;
    this.#group = group;
    this.#screen = screen;
  }

  /**
   * Marks, and says what. `ends` is what to say of how it ends.
   *
   * @throws What Group.mark throws; UserError where nothing at all can be marked.
   */
  async place({ dirs, currentMount, events: asked, exclusions }: Places, ends: string): Promise<void> {
    // Renames keep paths right, and executions tell the names of processes that end at once.
    const events: FileEventName[] = [...new Set<FileEventName>([...asked, 'rename', 'openExec'])];
    if (currentMount || dirs.length > 0) {
      const scope = currentMount ? 'filesystem' : 'inode';
      for (const dir of currentMount ? ['.'] : dirs) {
        await withHalves(events, (halves) => this.#group.mark(dir, { scope, events: halves, onlyDirectory: true }));
      }
      this.#marks = await hearExecutions(this.#group);
      const what = currentMount
        ? 'the file system of the current directory'
        : `what is directly in ${dirs.map((dir) => shown(dir)).join(', ')}`;
      this.#screen.say(`tracing ${what}${ends}`);
    } else {
      const compiled = compileExclusions(exclusions);
      this.#others = new OtherNamespaces(this.#kernel, () => void this.#watch?.look());
      this.#marks = await withHalves(events, async (halves) => {
        const marks = new SystemMarks(this.#group, halves, compiled, this.#others);
        await marks.look();
        return marks;
      });
      this.#tells = true;
      this.#announce(this.#marks, ends);
    }
    this.#watch = new MountWatch(this.#kernel, () => this.#lookAgain());
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#watch?.close();
    this.#others?.close();
  }

  async #lookAgain(): Promise<void> {
    try {
      const changes = (await this.#marks?.look()) ?? [];
      this.#lastFailure = undefined;
      if (!this.#tells || changes.length === 0) return;
      this.#untold.push(...changes);
      this.#timer ??= setTimeout(() => this.#tellChanges(), TELL_MS).unref();
    } catch (error) {
      if (error instanceof GroupClosedError) return;
      const { message } = error as Error;
      if (message !== this.#lastFailure) this.#screen.say(`fanotify: ${message}`);
      this.#lastFailure = message;
    }
  }

  #tellChanges(): void {
    this.#timer = undefined;
    const changes = this.#untold.splice(0);
    const heard = changes.flatMap(({ change, filesystem }) => (change === 'heard' ? [nameOf(filesystem)] : []));
    if (heard.length > 0) this.#screen.say(`tracing also ${listed(heard)}`);
    this.#sayNotHeard(changes.flatMap((one) => (one.change === 'notHeard' ? [one.filesystem] : [])));
  }

  #announce({ heard, notHeard }: SystemMarks, ends: string): void {
    if (heard.length === 0) throw new UserError("no file system could be marked: 'fanotify doctor' says why");
    const left = leftOut(notHeard).join(', ') || 'nothing';
    this.#screen.say(`tracing ${listed(heard.map(nameOf))}; left out: ${left}${ends}`);
    this.#sayNotHeard(notHeard);
  }

  /** Of other mount namespaces there would be no end of what is hidden. */
  #sayNotHeard(all: readonly UnheardFilesystem[]): void {
    const places = all.filter(({ namespace }) => namespace === null);
    const of = (why: UnheardFilesystem['why']) => places.filter((place) => place.why === why).map(nameOf);
    const say = (text: string) => this.#screen.say(`fanotify: ${text}`);
    const remote = of('remote');
    if (remote.length > 0) say(`left alone, since they may not answer: ${listed(remote)} (there, -c traces one)`);
    const hidden = of('hidden');
    if (hidden.length > 0) say(`not seen, since others are mounted over them: ${listed(hidden)}`);
    for (const place of places) {
      if (place.why === 'refused') say(`not seen: ${nameOf(place)}: ${place.message}`);
    }
  }
}

function nameOf({ mountPoint, type, namespace }: HeardFilesystem | UnheardFilesystem): string {
  return `${shown(mountPoint)} (${type}${namespace === null ? '' : `, in mount namespace ${namespace}`})`;
}

/** The types that were left out, and single file systems. */
function leftOut(places: readonly UnheardFilesystem[]): string[] {
  const types = places.filter(({ why }) => why === 'pseudo' || why === 'excludedType').map(({ type }) => type);
  const single = places.filter(({ why }) => why === 'excludedFilesystem' || why === 'excludedMount').map(nameOf);
  return [...[...new Set(types)].sort(), ...single];
}

function listed(names: readonly string[]): string {
  if (names.length <= MOST_NAMED) return names.join(', ');
  return `${names.slice(0, MOST_NAMED - 1).join(', ')} and ${names.length - MOST_NAMED + 1} more`;
}

/** Before Linux 5.17 a rename is two events. */
async function withHalves<T>(
  events: readonly FileEventName[],
  mark: (events: readonly FileEventName[]) => Promise<T>,
): Promise<T> {
  try {
    return await mark(events);
  } catch (error) {
    if (!(error instanceof UnsupportedError) || error.since !== '5.17') throw error;
    return await mark([...events.filter((name) => name !== 'rename'), 'movedFrom', 'movedTo']);
  }
}

/** Says what cannot be told here of who did it, and where. */
export function sayShortcomings(kernel: Kernel, screen: Screen): void {
  const sight = procSight(kernel);
  if (sight === 'none') {
    screen.say('fanotify: /proc is not mounted, so neither processes nor paths are known: mount -t proc proc /proc');
    return;
  }
  if (sight !== 'own') {
    screen.say(
      'fanotify: processes are not named, since the /proc here is of another PID namespace: mount -t proc proc /proc',
    );
  }
  try {
    if (!readPrivilege(kernel).dacReadSearch)
      screen.say('fanotify: directories are not known by their paths, which takes CAP_DAC_READ_SEARCH');
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
  }
}

// Listeners of subtrees and of the whole system: what happens inside is told once, in order, with its place; nothing else is; and whatever has
// happened, they hear all of what is inside in the end.

import { LimitError, NoSuchPathError, NotDirectoryError } from '../../src/group/errors.ts';
import { Group } from '../../src/group/group.ts';
import type { KernelEvent } from '../../src/group/kernel-event.ts';
import { type FileEventName, maskOf } from '../../src/group/names.ts';
import { type ListenEvent, listen } from '../../src/scope/directed-listener.ts';
import { listenEverywhere } from '../../src/scope/global-listener.ts';
import type { Inode } from '../../src/simulated/files/objects.ts';
import { churning } from './churn.ts';
import type { Part } from './part.ts';
import { type Scope, ScopeOracle } from './scope-oracle.ts';
import { directoriesBelow, directoryAt, keyOf } from './whereabouts.ts';
import { Broken, type World } from './world.ts';

const TREE = '/data/tree';
const OUTSIDE = '/data/outside';
/** Another file system. */
const BELOW = `${TREE}/m`;
/** Where mounts come and go. */
const MOUNTED = `${TREE}/n`;
const ROOTS = [TREE, TREE, `${TREE}/a`, `${TREE}/a/b`, OUTSIDE, `${OUTSIDE}/b`, BELOW, `${BELOW}/a`, '/data'];
const USER = 1000;
const QUIET_MS = 3_000;
const EVENTS: readonly FileEventName[] = [
  'access',
  'modify',
  'closeWrite',
  'open',
  'attrib',
  'movedFrom',
  'movedTo',
  'delete',
  'rename',
  'rename',
];
const PROBES = 200;

export const scopesPart: Part = async (world, steps) => {
  const { random, system } = world;
  const isEverywhere = random.chance(0.2);
  const uid = isEverywhere || random.chance(0.5) ? 0 : USER;
  system.machine.limits.maxQueuedEvents = random.pick([4, 32, 1024, 16_384, 16_384]);
  world.now(furnish(world, random.pick(['tmpfs', 'ext4']), uid));
  const { task, kernel } = world.process('listener', uid);
  const before = world.open(task);
  const churn = () => {
    for (let number = 1 + random.below(3); number > 0; number--) {
      const places = random.chance(0.7)
        ? { tree: TREE, outside: OUTSIDE }
        : { tree: BELOW, outside: `${BELOW}/outside` };
      world.start(`churn ${number}`, churning(world, { ...places }), uid);
    }
  };
  churn();
  const isShaky = random.chance(0.2);
  if (isShaky) world.start('mounting', mounting(world));
  await world.run(random.below(200));
  const roots = random.some(ROOTS, 0.3).filter((path) => directoryAt(system, path) !== undefined);
  const paths = roots.length > 0 ? [...new Set(roots)] : [TREE];
  const events = [...new Set<FileEventName>(['create', ...random.some(EVENTS, 0.5)])];
  const crossMounts = random.chance(0.8);
  const excluded = random.chance(0.2) ? [random.pick(['a', 'd', '5'])] : [];
  const opened: ScopeOracle[] = [];
  const rest = { kernel, bufferBytes: random.pick([undefined, 4096]) };
  const made = (group: Group) => void opened.push(new ScopeOracle(world, task, group));
  const listener = await openedBy(made, () =>
    world
      .until<Listener>(
        isEverywhere
          ? listenEverywhere({ ...rest, events, namespaces: random.chance(0.5) })
          : listen(paths, { ...rest, events, crossMounts, exclude: excluded }),
      )
      .catch((error: unknown) => {
        // Others change the tree meanwhile.
        if (error instanceof NotDirectoryError || error instanceof NoSuchPathError) return undefined;
        throw error;
      }),
  );
  if (listener === undefined) return checkClosed();
  const scope: Scope = {
    roots: isEverywhere
      ? undefined
      : paths.map((path) => directoryAt(system, path)).filter((root) => root !== undefined),
    asked: Number(maskOf(events)),
    isPrivileged: uid === 0,
    crossMounts: crossMounts || isEverywhere,
    excluded: isEverywhere ? [] : excluded,
    isShaky,
  };
  const [oracle] = opened;
  if (oracle === undefined) throw new Error('no group');
  oracle.begin(scope);
  const life = new Life(world, listener, oracle, scope);
  life.remember();
  for (let round = 0; round < 4; round++) {
    if (round > 0) churn();
    if (random.chance(0.3)) life.plantFaults();
    await world.run(steps / 4);
    life.check();
    if (random.chance(0.5)) continue;
    world.isEnding = true;
    await world.quiet(QUIET_MS);
    world.isEnding = false;
    life.check();
  }
  world.isEnding = true;
  if (random.chance(0.8)) {
    await world.quiet(QUIET_MS);
    await life.conclude();
  }
  await world.until(life.close());
  await world.quiet(QUIET_MS);
  life.check();
  checkClosed();

  function checkClosed(): void {
    const after = world.open(task);
    if (after !== before) throw new Broken(`${after - before} descriptors are left open`);
  }
};

interface Listener {
  batches(): AsyncGenerator<readonly ListenEvent[], void, void>;
  close(): Promise<void>;
}

/** Hears which groups are opened meanwhile. */
async function openedBy<T>(opened: (group: Group) => void, something: () => Promise<T>): Promise<T> {
  const { open } = Group;
  Group.open = (async (options: object) => {
    const group = await open.call(Group, options as never);
    opened(group as unknown as Group);
    return group;
  }) as typeof open;
  try {
    return await something();
  } finally {
    Group.open = open;
  }
}

function* furnish({ calls }: World, kind: string, uid: number) {
  function* make(path: string) {
    yield* calls.mkdir(path);
    yield* calls.chown(path, uid, uid);
  }
  yield* make('/data');
  yield* calls.mount('/data', kind, kind === 'tmpfs' ? 'tmpfs' : '/dev/loop0');
  yield* calls.chown('/data', uid, uid);
  for (const path of [TREE, OUTSIDE, `${TREE}/a`, `${TREE}/a/b`, `${OUTSIDE}/b`, BELOW, MOUNTED]) yield* make(path);
  yield* calls.mount(BELOW, 'tmpfs');
  yield* calls.chown(BELOW, uid, uid);
  for (const path of [`${BELOW}/a`, `${BELOW}/outside`]) yield* make(path);
}

/** Mounts, and takes it away again. */
function* mounting(world: World): Generator<unknown, void, void> {
  const { calls, random } = world;
  while (!world.isEnding) {
    for (let turns = random.below(30); turns > 0; turns--) yield;
    try {
      if (random.chance(0.5)) yield* calls.mount(MOUNTED, 'tmpfs');
      else yield* calls.bind(random.pick([OUTSIDE, `${OUTSIDE}/b`, BELOW]), MOUNTED);
      for (let turns = random.below(60); turns > 0; turns--) yield;
      yield* calls.unmount(MOUNTED, { lazily: random.chance(0.3) });
    } catch (error) {
      if ((error as { code?: string }).code === undefined) throw error;
    }
  }
}

/** A listener, and what it is to tell. */
class Life {
  readonly #world: World;
  readonly #listener: Listener;
  readonly #oracle: ScopeOracle;
  readonly #scope: Scope;
  readonly #taking: Promise<void>;
  /** Entries there were when it began. */
  readonly #first = new Set<string>();
  readonly #gone: string[] = [];
  /** Paths told since they were last asked for. */
  #paths: string[] | undefined;
  #seq = 0;
  #hasFaults = false;
  #isClosing = false;
  #hasEnded = false;
  #failure: unknown;

  constructor(world: World, listener: Listener, oracle: ScopeOracle, scope: Scope) {
    this.#world = world;
    this.#listener = listener;
    this.#oracle = oracle;
    this.#scope = scope;
    this.#taking = this.#take().catch((error: unknown) => {
      this.#failure = error;
    });
  }

  /** What is there now need not be told to have come. */
  remember(): void {
    for (const [id] of this.#entries()) this.#first.add(id);
  }

  /** What may run out, or comes in part, soon. */
  plantFaults(): void {
    const { faults, random } = this.#world;
    this.#hasFaults = true;
    for (let count = random.below(3); count > 0; count--) {
      const fault = random.pick(FAULTS);
      if (fault === 'descriptor' || fault === 'memory') this.#oracle.wants();
      faults.failAt(fault, 1 + random.below(300));
    }
    if (random.chance(0.3)) faults.shortenAt(1 + random.below(50), 1 + random.below(10));
  }

  check(): void {
    const error = this.#failure;
    if (error === undefined) return;
    // There were no marks or memory for what it had to do: it says so rather than to go on half blind.
    const isExpected = this.#hasFaults && (error instanceof LimitError || isOfKernel(error));
    if (!isExpected) throw error;
  }

  /** Nothing happens any more. */
  async conclude(): Promise<void> {
    this.check();
    this.#oracle.check();
    if (this.#failure !== undefined) return;
    if (!this.#hasEnded && !this.#oracle.isDone) throw new Broken('not all of what was queued has been read');
    this.#checkGone();
    if (this.#hasEnded) return;
    if (!this.#hasFaults) this.#checkArrived();
    await this.#probe();
    this.#oracle.check();
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#oracle.end();
    await this.#listener.close();
    await this.#taking;
  }

  /** The end of each root was told. */
  #checkGone(): void {
    const { roots } = this.#scope;
    if (roots === undefined) return;
    const gone = roots.filter(({ aliases }) => aliases.every(({ isGone }) => isGone)).length;
    // As long as something in it is open, and a FIFO without a writer may be for ever, the end of one that was removed is still to come.
    const released = roots.filter(({ aliases }) => aliases.length === 0).length;
    const deleted = this.#gone.filter((reason) => reason === 'deleted').length;
    // One that has moved to where it cannot be followed may be deleted there.
    const isTold = deleted <= gone && released <= (this.#scope.isPrivileged ? deleted : this.#gone.length);
    if (!isTold) throw new Broken(`${released} to ${gone} of ${roots.length} roots are gone, told are ${this.#gone}`);
    if (this.#scope.isPrivileged && this.#gone.includes('moved')) throw new Broken('a root is told to be moved');
    if (this.#hasEnded !== (this.#gone.length === roots.length))
      throw new Broken(`ended with ${this.#gone} of ${roots.length}`);
  }

  /** Without privilege whatever is new is told, by which way ever it came. */
  #checkArrived(): void {
    const { roots, asked, isPrivileged } = this.#scope;
    if (roots === undefined || isPrivileged || !this.#oracle.isCertain || (asked & ARRIVALS) === 0) return;
    for (const [id, path] of this.#entries()) {
      if (!this.#first.has(id) && !this.#oracle.arrived.has(id)) throw new Broken(`${path} has come, and was not told`);
    }
  }

  /** A file is made in each directory: those inside are told, and no others. */
  async #probe(): Promise<void> {
    const world = this.#world;
    const { system, calls } = world;
    const inside = new Set<string>();
    const all = [...directoriesBelow(system, '/data')].slice(0, PROBES);
    this.#paths = [];
    const { overflows } = this.#oracle;
    const most = Math.max(1, Math.floor(system.machine.limits.maxQueuedEvents / 3));
    for (const [index, [path, directory]] of all.entries()) {
      if (this.#oracle.isUncertain(directory)) continue;
      if (!this.#scope.isPrivileged && path.startsWith(MOUNTED)) continue;
      const probe = `${path}/probe`;
      if (this.#scope.roots === undefined || this.#oracle.isEntryInsideNow(directory, 'probe')) inside.add(probe);
      for (let left = 5; left > 0; left--) {
        try {
          world.now(calls.writeFile(probe, ''));
          break;
        } catch (error) {
          // What was to fail for want of something fails here.
          if (!this.#hasFaults) throw error;
        }
      }
      if ((index + 1) % most === 0) await world.quiet(100);
    }
    await world.quiet(QUIET_MS);
    this.check();
    const told = new Set(this.#paths.filter((path) => path.endsWith('/probe')));
    // One of them may be what was lost, for want of memory.
    if (!this.#canProbe() || this.#oracle.overflows !== overflows) return;
    for (const path of inside)
      if (!told.has(path)) throw new Broken(`${path} is made, and not told; told are ${[...told]}`);
    for (const path of told) if (!inside.has(path)) throw new Broken(`${path} is told, and is not inside`);
  }

  /** What could not be reached for want of something is not heard: coverage() tells. */
  #canProbe(): boolean {
    return !this.#hasFaults || this.#scope.isPrivileged;
  }

  /** What there is inside, each with its path. */
  *#entries(): Generator<readonly [id: string, path: string]> {
    for (const [path, directory] of directoriesBelow(this.#world.system, '/data')) {
      if (!this.#isDirectoryInside(directory)) continue;
      for (const name of directory.entries?.keys() ?? []) {
        if (this.#oracle.isEntryInsideNow(directory, name)) yield [`${keyOf(directory)}/${name}`, `${path}/${name}`];
      }
    }
  }

  #isDirectoryInside(directory: Inode): boolean {
    if (this.#oracle.isUncertain(directory)) return false;
    return this.#scope.roots === undefined || this.#oracle.isInsideNow(directory);
  }

  async #take(): Promise<void> {
    const { random } = this.#world;
    for await (const batch of this.#listener.batches()) {
      for (const event of batch) this.#takeOne(event);
      if (random.chance(0.1)) await this.#world.pause(random.below(200));
    }
    this.#hasEnded = true;
    if (!this.#isClosing && this.#scope.roots === undefined) throw new Broken('a listener to everything has ended');
  }

  #takeOne(event: ListenEvent): void {
    if (this.#isClosing) return;
    if (event.seq !== ++this.#seq) throw new Broken(`event ${this.#seq} has the number ${event.seq}`);
    if (event.kind === 'gone') {
      this.#gone.push(event.reason);
      return;
    }
    if (event.kind === 'found') {
      if (this.#scope.isPrivileged) throw new Broken(`found is what a mark of the file system heard: ${event.path}`);
      this.#oracle.arrived.add(`${event.parent}/${event.rawName.toString('latin1')}`);
    } else this.#oracle.told(event as unknown as KernelEvent);
    if (event.kind !== 'overflow' && event.path !== null) this.#paths?.push(event.path);
  }
}

const FAULTS = ['descriptor', 'event', 'mark', 'memory'] as const;
const ARRIVALS = Number(maskOf(['movedTo', 'rename']));

function isOfKernel(error: unknown): boolean {
  return (
    typeof (error as { errno?: unknown }).errno === 'number' || typeof (error as { code?: unknown }).code === 'string'
  );
}

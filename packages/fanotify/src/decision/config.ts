// What an owner tells its responder to do: the options of a guard, checked and spelt out.

import { isAbsolute, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { AT_FDCWD, O_CLOEXEC, O_PATH } from '../abi/index.ts';
import { InvalidOptionsError } from '../group/errors.ts';
import { nearest } from '../group/nearest.ts';
import type { MarkTarget } from '../group/source.ts';
import { parseStat } from '../identity/proc-files.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { fsidHex } from '../scope/exclusions.ts';
import type { SystemLimits } from './admission.ts';
import type { ExemptionRule } from './exemptions.ts';
import type { GuardOptions, GuardTarget } from './options.ts';
import { KINDS } from './permission.ts';
import type { Policy } from './policy/policy.ts';
import { type ScanConfig, scanConfigOf } from './scan/config.ts';
import type { PermissionEventName, Verdict } from './verdict.ts';
import type { PolicySet } from './wire.ts';

interface ConfigTarget {
  /** Absolute, as latin1 of its bytes. */
  readonly path: string;
  /** What to call it. */
  readonly shown: string;
  readonly isDescriptor?: boolean;
}

/** Over the wire as JSON. */
export interface ResponderConfig {
  readonly ownerPid: number;
  readonly targets: readonly ConfigTarget[];
  readonly on: readonly PermissionEventName[];
  readonly isPreContent: boolean;
  readonly scope: 'inode' | 'mount' | 'filesystem' | 'subtree' | 'system' | 'byTarget';
  readonly crossMounts: boolean;
  readonly limits: SystemLimits;
  readonly directories: boolean;
  readonly deadlineMs: number;
  readonly onTimeout: Verdict;
  readonly onError: Verdict;
  readonly exempt: readonly ExemptionRule[];
  readonly trustsRoot: boolean;
  readonly maxCached: number;
  /** 0: as many as the limit of descriptors allows, up to the default. */
  readonly maxPending: number;
  readonly audit: boolean;
  readonly busyPollUs: number;
  /** The URL of a decide module; null where others decide. */
  readonly module: string | null;
  readonly policy: PolicySet | null;
  readonly scan: ScanConfig | null;
  /** Which decisions are told where no policy says that. */
  readonly records: 'all' | 'denied' | 'none';
}

const OPTIONS: readonly (keyof GuardOptions)[] = [
  'decide',
  'policy',
  'records',
  'scan',
  'on',
  'deadlineMs',
  'onTimeout',
  'onError',
  'scope',
  'crossMounts',
  'excludeTypes',
  'excludeFilesystems',
  'excludeMounts',
  'only',
  'directories',
  'class',
  'exempt',
  'trust',
  'maxCached',
  'maxPending',
  'audit',
  'restart',
  'busyPollUs',
  'signal',
  'kernel',
];
const SCOPES = ['inode', 'mount', 'filesystem', 'subtree', 'system'] as const;
const LONGEST_DEADLINE_MS = 3_600_000;
const DEFAULT_DEADLINE_MS = 5_000;
const DEFAULT_BUSY_POLL_US = 30;

/**
 * Checks what was asked for, before anything is started or marked.
 *
 * @throws InvalidOptionsError with a sentence that says what to say instead.
 */
export function configOf(
  kernel: Kernel,
  target: GuardTarget,
  given: GuardOptions,
  processors: number,
): ResponderConfig {
  if (typeof given !== 'object' || given === null) {
    throw new InvalidOptionsError(
      'guard() takes a path and an object of options with decide, as in { decide: () => "allow" }',
    );
  }
  const unknown = Object.keys(given).find((name) => !(OPTIONS as readonly string[]).includes(name));
  if (unknown !== undefined) {
    const meant = nearest(unknown, OPTIONS);
    throw new InvalidOptionsError(
      `guard() has no option ${JSON.stringify(unknown)}: ${meant === undefined ? `it has ${OPTIONS.join(', ')}` : `did you mean ${JSON.stringify(meant)}?`}`,
    );
  }
  const options = withPolicy(given);
  const { decide, policy } = options;
  checkDecide(decide, policy, given.scan !== undefined);
  aBoolean('restart', options.restart ?? false);
  if (given.kernel !== undefined && !given.kernel?.simulation) {
    throw new InvalidOptionsError(
      'kernel: takes that of a simulated machine, as createTestSystem() makes one; what Linux holds a process of its own answers, which asks Linux',
    );
  }
  if (options.signal !== undefined && !(options.signal instanceof AbortSignal)) {
    throw new InvalidOptionsError(`signal: ${String(options.signal)} is no AbortSignal`);
  }
  const exempt = options.exempt ?? [];
  if (!Array.isArray(exempt)) throw new InvalidOptionsError('exempt: takes a list, as in [{ uid: 107 }]');
  const on = options.on ?? ['open'];
  if (!Array.isArray(on) || on.length === 0) {
    throw new InvalidOptionsError("on: name the accesses to hold, as in ['open', 'openExec']");
  }
  for (const kind of on) oneOf('on', kind, KINDS);
  const isPreContent =
    oneOf('class', options.class ?? (on.includes('preAccess') ? 'preContent' : 'content'), [
      'content',
      'preContent',
    ] as const) === 'preContent';
  if (on.includes('preAccess') && !isPreContent) {
    throw new InvalidOptionsError("on: 'preAccess' is asked of guards of class 'preContent' alone: leave class out");
  }
  const scope = options.scope === undefined ? 'byTarget' : oneOf('scope', options.scope, SCOPES);
  const targets = targetsOf(kernel, target);
  checkScope(scope, targets, options);
  const config: ResponderConfig = {
    ownerPid: kernel.pid,
    targets,
    on: [...new Set(on)],
    isPreContent,
    scope,
    crossMounts: aBoolean('crossMounts', options.crossMounts ?? true),
    limits: limitsOf(options),
    directories: aBoolean('directories', options.directories ?? false),
    deadlineMs: wholeNumber('deadlineMs', options.deadlineMs ?? DEFAULT_DEADLINE_MS, 1, LONGEST_DEADLINE_MS),
    onTimeout: oneOf('onTimeout', options.onTimeout ?? 'allow', ['allow', 'deny'] as const),
    onError: oneOf('onError', options.onError ?? 'allow', ['allow', 'deny'] as const),
    exempt: exempt.map((exemption) => exemptionOf(kernel, exemption)),
    trustsRoot: oneOf('trust', options.trust ?? 'root', ['root', 'nobody'] as const) === 'root',
    maxCached: wholeNumber('maxCached', options.maxCached ?? 65_536, 0, 16_777_216),
    maxPending: options.maxPending === undefined ? 0 : wholeNumber('maxPending', options.maxPending, 1, 1_048_576),
    audit: aBoolean('audit', options.audit ?? false),
    busyPollUs: wholeNumber('busyPollUs', options.busyPollUs ?? (processors > 1 ? DEFAULT_BUSY_POLL_US : 0), 0, 1000),
    module: decide === undefined || typeof decide === 'function' ? null : moduleUrl(decide),
    policy: policy ? { number: 1, policy: policy.compiled } : null,
    scan: options.scan === undefined ? null : scanConfigOf(options.scan, options.deadlineMs ?? DEFAULT_DEADLINE_MS),
    records: recordsOf(options.records ?? false),
  };
  if (policy) checkPolicy(policy, config, decide !== undefined);
  return config;
}

/**
 * Whether a guard can decide by a policy.
 *
 * @throws InvalidOptionsError
 */
export function checkPolicy(
  policy: Policy,
  { on, audit, isPreContent, scan }: Pick<ResponderConfig, 'on' | 'audit' | 'isPreContent' | 'scan'>,
  asks: boolean,
): void {
  const kind = policy.on.find((name) => !on.includes(name));
  if (kind) {
    throw new InvalidOptionsError(
      `the policy has rules for ${kind}, which this guard does not hold: say on: [${[...on, kind].map((name) => `'${name}'`).join(', ')}] when it is opened`,
    );
  }
  for (const { name, line, action, errno, ...rule } of policy.compiled.rules) {
    const where = `rule ${JSON.stringify(name)} (line ${line})`;
    if (action === 'ask' && !asks)
      throw new InvalidOptionsError(`${where} asks, and there is nobody to ask: give guard() a function decide`);
    if (action === 'scan' && !scan)
      throw new InvalidOptionsError(
        `${where} scans, and there is nothing to scan with: give guard() { scan: { clamd: '/run/clamav/clamd.ctl' } }`,
      );
    if (errno !== undefined && errno !== 'EPERM' && !isPreContent)
      throw new InvalidOptionsError(`${where}: only guards of class 'preContent' deny with another error than EPERM`);
    if (rule.audit && !audit) throw new InvalidOptionsError(`${where}: the guard must be opened with audit: true`);
  }
}

/** What a policy's file says of its guard holds where the options say nothing. */
function withPolicy(options: GuardOptions): GuardOptions {
  const { policy } = options;
  if (policy === undefined) return options;
  if (typeof policy?.compiled !== 'object') {
    throw new InvalidOptionsError('policy: takes what loadPolicy() or parsePolicy() gives');
  }
  const { on, scope, deadlineMs, onTimeout, onError, trust, scan, needsAudit, needsPreContent } = policy;
  const isPreContent = needsPreContent || (options.on ?? on).includes('preAccess');
  return {
    ...options,
    on: options.on ?? on,
    scope: options.scope ?? scope,
    deadlineMs: options.deadlineMs ?? deadlineMs,
    onTimeout: options.onTimeout ?? onTimeout,
    onError: options.onError ?? onError,
    trust: options.trust ?? trust,
    scan: options.scan ?? scan,
    audit: options.audit ?? needsAudit,
    class: options.class ?? (isPreContent ? 'preContent' : 'content'),
  };
}

function recordsOf(records: unknown): ResponderConfig['records'] {
  if (records === 'denied') return records;
  if (typeof records === 'boolean') return records ? 'all' : 'none';
  throw new InvalidOptionsError(`records: ${String(records)} is none of true, false, 'denied'`);
}

function checkDecide(decide: unknown, policy: Policy | undefined, scans: boolean): void {
  if (scans && !policy) {
    if (decide === undefined) return;
    throw new InvalidOptionsError(
      'decide and scan are two ways to decide: leave one out, or say by a policy which is when',
    );
  }
  if (policy) {
    if (decide === undefined || typeof decide === 'function') return;
    throw new InvalidOptionsError('with a policy, decide is the function that its rules ask: not a module');
  }
  if (typeof decide === 'function' || typeof decide === 'string' || decide instanceof URL) return;
  throw new InvalidOptionsError(
    'guard() needs decide (a function, or the path or file URL of a module that exports one), a policy, or scan',
  );
}

/**
 * The same with descriptors of the guard's own in place of the owner's, for responders that are started later: by then those may be
 * closed, and their numbers other files'.
 *
 * @param kept Is given the descriptors, to be closed with the guard.
 * @throws KernelError when there are not enough.
 */
export function withOwnDescriptors(kernel: Kernel, config: ResponderConfig, kept: number[]): ResponderConfig {
  const targets = config.targets.map((target) => {
    // A subtree's root may be renamed until then.
    if (!target.isDescriptor && config.scope !== 'subtree') return target;
    try {
      const fd = kernel.openAt(AT_FDCWD, Buffer.from(target.path, 'latin1'), O_PATH | O_CLOEXEC);
      kept.push(fd);
      return { ...target, path: pathOfDescriptor(kernel, fd) };
    } catch (error) {
      if (target.isDescriptor) throw error;
      // The responder says what is wrong with it.
      return target;
    }
  });
  return { ...config, targets };
}

function pathOfDescriptor(kernel: Kernel, fd: number): string {
  return `/proc/${kernel.pid}/fd/${fd}`;
}

/** Refuses options of other scopes, and a system that is not everything. */
function checkScope(scope: ResponderConfig['scope'], targets: readonly ConfigTarget[], options: GuardOptions): void {
  if (options.crossMounts !== undefined && scope !== 'subtree') {
    throw new InvalidOptionsError("crossMounts goes with scope: 'subtree'");
  }
  const { excludeTypes, excludeFilesystems, excludeMounts, only } = options;
  if ((excludeTypes ?? excludeFilesystems ?? excludeMounts ?? only) !== undefined && scope !== 'system') {
    throw new InvalidOptionsError("excludeTypes, excludeFilesystems, excludeMounts and only go with scope: 'system'");
  }
  if (scope !== 'system' || (targets.length === 1 && targets[0]?.path === '/')) return;
  throw new InvalidOptionsError(
    "scope: 'system' is of all file systems: guard('/', …) alone, with only: […] for some of them",
  );
}

function limitsOf({ excludeTypes, excludeFilesystems, excludeMounts, only }: GuardOptions): SystemLimits {
  const list = (name: string, values: unknown, is: (value: unknown) => boolean, what: string): string[] => {
    const wrong = Array.isArray(values) ? values.find((value) => !is(value)) : values;
    if (Array.isArray(values) && wrong === undefined) return values as string[];
    throw new InvalidOptionsError(`${name}: ${String(wrong)} is no ${what}`);
  };
  const isPath = (value: unknown) => typeof value === 'string' && isAbsolute(value);
  const isDevice = (value: unknown) => typeof value === 'string' && /^\d+:\d+$/.test(value);
  const isFsid = (value: unknown) =>
    (typeof value === 'string' && /^(0x)?[0-9a-f]{1,16}$/i.test(value)) ||
    (Array.isArray(value) && value.length === 2 && value.every(Number.isSafeInteger));
  const isType = (value: unknown) => typeof value === 'string' || Number.isSafeInteger(value);
  const bytes = (path: string) => Buffer.from(resolve(path)).toString('latin1');
  return {
    types: list(
      'excludeTypes',
      excludeTypes ?? [],
      isType,
      "file system type: say a name, as in 'ext4', or the number of statfs(2)",
    ),
    fsids: list('excludeFilesystems', excludeFilesystems ?? [], isFsid, 'fsid as `stat -f -c %i` prints it').map(
      fsidHex,
    ),
    mountPoints: list('excludeMounts', excludeMounts ?? [], isPath, 'absolute path').map(bytes),
    only:
      only === undefined
        ? null
        : list('only', only, (value) => isPath(value) || isDevice(value), 'absolute path or device (major:minor)').map(
            (place) => (isDevice(place) ? place : bytes(place)),
          ),
  };
}

function moduleUrl(decide: string | URL): string {
  if (decide instanceof URL || /^(file|data):/.test(decide)) {
    const url = new URL(decide);
    if (url.protocol === 'file:') fileURLToPath(url);
    return url.href;
  }
  return pathToFileURL(resolve(decide)).href;
}

function targetsOf(kernel: Kernel, target: GuardTarget): ConfigTarget[] {
  const targets = (Array.isArray(target) ? target : [target]) as readonly MarkTarget[];
  if (targets.length === 0) throw new InvalidOptionsError('guard() needs a path to guard');
  return targets.map((one) => {
    if (typeof one === 'string') {
      if (one === '') throw new InvalidOptionsError('guard() needs a path to guard, and "" is none');
      return { path: Buffer.from(isAbsolute(one) ? one : resolve(one)).toString('latin1'), shown: one };
    }
    if (one instanceof Uint8Array) {
      const path = Buffer.from(one).toString('latin1');
      const start = path.startsWith('/') ? '' : `${kernel.readlink('/proc/self/cwd').toString('latin1')}/`;
      return { path: start + path, shown: Buffer.from(one).toString() };
    }
    if (typeof one === 'object' && one !== null && Number.isInteger(one.fd)) {
      const path = pathOfDescriptor(kernel, one.fd);
      try {
        kernel.statAt(AT_FDCWD, path, 0);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        throw new InvalidOptionsError(`descriptor ${one.fd} is not open in this process`, { cause: error });
      }
      return { path, shown: `descriptor ${one.fd}`, isDescriptor: true };
    }
    throw new InvalidOptionsError('guard() takes a path (a string or its bytes), { fd }, or several of these');
  });
}

function exemptionOf(kernel: Kernel, exemption: unknown): ExemptionRule {
  const { tree, uid, executable, ...rest } = (exemption ?? {}) as Record<string, unknown>;
  const unknown = Object.keys(rest)[0];
  if (typeof exemption !== 'object' || unknown !== undefined || (tree ?? uid ?? executable) === undefined) {
    throw new InvalidOptionsError(
      'exempt: each one has a tree (the pid of its first process), a uid, or an executable with a uid',
    );
  }
  if (executable !== undefined) {
    if (typeof executable !== 'string' || !isAbsolute(executable)) {
      throw new InvalidOptionsError(`exempt: executable ${JSON.stringify(executable)} is not an absolute path`);
    }
    if (uid === undefined) {
      throw new InvalidOptionsError(
        `exempt: { executable: ${JSON.stringify(executable)} } needs a uid beside it, since whoever runs a program can make it do what he likes (LD_PRELOAD): say whose, or uid: 'any' if anybody's is meant`,
      );
    }
  }
  const root = tree === undefined ? undefined : wholeNumber('exempt: tree', tree, 1, 0x7fff_ffff);
  return {
    tree: root,
    // Now: a responder that is started later would take another with the number for it.
    treeStartedMs: root === undefined ? undefined : startedMsOf(kernel, root),
    uid:
      uid === undefined || (uid === 'any' && executable !== undefined)
        ? undefined
        : wholeNumber('exempt: uid', uid, 0, 0xffff_fffe),
    executable: executable as string | undefined,
  };
}

function startedMsOf(kernel: Kernel, pid: number): number | undefined {
  try {
    return parseStat(kernel.readFile(`/proc/${pid}/stat`))?.startedMs;
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}

function wholeNumber(option: string, value: unknown, least: number, most: number): number {
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) return value as number;
  throw new InvalidOptionsError(`${option}: ${String(value)} is not a whole number from ${least} to ${most}`);
}

function aBoolean(option: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw new InvalidOptionsError(`${option}: ${String(value)} is neither true nor false`);
}

function oneOf<Word extends string>(option: string, value: unknown, words: readonly Word[]): Word {
  if (words.includes(value as Word)) return value as Word;
  const meant = typeof value === 'string' ? nearest(value, words) : undefined;
  throw new InvalidOptionsError(
    `${option}: ${typeof value === 'string' ? JSON.stringify(value) : String(value)} is none of ${words.join(', ')}${meant === undefined ? '' : `: did you mean ${JSON.stringify(meant)}?`}`,
  );
}

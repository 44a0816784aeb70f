// What a cgroup path says of a process: the container that it is in, and the unit of the service manager.

/** Who made a container. */
export type ContainerRuntime = 'docker' | 'containerd' | 'podman' | 'crio';

/**
 * A container, as the cgroup of a process in it names it.
 *
 * @example
 * import { Group } from 'fanotify';
 * // @param {import('fanotify').Container | null} container
 * const show = (container) => container?.pod ?? container?.id.slice(0, 12) ?? 'host';
 * console.log(show(null)); // host
 */
export interface Container {
  /** As its runtime names it: 64 hexadecimal digits. */
  readonly id: string;
  readonly runtime: ContainerRuntime;
  /** The Kubernetes pod that it is of: the pod's uid. */
  readonly pod?: string;
}

/** What a cgroup tells. */
export interface CgroupFacts {
  /** The cgroup's path; null when it is the root's. */
  readonly cgroup: string | null;
  readonly container: Container | null;
  /** The innermost unit of systemd: 'ssh.service', 'session-3.scope'; null outside of any, and in a container. */
  readonly unit: string | null;
}

// How runtimes name a container's cgroup, with systemd as its driver and without.
const SCOPE = /^(docker|cri-containerd|nerdctl|containerd|libpod|crio)-([0-9a-f]{64})\.scope$/;
// containerd's and CRI-O's with the other driver's name given to cgroupfs: kubepods-….slice:cri-containerd:ID.
const COLONS = /^[^:]*:(docker|cri-containerd|crio):([0-9a-f]{64})$/;
const PLAIN = /^(?:libpod-|crio-)?([0-9a-f]{64})$/;
const POD = /^(?:kubepods.*-)?pod([0-9a-f]{8}[-_][0-9a-f_-]{27}|[0-9a-f]{32})(?:\.slice)?$/;
const RUNTIMES: Readonly<Record<string, ContainerRuntime>> = {
  docker: 'docker',
  'cri-containerd': 'containerd',
  nerdctl: 'containerd',
  containerd: 'containerd',
  libpod: 'podman',
  crio: 'crio',
};
const UNIT = /\.(?:service|scope|socket|mount|swap|timer|path|target)$/;

/** Reads the text of /proc/pid/cgroup: cgroups(7). */
export function parseCgroup(text: string): CgroupFacts {
  const paths = text
    .split('\n')
    .map((line) => /^(\d+):([^:]*):(.*)$/.exec(line))
    .filter((match) => match !== null)
    // The unified hierarchy first, then systemd's, then any: cgroup v1 has one path for each controller.
    .sort((a, b) => rank(a) - rank(b))
    .map((match) => match[3] ?? '/');
  const inContainer = paths.find((path) => containerIn(path) !== null);
  const cgroup = inContainer ?? paths.find((path) => path !== '/') ?? null;
  const container = cgroup === null ? null : containerIn(cgroup);
  return { cgroup, container, unit: cgroup === null || container ? null : unitIn(cgroup) };
}

function rank([, hierarchy, controllers]: RegExpExecArray): number {
  if (hierarchy === '0') return 0;
  return controllers === 'name=systemd' ? 1 : 2;
}

/** The innermost container of a path: in one inside of another, the inner. */
function containerIn(path: string): Container | null {
  const names = path.split('/');
  for (let index = names.length - 1; index > 0; index--) {
    const name = names[index] ?? '';
    const above = names.slice(0, index);
    const [, maker, id] = SCOPE.exec(name) ?? COLONS.exec(name) ?? [];
    if (maker !== undefined && id !== undefined) return containerOf(id, RUNTIMES[maker] ?? 'containerd', above, name);
    const plain = PLAIN.exec(name)?.[1];
    if (plain !== undefined) return containerOf(plain, runtimeOf(name, above), above, name);
  }
  return null;
}

/** Without systemd as its driver a container's cgroup is a bare id: the one above tells whose. */
function runtimeOf(name: string, above: readonly string[]): ContainerRuntime {
  if (name.startsWith('libpod-') || above.some((part) => part.startsWith('libpod'))) return 'podman';
  if (name.startsWith('crio-')) return 'crio';
  return above.includes('docker') ? 'docker' : 'containerd';
}

function containerOf(id: string, runtime: ContainerRuntime, above: readonly string[], name: string): Container {
  const slice = name.includes(':') ? (name.split(':')[0] ?? '') : '';
  for (const part of [slice, ...above.toReversed()]) {
    const pod = POD.exec(part)?.[1];
    if (pod !== undefined) return { id, runtime, pod: pod.replaceAll('_', '-') };
  }
  return { id, runtime };
}

function unitIn(path: string): string | null {
  return path.split('/').findLast((name) => UNIT.test(name)) ?? null;
}

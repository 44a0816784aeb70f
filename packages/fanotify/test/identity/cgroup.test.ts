// What cgroup paths tell, as the runtimes and systemd make them.

import { describe, expect, it, test } from 'vitest';
import { parseCgroup } from '../../src/identity/cgroup.ts';

const ID = '0123456789abcdef'.repeat(4);
const OTHER = 'fedcba9876543210'.repeat(4);
const POD = '1a2b3c4d-1111-2222-3333-444455556666';
const POD_ = POD.replaceAll('-', '_');

describe('a container', () => {
  test.each([
    ['Docker with systemd', `/system.slice/docker-${ID}.scope`, 'docker', undefined],
    ['Docker without', `/docker/${ID}`, 'docker', undefined],
    ['Docker, systemd inside', `/system.slice/docker-${ID}.scope/init.scope`, 'docker', undefined],
    ['Podman', `/machine.slice/libpod-${ID}.scope/container`, 'podman', undefined],
    [
      'Podman of a user',
      `/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-${ID}.scope`,
      'podman',
      undefined,
    ],
    ['Podman without systemd', `/libpod_parent/libpod-${ID}`, 'podman', undefined],
    ['containerd by nerdctl', `/system.slice/nerdctl-${ID}.scope`, 'containerd', undefined],
    ['containerd without systemd', `/default/${ID}`, 'containerd', undefined],
    [
      'Kubernetes on containerd',
      `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${POD_}.slice/cri-containerd-${ID}.scope`,
      'containerd',
      POD,
    ],
    ['Kubernetes without systemd', `/kubepods/besteffort/pod${POD}/${ID}`, 'containerd', POD],
    ['Kubernetes on CRI-O', `/kubepods.slice/kubepods-pod${POD_}.slice/crio-${ID}.scope`, 'crio', POD],
    [
      'Kubernetes, drivers mixed up',
      `/system.slice/containerd.service/kubepods-burstable-pod${POD_}.slice:cri-containerd:${ID}`,
      'containerd',
      POD,
    ],
  ])('of %s', (_, cgroup, runtime, pod) => {
    expect(parseCgroup(`0::${cgroup}\n`)).toEqual({
      cgroup,
      container: { id: ID, runtime, ...(pod !== undefined && { pod }) },
      unit: null,
    });
  });

  it('in another is told, not the outer one', () => {
    const cgroup = `/system.slice/docker-${ID}.scope/docker/${OTHER}`;
    expect(parseCgroup(`0::${cgroup}\n`).container).toEqual({ id: OTHER, runtime: 'docker' });
  });

  it('is found in whichever hierarchy it is', () => {
    const text = `12:pids:/docker/${ID}\n1:name=systemd:/\n0::/\n`;
    expect(parseCgroup(text)).toMatchObject({ cgroup: `/docker/${ID}`, container: { id: ID, runtime: 'docker' } });
  });

  it('is not the process that watches over one', () => {
    expect(parseCgroup(`0::/machine.slice/libpod-conmon-${ID}.scope\n`).container).toBeNull();
    expect(parseCgroup(`0::/system.slice/containerd.service\n`).container).toBeNull();
  });
});

describe('a unit', () => {
  test.each([
    ['/system.slice/ssh.service', 'ssh.service'],
    ['/user.slice/user-1000.slice/session-3.scope', 'session-3.scope'],
    ['/user.slice/user-1000.slice/user@1000.service/app.slice/app-shell.service', 'app-shell.service'],
    ['/system.slice/system-getty.slice/getty@tty1.service', 'getty@tty1.service'],
    ['/user.slice', null],
  ])('of %s', (cgroup, unit) => {
    expect(parseCgroup(`0::${cgroup}\n`)).toEqual({ cgroup, container: null, unit });
  });

  it('comes from the hierarchy of systemd where there are several', () => {
    expect(parseCgroup('4:memory:/foo\n1:name=systemd:/system.slice/cron.service\n0::/\n').unit).toBe('cron.service');
  });
});

it('tells nothing of the root, and of what has another form', () => {
  const nothing = { cgroup: null, container: null, unit: null };
  expect(parseCgroup('0::/\n')).toEqual(nothing);
  expect(parseCgroup('')).toEqual(nothing);
  expect(parseCgroup('no colon\n')).toEqual(nothing);
});

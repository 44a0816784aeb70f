// As whom a task reaches files: Kernel.actAs.

import type { Identity } from '../../kernel/kernel.ts';
import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { NO_CAPABILITIES, setCapabilities, setfsgid, setfsuid, setgroups } from '../tasks/credentials.ts';

interface Own extends Identity {
  readonly capabilities: ReadonlySet<string>;
}

export class ActingIdentity {
  readonly #system: System;
  /** As what it was before it first acted as somebody. */
  #own: Own | undefined;

  constructor(system: System) {
    this.#system = system;
  }

  actAs(identity: Identity | null): void {
    const system = this.#system;
    const { credentials } = system.current;
    this.#own ??= {
      uid: credentials.euid,
      gid: credentials.egid,
      groups: credentials.groups,
      capabilities: credentials.capabilities,
    };
    const own = this.#own;
    const { uid, gid, groups } = identity ?? own;
    // As itself first: only then may the others be set.
    setCapabilities(system, credentials.permitted);
    setfsuid(system, own.uid);
    setgroups(system, groups);
    setfsgid(system, gid);
    setfsuid(system, uid);
    if (credentials.fsgid !== gid || credentials.fsuid !== uid) refuse('EPERM');
    // Last: as the uid changes the kernel changes these, too.
    setCapabilities(system, identity ? NO_CAPABILITIES : own.capabilities);
  }
}

// What a client may see of an event: whose it is, and a descriptor that is no better than its own open would give. Whether it may reach a
// file is looked at as that client, by a visitor; meanwhile the event waits, and those behind it.

import { AT_FDCWD } from '../../abi/index.ts';
import { OVERFLOW } from '../../core/bits.ts';
import type { Core } from '../../core/core.ts';
import type { CoreGroup } from '../../core/group.ts';
import type { Told } from '../../core/process/event-wire.ts';
import type { Waiting } from '../../core/queue.ts';
import { type Kernel, KernelError } from '../../kernel/index.ts';
import { grantEverywhere, UNGRANTED } from '../rights.ts';
import type { ClientConnection } from '../served.ts';
import type { Visits } from '../visits.ts';
import type { Place } from './marked-place.ts';

/** How many events of a client are looked at at a time. */
const MOST_LOOKED_AT = 32;

/** What can be told now, and the events that it is of. */
export interface Visible {
  readonly told: readonly Told[];
  readonly of: readonly Waiting[];
}

/** What was looked at: a descriptor of the client's own, or none; undefined while that is not known. */
interface Look {
  found: { readonly fd: number } | null | undefined;
}

export interface SightParts {
  readonly kernel: Kernel;
  readonly core: Core;
  readonly group: CoreGroup;
  readonly visits: Visits;
  readonly connection: ClientConnection;
  /** The open flags that the client has asked for. */
  readonly eventFlags: number;
  /** More is known than before. */
  looked(): void;
  /** Nobody can look at an event: whether it is told as a loss in its place, and not later. By default it is. */
  readonly lose?: () => boolean;
}

export class Sight {
  readonly #parts: SightParts;
  readonly #kernel: Kernel;
  readonly #looks = new Map<Waiting, Look>();
  #out = 0;
  #isClosed = false;

  constructor(parts: SightParts) {
    this.#parts = parts;
    this.#kernel = parts.kernel;
  }

  /** Those of the first that can be told now, each as it is to be told. Has others looked at. */
  visible(events: readonly Waiting[]): Visible {
    this.#forgetWithdrawn();
    const visible: { told: Told[]; of: Waiting[] } = { told: [], of: [] };
    let isWaiting = false;
    const pids = new Map<number, number>();
    for (const event of events) {
      let carried: Told['carried'] = event.carried;
      if (this.#isHidden(event)) {
        const look = this.#looks.get(event) ?? this.#look(event);
        if (!look) break;
        if (event.isWithdrawn) continue;
        carried = look.found ?? undefined;
        isWaiting ||= look.found === undefined;
      }
      if (isWaiting) continue;
      visible.told.push(this.#as(event, carried, pids));
      visible.of.push(event);
    }
    return visible;
  }

  /** How many are told for certain. */
  certain(events: readonly Waiting[]): number {
    const isCertain = (event: Waiting) => !this.#isHidden(event) || this.#looks.get(event)?.found !== undefined;
    return events.filter((event) => event.request === undefined && isCertain(event)).length;
  }

  /** These were told. */
  taken(events: readonly Waiting[]): void {
    for (const event of events) this.#forget(event);
  }

  close(): void {
    this.#isClosed = true;
    for (const event of [...this.#looks.keys()]) this.#forget(event);
  }

  /** Whether it is only for those who may reach the file. */
  #isHidden({ bits, attached }: Waiting): boolean {
    if (bits === OVERFLOW || this.#parts.group.initBits !== 0) return false;
    return !(attached as Place | undefined)?.grant.all;
  }

  /** Has an event looked at; undefined when too many are. */
  #look(event: Waiting): Look | undefined {
    const { visits, connection, eventFlags } = this.#parts;
    const place = event.attached as Place | undefined;
    if (!event.carried || !place) {
      // Nothing tells what it is of, and so who may hear it.
      this.#lose(event);
      return { found: null };
    }
    if (this.#out >= MOST_LOOKED_AT) return undefined;
    const look: Look = { found: undefined };
    this.#looks.set(event, look);
    event.isClosed = true;
    this.#out++;
    visits.visit(connection.rights.peer, place.fd, event.carried.fd, eventFlags, (answer) => {
      this.#out--;
      this.#found(event, look, answer);
    });
    return look;
  }

  #found(event: Waiting, look: Look, answer: number | null | undefined | 'stuck'): void {
    const { core, group } = this.#parts;
    if (this.#isClosed || event.isWithdrawn) {
      if (typeof answer === 'number') this.#kernel.close(answer);
      this.#looks.delete(event);
    } else if (answer === 'stuck') {
      this.#looks.delete(event);
      this.#giveUp(event);
    } else if (answer === undefined) {
      this.#looks.delete(event);
      if (event.ask === undefined) group.queue.drop(event);
      // It may be its to decide, and nobody is to get past that by a mount that nothing tells of.
      else if ((event.attached as Place | undefined)?.isDoubtful) core.giveUp(group, event.ask);
      else core.passOver(group, event.ask);
    } else {
      look.found = answer === null ? null : { fd: answer };
    }
    if (!this.#isClosed) this.#parts.looked();
  }

  /** Nobody could look. */
  #giveUp(event: Waiting): void {
    const { core, group } = this.#parts;
    if (event.ask === undefined) this.#lose(event);
    else core.giveUp(group, event.ask);
  }

  #lose(event: Waiting): void {
    const { group, lose } = this.#parts;
    if (lose?.() ?? true) group.queue.lose(event);
    else group.queue.drop(event);
  }

  #as({ bits, pid, ask, range, attached }: Waiting, carried: Told['carried'], pids: Map<number, number>): Told {
    return { bits, ask, range, carried, pid: this.#shown(pid, attached as Place | undefined, pids) };
  }

  /** A pid, if it may be shown. */
  #shown(pid: number, place: Place | undefined, known: Map<number, number>): number {
    const { group, connection } = this.#parts;
    const grant = place?.grant ?? (group.initBits === 0 ? UNGRANTED : grantEverywhere(connection.rights));
    if (pid === 0 || grant.pids) return pid;
    let shown = known.get(pid);
    if (shown === undefined) {
      shown = this.#isClients(pid) ? pid : 0;
      known.set(pid, shown);
    }
    return shown;
  }

  #isClients(pid: number): boolean {
    try {
      return this.#kernel.statAt(AT_FDCWD, `/proc/${pid}`, 0).uid === this.#parts.connection.rights.peer.uid;
    } catch (error) {
      if (error instanceof KernelError) return false;
      throw error;
    }
  }

  /** What nobody is told any more needs no descriptor. */
  #forgetWithdrawn(): void {
    for (const [event, { found }] of this.#looks) {
      if (event.isWithdrawn && found !== undefined) this.#forget(event);
    }
  }

  #forget(event: Waiting): void {
    const look = this.#looks.get(event);
    if (look?.found === undefined) return;
    this.#looks.delete(event);
    if (look.found) this.#kernel.close(look.found.fd);
  }
}

// Reads groups: events in words, their descriptors closed. What asks something is for `events`; `once` and `drain` allow it.

import * as abi from '../../src/abi/index.ts';
import type { Kernel } from '../../src/kernel/index.ts';
import type { ExpectedEvent } from '../conformance/case.ts';
import type { Machine } from '../conformance/machine.ts';
import { holdsAccess } from '../conformance/numbers.ts';
import { describeEvent } from '../conformance/observe.ts';
import type { Naming } from './naming.ts';
import { isRefusal } from './refusal.ts';

// A descriptor for each event.
const READ_BYTES = 8192;
const POLLIN = 1;
/** A simulator gone wrong may have events without end. */
const MOST_READS = 500;

export class Reader {
  readonly #machine: Machine;
  readonly #naming: Naming;
  readonly #buffer: Buffer = Buffer.alloc(READ_BYTES);

  constructor(machine: Machine, naming: Naming) {
    this.#machine = machine;
    this.#naming = naming;
  }

  get #kernel(): Kernel {
    return this.#machine.kernel;
  }

  isReadable(fd: number): boolean {
    return this.#kernel.poll([{ fd, events: POLLIN, revents: 0 }], 0) > 0;
  }

  /** Everything in the queue. */
  drain(fd: number): ExpectedEvent[] {
    const events: ExpectedEvent[] = [];
    for (let reads = 0; reads < MOST_READS && this.isReadable(fd); reads++) {
      const before = events.length;
      const got = this.once(fd, READ_BYTES);
      if (typeof got === 'string') events.push({ failed: got });
      else events.push(...got);
      if (got === 'EINVAL' || events.length === before) break;
    }
    return events;
  }

  /** One read(2) of so many bytes: events, or what it failed with. */
  once(fd: number, bytes: number): ExpectedEvent[] | string {
    const failures: ExpectedEvent[] = [];
    const events = this.events(fd, failures, bytes).map(([event, described]) => {
      if (holdsAccess(event.mask) && event.fd >= 0) this.#allow(fd, event.fd);
      return described;
    });
    return failures[0]?.failed ?? events;
  }

  /** Whoever is held by what nobody has read before goes on. */
  #allow(group: number, fd: number): void {
    this.#kernel.close(fd);
    const bytes = Buffer.alloc(8);
    bytes.writeInt32LE(fd, 0);
    bytes.writeUInt32LE(abi.FAN_ALLOW, 4);
    this.#kernel.write(group, bytes);
  }

  /** One read(2). The descriptors of what asks something stay open; a failure goes to the others. */
  events(
    fd: number,
    failures: ExpectedEvent[],
    bytes: number = READ_BYTES,
  ): (readonly [abi.DecodedEvent, ExpectedEvent])[] {
    const buffer = this.#buffer.subarray(0, bytes);
    try {
      return abi.decodeEvents(buffer.subarray(0, this.#kernel.read(fd, buffer))).map((event) => {
        const described = this.#naming.event(describeEvent(event, this.#machine, this.#naming.words));
        if (!holdsAccess(event.mask) && event.fd >= 0) this.#kernel.close(event.fd);
        for (const record of event.records)
          if (record.type === 'PIDFD' && record.pidfd >= 0) this.#kernel.close(record.pidfd);
        return [event, described] as const;
      });
    } catch (error) {
      if (!isRefusal(error)) throw error;
      failures.push({ failed: error.code });
      return [];
    }
  }
}

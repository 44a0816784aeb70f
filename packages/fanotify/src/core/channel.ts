// Channels: the kernel groups that feed the core, one for each class in use. All groups of the core that hear by a channel are served by
// one set of kernel marks: the least that tells each of them what it asked for.

import { NOTIFY_BITS, PERMISSION_BITS } from './bits.ts';

/** The classes of kernel groups: who fills files before they are accessed, who decides on accesses, and who is told. */
export type ChannelClass = 'content' | 'preContent' | 'notification';

/** What is heard by one kernel group: asked before it happens, or told after it, with descriptors of one kind. */
export class Channel {
  readonly key: string;
  readonly class: ChannelClass;
  /** The open flags of event descriptors. */
  readonly eventFlags: number;
  /** The events that come by it. */
  readonly bits: number;
  /** How many groups of the core hear by it. */
  groups = 0;
  /** How many accesses the kernel has denied itself, having no descriptor to give. */
  kernelDenied = 0;

  constructor(key: string, channelClass: ChannelClass, eventFlags: number) {
    this.key = key;
    this.class = channelClass;
    this.eventFlags = eventFlags;
    this.bits = channelClass === 'notification' ? NOTIFY_BITS : PERMISSION_BITS;
  }

  get asks(): boolean {
    return this.class !== 'notification';
  }
}

// What the daemon says of itself: over the admin socket, and to `fanotifyd status`.

import type { BrokerKind, BrokerTotals, GroupStatus } from 'fanotify/broker';
import type { RefusalCause } from './admission.ts';

export interface DaemonStatus {
  readonly version: string;
  readonly pid: number;
  readonly upSeconds: number;
  /** undefined where there is no file: nobody is granted anything. */
  readonly configuration: { readonly file: string | undefined; readonly readAt: string };
  readonly connections: {
    readonly accepted: number;
    /** Those that have not said yet what they are for. */
    readonly waiting: number;
    readonly refused: Readonly<Record<RefusalCause, number>>;
  };
  readonly brokers: readonly BrokerReport[];
  /** In order of priority. */
  readonly groups: readonly GroupStatus[];
  /** Of those that have groups. */
  readonly users: readonly { readonly uid: number; readonly groups: number }[];
}

export interface BrokerReport {
  readonly kind: BrokerKind;
  readonly pid: number | undefined;
  /** Whether it runs, and answers. */
  readonly isWell: boolean;
  readonly restarts: number;
  readonly clients: number;
  /** Since it was started; undefined while it does not answer. */
  readonly totals: BrokerTotals | undefined;
}

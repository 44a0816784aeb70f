// The same as metrics, in the text of OpenMetrics. Labels name brokers and causes alone: what clients choose, or are many of, is in the status.

import type { GroupStatus } from 'fanotify/broker';
import { Counter, Gauge, type Metric, type OpenMetricsContentType, Registry } from 'prom-client';
import type { BrokerReport, DaemonStatus } from './status.ts';

type Totals = NonNullable<BrokerReport['totals']>;

/** What each broker has done since it was started: it counts from 0 again after a restart, as counters may. */
const COUNTERS: readonly (readonly [name: string, help: string, value: (totals: Totals) => number])[] = [
  ['fanotifyd_events_read', 'Events read from the kernel.', ({ read }) => read],
  ['fanotifyd_kernel_overflows', "How often the kernel's own queue was full.", (totals) => totals.kernelOverflows],
  ['fanotifyd_accesses_answered', 'Accesses that were answered.', ({ answered }) => answered],
  ['fanotifyd_accesses_timed_out', 'Accesses that got a policy, since nobody answered in time.', (it) => it.timedOut],
  ['fanotifyd_events_unplaced', 'Events whose place nobody could tell any more.', ({ unplaced }) => unplaced],
  ['fanotifyd_visits', 'Checks made as a user.', ({ visits }) => visits],
  ['fanotifyd_visits_stuck', 'Checks made as a user that took too long.', ({ visitsStuck }) => visitsStuck],
];

/** Sums over the groups that there are. */
const SUMS: readonly (readonly [name: string, help: string, value: (group: GroupStatus) => number])[] = [
  ['fanotifyd_marks', 'Marks of clients.', ({ marks }) => marks],
  ['fanotifyd_queued_events', 'Events that wait for clients.', ({ queued }) => queued],
  ['fanotifyd_queued_bytes', 'Bytes of events that wait for clients.', ({ queuedBytes }) => queuedBytes],
  ['fanotifyd_lost_events', 'Events that the present groups have lost, and were told so.', ({ lost }) => lost],
  ['fanotifyd_pending_accesses', "Accesses that wait for a client's response.", ({ pending }) => pending],
];

/** All of it, as text. */
export async function metricsText(status: DaemonStatus): Promise<string> {
  // What is made anew for each scrape needs no state, and can be no older than that.
  const registry = new Registry<OpenMetricsContentType>();
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  const registers = [registry];
  const gauge = (name: string, help: string, labelNames: string[] = ['broker']) =>
    new Gauge({ name, help, labelNames, registers });
  const counter = (name: string, help: string, labelNames: string[] = ['broker']) =>
    new Counter({ name, help, labelNames, registers });

  gauge('fanotifyd_up_seconds', 'How long the daemon has been running.', []).set(status.upSeconds);
  counter('fanotifyd_connections_accepted', 'Connections taken.', []).inc(status.connections.accepted);
  gauge('fanotifyd_connections_waiting', 'Connections without a first request.', []).set(status.connections.waiting);
  const refused = counter('fanotifyd_connections_refused', 'Connections refused.', ['cause']);
  for (const [cause, count] of Object.entries(status.connections.refused)) refused.inc({ cause }, count);

  const up = gauge('fanotifyd_broker_up', 'Whether a broker runs, and answers.');
  const restarts = counter('fanotifyd_broker_restarts', 'How often a broker was started anew.');
  const clients = gauge('fanotifyd_groups', 'Groups of clients.');
  const kernelMarks = gauge('fanotifyd_kernel_marks', 'Marks in the kernel.');
  for (const { kind, isWell, restarts: count, clients: groups, totals } of status.brokers) {
    up.set({ broker: kind }, isWell && totals ? 1 : 0);
    restarts.inc({ broker: kind }, count);
    clients.set({ broker: kind }, groups);
    if (totals) kernelMarks.set({ broker: kind }, totals.kernelMarks);
  }
  for (const [name, help, value] of COUNTERS) {
    const each = counter(name, help);
    for (const { kind, totals } of status.brokers) if (totals) each.inc({ broker: kind }, value(totals));
  }
  for (const [name, help, value] of SUMS) {
    const each = gauge(name, help);
    for (const { kind } of status.brokers) each.set({ broker: kind }, sumOf(status.groups, kind, value));
  }
  const oldest = gauge('fanotifyd_oldest_pending_seconds', 'How long the oldest pending access has been waiting.');
  for (const { kind } of status.brokers) {
    const ages = status.groups
      .filter((group) => group.kind === kind && group.pending > 0)
      .map(({ oldestMs }) => oldestMs);
    oldest.set({ broker: kind }, Math.max(0, ...ages) / 1_000);
  }
  registry.registerMetric(heldSeconds(status.brokers) as unknown as Metric);
  return await registry.metrics();
}

function sumOf(groups: readonly GroupStatus[], kind: string, value: (group: GroupStatus) => number): number {
  return groups.reduce((sum, group) => (group.kind === kind ? sum + value(group) : sum), 0);
}

/** prom-client's own histogram takes single values; brokers have counted them already. */
function heldSeconds(brokers: readonly BrokerReport[]) {
  const name = 'fanotifyd_held_seconds';
  const values = brokers.flatMap(({ kind, totals }) => {
    if (!totals || totals.heldSeconds.counts.every((count) => count === 0)) return [];
    const { bounds, counts, sum } = totals.heldSeconds;
    let cumulative = 0;
    const buckets = counts.map((count, index) => {
      cumulative += count;
      const le = bounds[index] ?? '+Inf';
      return { metricName: `${name}_bucket`, labels: { broker: kind, le }, value: cumulative };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels: { broker: kind }, value: sum },
      { metricName: `${name}_count`, labels: { broker: kind }, value: cumulative },
    ];
  });
  const help = 'How long accesses were held until they were answered.';
  return {
    name,
    help,
    type: 'histogram',
    get: async () => ({ name, help, type: 'histogram', values, aggregator: 'sum' }),
  };
}

export const METRICS_TYPE: string = Registry.OPENMETRICS_CONTENT_TYPE;

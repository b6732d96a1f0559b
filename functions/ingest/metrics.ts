import type { Metrics } from '#shared/metrics.ts'

export type IngestMetrics = ReturnType<typeof createIngestMetrics>

/** What ingest counts. */
export function createIngestMetrics(metrics: Metrics) {
  return {
    events: metrics.counter({
      name: 'ptp_watch_events_total',
      help: 'Notifications received, by outcome.',
      labels: {
        outcome: [
          'applied',
          'initial',
          'delayed',
          'duplicate',
          'late',
          'suspect',
          /** The node already has as many clocks as a document holds. */
          'full',
          'placeholder',
          'empty',
          'quarantined',
          /** From a node that is neither configured nor in the store, or without a node. */
          'unknown',
          /** Sent by us and delivered back by a Broker. */
          'own',
        ],
      },
    }),
    quarantined: metrics.counter({
      name: 'ptp_watch_quarantined_total',
      help: 'Acknowledged bodies that are not a valid event of their node, by reason.',
      labels: { reason: ['no-event', 'no-kind', 'no-time', 'no-node', 'other-node', 'no-address'] },
    }),
    waiting: metrics.gauge({
      name: 'ptp_watch_backlog_events',
      help: 'Events answered with 503 that are buffered until the store recovers.',
    }),
    lost: metrics.counter({
      name: 'ptp_watch_backlog_dropped_total',
      help: 'Events dropped because the backlog was full while the store was down; the next poll finds their state.',
    }),
  }
}

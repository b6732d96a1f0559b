import type { Metrics } from '#shared/metrics.ts'

export type IngestMetrics = ReturnType<typeof createIngestMetrics>

/** What ingest counts. */
export function createIngestMetrics(metrics: Metrics) {
  return {
    events: metrics.counter({
      name: 'ptp_watch_events_total',
      help: 'Notifications taken in, by what became of them.',
      labels: {
        outcome: [
          'applied',
          'initial',
          'delayed',
          'duplicate',
          'late',
          'placeholder',
          'empty',
          'quarantined',
          'stranger',
          'full',
          'own',
        ],
      },
    }),
    quarantined: metrics.counter({
      name: 'ptp_watch_quarantined_total',
      help: 'Acknowledged bodies that are no event of their node, by reason.',
      labels: { reason: ['no-event', 'no-kind', 'no-time', 'no-node', 'other-node', 'no-address'] },
    }),
    waiting: metrics.gauge({
      name: 'ptp_watch_waiting_events',
      help: 'Events that were refused with 503 and wait here for the store to return.',
    }),
    lost: metrics.counter({
      name: 'ptp_watch_waiting_overflow_total',
      help: 'Events that found no place to wait in while the store was down; polls find what they said.',
    }),
  }
}

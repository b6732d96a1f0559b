import type { Metrics } from '#shared/metrics.ts'

export type BrokerMetrics = ReturnType<typeof createBrokerMetrics>

/** What forwarding counts. */
export function createBrokerMetrics(metrics: Metrics) {
  return {
    events: metrics.counter({
      name: 'ptp_watch_forwarded_total',
      help: 'Events offered to the sink, by its answer; what failed is offered again, poison is set aside.',
      labels: { outcome: ['taken', 'poison', 'failed'] },
    }),
  }
}

import type { Metrics } from '#shared/metrics.ts'

export type BrokerMetrics = ReturnType<typeof createBrokerMetrics>

/** What forwarding counts. Defined only where there is a sink. */
export function createBrokerMetrics(metrics: Metrics) {
  return {
    events: metrics.counter({
      name: 'ptp_watch_forwarded_total',
      help: 'Events sent to the sink, by its answer: failed ones are retried, rejected ones are skipped.',
      labels: { outcome: ['accepted', 'rejected', 'failed'] },
    }),
    waiting: metrics.gauge({
      name: 'ptp_watch_forward_waiting_nodes',
      help: 'Nodes with events that the sink has not accepted yet, as far as this process knows.',
    }),
  }
}

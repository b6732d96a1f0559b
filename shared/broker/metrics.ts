import type { Metrics } from '#shared/metrics.ts'

export type BrokerMetrics = ReturnType<typeof createBrokerMetrics>

/** What forwarding counts. Defined only where there is a sink. */
export function createBrokerMetrics(metrics: Metrics) {
  return {
    events: metrics.counter({
      name: 'ptp_watch_forwarded_total',
      help: 'Events offered to the sink, by its answer; what failed is offered again, poison is set aside.',
      labels: { outcome: ['taken', 'poison', 'failed'] },
    }),
    waiting: metrics.gauge({
      name: 'ptp_watch_forward_waiting_nodes',
      help: 'Nodes that this process knows to have events that the sink has not taken yet.',
    }),
  }
}

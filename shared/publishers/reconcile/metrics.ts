import type { Metrics } from '#shared/metrics.ts'

export type ReconcilerMetrics = ReturnType<typeof createReconcilerMetrics>

/** What the reconciler counts. Once in a process. */
export function createReconcilerMetrics(metrics: Metrics) {
  return {
    subscriptions: metrics.counter({
      name: 'ptp_watch_subscriptions_total',
      help: 'Subscriptions of PTP Watch that were created, adopted, restored after a loss, or removed.',
      labels: { action: ['created', 'adopted', 'restored', 'removed'] },
    }),
    unsticks: metrics.counter({
      name: 'ptp_watch_sidecar_unsticks_total',
      help: 'Stuck v1 sidecars that were re-subscribed and flushed.',
      labels: { outcome: ['ok', 'failed'] },
    }),
    reconciles: metrics.counter({
      name: 'ptp_watch_reconciles_total',
      help: 'Reconciliations of the subscriptions at one publisher.',
      labels: { outcome: ['ok', 'failed'] },
    }),
  }
}

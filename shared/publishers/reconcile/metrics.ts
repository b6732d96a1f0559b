import type { Counter, Metrics } from '#shared/metrics.ts'

export type KeeperMetrics = {
  readonly subscriptions: Counter<{ action: readonly ['created', 'adopted', 'restored', 'removed'] }>
  readonly cures: Counter<{ outcome: readonly ['done', 'failed'] }>
  readonly runs: Counter<{ outcome: readonly ['kept', 'failed'] }>
}

/** What the keeper counts. Once in a process: the names are then taken. */
export function createKeeperMetrics(metrics: Metrics): KeeperMetrics {
  return {
    subscriptions: metrics.counter({
      name: 'ptp_watch_subscriptions_total',
      help: 'Subscriptions of ours that were created, adopted, restored after a loss, or removed.',
      labels: { action: ['created', 'adopted', 'restored', 'removed'] },
    }),
    cures: metrics.counter({
      name: 'ptp_watch_sidecar_cures_total',
      help: 'Stuck or marked v1 sidecars that were asked to report and given their subscriptions again.',
      labels: { outcome: ['done', 'failed'] },
    }),
    runs: metrics.counter({
      name: 'ptp_watch_publisher_keeps_total',
      help: 'Looks at the subscriptions of one publisher.',
      labels: { outcome: ['kept', 'failed'] },
    }),
  }
}

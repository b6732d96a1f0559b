import type { KubernetesClient } from '#shared/kubernetes/client.ts'
import type { Log } from '#shared/log.ts'
import type { Metrics } from '#shared/metrics.ts'
import type { MergeSettings } from '#shared/state/merge/draft.ts'
import type { Store } from '#shared/state/store/store.ts'
import type { Clock } from '#shared/time.ts'
import type { Nodes } from './nodes.ts'
import { EVENT_REASONS } from './occurrences.ts'

/** What every part of condition needs. */
export type ConditionDeps = {
  readonly client: KubernetesClient
  readonly nodes: Nodes
  readonly store: Pick<Store, 'read' | 'log' | 'versions'>
  readonly settings: MergeSettings
  readonly clock: Clock
  readonly log: Log
  readonly metrics: ConditionMetrics
}

type ConditionMetrics = ReturnType<typeof createConditionMetrics>

/** What condition counts. */
export function createConditionMetrics(metrics: Metrics) {
  return {
    updates: metrics.counter({
      name: 'ptp_watch_node_condition_updates_total',
      help: 'Updates of the conditions of a Node, by result; absent: the cluster has no such Node.',
      labels: { outcome: ['changed', 'heartbeat', 'unchanged', 'absent', 'failed'] },
    }),
    events: metrics.counter({
      name: 'ptp_watch_kubernetes_events_total',
      help: 'Log entries written as Kubernetes Events of Nodes, by reason.',
      labels: { reason: EVENT_REASONS },
    }),
    sweeps: metrics.counter({
      name: 'ptp_watch_condition_sweeps_total',
      help: 'Sweeps of the store, by whether all Nodes could be updated.',
      labels: { outcome: ['ok', 'failed'] },
    }),
    lastSweep: metrics.gauge({
      name: 'ptp_watch_condition_sweep_last_success_timestamp_seconds',
      help: 'When a sweep last updated all Nodes, in seconds since 1970.',
    }),
    tainted: metrics.gauge({
      name: 'ptp_watch_nodes_tainted',
      help: 'Nodes with the taint of TAINT at the last sweep.',
    }),
    withheld: metrics.gauge({
      name: 'ptp_watch_nodes_taint_withheld',
      help: 'Nodes in FREERUN without the taint, because their site has reached its limit of tainted Nodes.',
    }),
  }
}

import type { KubernetesClient } from '#shared/kubernetes/client.ts'
import type { Log } from '#shared/log.ts'
import type { Metrics } from '#shared/metrics.ts'
import type { MergeSettings } from '#shared/state/merge/draft.ts'
import type { Store } from '#shared/state/store/store.ts'
import type { Clock } from '#shared/time.ts'
import type { Nodes } from './nodes.ts'
import { EVENT_REASONS } from './occurrences.ts'

/** What every part of condition goes by. */
export type ConditionDeps = {
  readonly client: KubernetesClient
  readonly nodes: Nodes
  readonly store: Pick<Store, 'read' | 'log' | 'versions'>
  readonly settings: MergeSettings
  readonly clock: Clock
  readonly log: Log
  readonly metrics: ConditionMetrics
}

export type ConditionMetrics = ReturnType<typeof createConditionMetrics>

/** What condition counts. */
export function createConditionMetrics(metrics: Metrics) {
  return {
    updates: metrics.counter({
      name: 'ptp_watch_node_condition_updates_total',
      help: 'Looks at a node, by what became of the conditions of its Node; absent: the cluster has no such Node.',
      labels: { outcome: ['changed', 'heartbeat', 'unchanged', 'absent', 'failed'] },
    }),
    events: metrics.counter({
      name: 'ptp_watch_kubernetes_events_total',
      help: 'Occurrences written as Kubernetes Events of Nodes, by reason.',
      labels: { reason: EVENT_REASONS },
    }),
    sweeps: metrics.counter({
      name: 'ptp_watch_condition_sweeps_total',
      help: 'Sweeps of the store, by whether all Nodes could be brought up to date.',
      labels: { outcome: ['ok', 'failed'] },
    }),
    lastSweep: metrics.gauge({
      name: 'ptp_watch_condition_sweep_last_success_timestamp_seconds',
      help: 'When a sweep last brought all Nodes up to date.',
    }),
    tainted: metrics.gauge({
      name: 'ptp_watch_nodes_tainted',
      help: 'Nodes that have the taint of TAINT, by the last sweep.',
    }),
    withheld: metrics.gauge({
      name: 'ptp_watch_nodes_taint_withheld',
      help: 'Nodes that free-run without the taint, since their group has as many tainted Nodes as it may have.',
    }),
  }
}

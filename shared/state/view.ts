import type { LogEntry, NodeState } from './document.ts'
import { isBlind, isNodeStale, isStale, type Overall, overallOf } from './merge/overall.ts'
import type { MergeSettings } from './merge/draft.ts'

/** A node as `GET /api/nodes` shows it. Times are RFC 3339; `since` is null where no push has dated the state. */
export type NodeView = {
  node: string
  overall: Overall
  stale: boolean
  /** One of its clocks is suspect. */
  suspect: boolean
  /** Nothing of it can reach us: no push and no pull. */
  blind: boolean
  labels: Record<string, string>
  publisher: NonNullable<NodeState['publisher']> | null
  resources: {
    kind: string
    instance: string
    state: string | null
    metrics: Record<string, string>
    since: string | null
    /** Where `since` is null: the state is at least this old, by the poll that first showed it (our time). */
    notAfter: string | null
    observedAt: string
    receivedAt: string
    timeFrom?: 'receipt'
    confirmedAt: string
    stale: boolean
    contested: boolean
    suspect: { told: string; at: string; receivedAt: string } | null
    via: string
  }[]
  subscriptions: { kind: string; address: string; id: string; confirmedAt: string }[]
  counters: NodeState['counters']
  log?: LogEntry[]
}

/** The public picture of a node at `now` (milliseconds), with its log where one is given. Retired clocks are left out. */
export function viewOf(
  state: NodeState,
  now: number,
  settings: MergeSettings,
  log?: readonly LogEntry[],
): NodeView {
  const clocks = state.clocks.filter((clock) => !clock.retired)
  return {
    node: state.node,
    overall: overallOf(state, now, settings),
    stale: isNodeStale(state, now, settings),
    suspect: clocks.some(({ suspect }) => suspect !== undefined),
    blind: isBlind(state),
    labels: state.labels ?? {},
    publisher: state.publisher ?? null,
    resources: clocks.map((clock) => ({
      kind: clock.kind,
      instance: clock.instance,
      state: clock.state,
      metrics: clock.metrics,
      since: clock.since,
      notAfter: clock.since === null ? (clock.pull?.sentAt ?? clock.receivedAt) : null,
      observedAt: clock.observedAt,
      receivedAt: clock.receivedAt,
      ...(clock.timeFrom === undefined ? {} : { timeFrom: clock.timeFrom }),
      confirmedAt: clock.confirmedAt,
      stale: isStale(clock, now, settings),
      contested: clock.contested,
      suspect: clock.suspect ?? null,
      via: clock.via,
    })),
    // The endpoint holds our callback token: it stays inside.
    subscriptions: state.subscriptions.map(({ kind, address, id, confirmedAt }) => ({
      kind,
      address,
      id,
      confirmedAt,
    })),
    counters: state.counters,
    ...(log === undefined ? {} : { log: [...log] }),
  }
}

import type { LogEntry, NodeState } from './document.ts'
import type { MergeSettings } from './merge/draft.ts'
import { conditionOf, isStale } from './merge/overall.ts'

/** A node as `GET /api/nodes` shows it. Times are RFC 3339; `since` is null if no push has dated the state. */
export type NodeView = ReturnType<typeof viewOf>

/** The public view of a node at `now` (milliseconds), with its log if given. Retired clocks are left out. */
export function viewOf(state: NodeState, now: number, settings: MergeSettings, log?: readonly LogEntry[]) {
  const { node, labels = {}, publisher = null, counters } = state
  const { overall, stale, blind } = conditionOf(state, now, settings)
  const clocks = state.clocks.filter(({ retired }) => !retired)
  return {
    node,
    /** The number of its newest log entry. */
    seq: state.seq,
    overall,
    stale,
    /** One of its clocks is suspect. */
    suspect: clocks.some(({ suspect }) => suspect !== undefined),
    blind,
    labels,
    publisher,
    resources: clocks.map((clock) => ({
      kind: clock.kind,
      instance: clock.instance,
      state: clock.state,
      metrics: clock.metrics,
      since: clock.since,
      /** If `since` is null: the state is at least this old, by the poll that first showed it (our time). */
      notAfter: clock.since === null ? (clock.pull?.sentAt ?? clock.receivedAt) : null,
      observedAt: clock.observedAt,
      receivedAt: clock.receivedAt,
      timeFrom: clock.timeFrom,
      confirmedAt: clock.confirmedAt,
      stale: isStale(clock, now, settings),
      contested: clock.contested,
      suspect: clock.suspect ?? null,
      via: clock.via,
    })),
    // Endpoints contain our callback token, so they are left out.
    subscriptions: state.subscriptions.map(({ kind, address, id, confirmedAt }) => ({
      kind,
      address,
      id,
      confirmedAt,
    })),
    counters,
    ...(state.damaged !== undefined && { damaged: state.damaged }),
    ...(log !== undefined && { log }),
  }
}

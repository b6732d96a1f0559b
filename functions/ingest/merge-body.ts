import type { Normalised } from '#shared/events/normalise.ts'
import type { Observation } from '#shared/events/observation.ts'
import { mergePulls, type Pull } from '#shared/state/merge-pull.ts'
import { mergePush } from '#shared/state/merge-push.ts'
import type { NewEntry, NodeState } from '#shared/state/node-state.ts'
import type { MergeSettings } from '#shared/state/settings.ts'
import type { Outcome } from '#shared/state/store.ts'
import { milliseconds } from '#shared/time.ts'

/** A pending subscription counts as one for this long at most (design.md §3, rule 9). Milliseconds. */
const PENDING_FOR = 10_000

/** What one body says of one node. */
export type Said = Pick<Normalised, 'named'> & {
  readonly observations: readonly Observation[]
  /** Our time, RFC 3339. */
  readonly receivedAt: string
}

/** What became of a body, for the metrics, and what it added to the log. */
export type Received = { readonly outcome: string; readonly entries: readonly NewEntry[] }

/**
 * Merges what one body says of one node: the kinds that are being subscribed to as their initial notification
 * (design.md §3, rule 9), all others as a push. Pure. `now` in our milliseconds.
 */
export function mergeBody(
  before: NodeState,
  said: Said,
  settings: MergeSettings,
  now: number,
): Outcome<Received> {
  const pulls = before.pending.length === 0 ? [] : initialOf(before, said)
  if (pulls.length === 0) {
    const {
      state,
      entries = [],
      counters,
      certain,
      result,
    } = mergePush(before, said.observations, settings, now)
    return { state, entries, counters, certain, result: { outcome: result, entries } }
  }
  const pushed = said.observations.filter(({ kind }) => pulls.every((pull) => pull.kind !== kind))
  const initial = mergePulls(before, pulls, settings, { now })
  const push = pushed.length === 0 ? undefined : mergePush(initial.state ?? before, pushed, settings, now)
  const entries = [...(initial.entries ?? []), ...(push?.entries ?? [])]
  return {
    state: push?.state ?? initial.state,
    entries,
    // Each counts the body as received: it is one all the same.
    counters: { ...initial.counters, ...push?.counters },
    result: { outcome: 'initial', entries },
  }
}

function initialOf(before: NodeState, { observations, named, receivedAt }: Said): Pull[] {
  return [...Map.groupBy(observations, ({ kind }) => kind)].flatMap(([kind, ofKind]): Pull[] => {
    const create = createOf(before, kind, receivedAt)
    if (create === undefined) return []
    return [
      {
        kind,
        via: 'initial',
        observations: ofKind.map((observation) => ({ ...observation, via: 'initial' })),
        named: named.filter((clock) => clock.kind === kind),
        sentAt: create.requestedAt,
        receivedAt,
        queryTime:
          (create.queryTime ?? before.publisher?.dialect !== 'starlingx-v2') &&
          ofKind.every(({ timeFrom }) => timeFrom === undefined),
        none: false,
      },
    ]
  })
}

/**
 * The create that a reading of this kind is the initial notification of; undefined if of none. What counts is when
 * it was received: it may have waited for the store since.
 */
function createOf(
  { pending }: NodeState,
  kind: string,
  receivedAt: string,
): NodeState['pending'][number] | undefined {
  const received = milliseconds(receivedAt)
  return pending.find(
    (create) => create.kind === kind && Math.abs(received - milliseconds(create.requestedAt)) < PENDING_FOR,
  )
}

import type { Normalised } from '#shared/events/normalise.ts'
import type { Observation } from '#shared/events/observation.ts'
import { mergePulls } from './pull.ts'
import type { Pull, MergeSettings } from './draft.ts'
import { type Fate, mergePush } from './push.ts'
import type { NewEntry, NodeState } from '#shared/state/document.ts'
import type { Outcome } from '#shared/state/store/change.ts'
import { compareTimes, milliseconds } from '#shared/time.ts'

/** How long a create counts as under way at most (design.md §3, rule 9). Milliseconds. */
const PENDING_FOR = 10_000

/** What one body says of one node. */
export type Said = Pick<Normalised, 'named'> & {
  readonly observations: readonly Observation[]
  /** Our time, RFC 3339. */
  readonly receivedAt: string
}

/** The outcome of a body, for the metrics, and what it added to the log. */
export type Received = {
  readonly outcome: Fate | 'initial' | 'quarantined'
  readonly entries: readonly NewEntry[]
}

/**
 * Merges what one body says of one node. Kinds whose subscription is just being created are merged as the initial
 * notification (design.md §3, rule 9), all others as a push. Pure. `now` in our milliseconds.
 */
export function mergeBody(
  before: NodeState,
  said: Said,
  settings: MergeSettings,
  now: number,
): Outcome<Received> {
  const pulls = before.pending.length === 0 ? [] : initialOf(before, said)
  if (pulls.length === 0) {
    const { state, entries = [], counters, result } = mergePush(before, said.observations, settings, now)
    const noted = heard(state ?? before, said)
    const next = noted === before ? undefined : noted
    return { state: next, entries, counters, result: { outcome: result, entries } }
  }
  const taken = new Set<Observation>(pulls.flatMap(({ of }) => of))
  const pushed = said.observations.filter((observation) => !taken.has(observation))
  const initial = mergePulls(before, pulls, settings, { now })
  const push = pushed.length === 0 ? undefined : mergePush(initial.state ?? before, pushed, settings, now)
  const entries = [...(initial.entries ?? []), ...(push?.entries ?? [])]
  return {
    state: heard(push?.state ?? initial.state ?? before, said),
    entries,
    // Both count the body as received; it is still one body.
    counters: { ...initial.counters, ...push?.counters },
    result: { outcome: 'initial', entries },
  }
}

/** An initial notification is newer than everything received before it; a late push is not. */
function isNewest({ clocks }: NodeState, { kind, instance, at }: Observation): boolean {
  const clock = clocks.find((each) => each.kind === kind && each.instance === instance)
  const known = [clock?.pushes[0]?.at, clock?.pull?.at]
  return known.every((time) => time === undefined || compareTimes(at, time) > 0)
}

type Initial = Pull & { readonly of: readonly Observation[] }

/** The first reading of each clock while a create is under way; later ones are pushes. */
function initialOf(before: NodeState, { observations, named, receivedAt }: Said): Initial[] {
  return [...Map.groupBy(observations, ({ kind }) => kind)].flatMap(([kind, all]): Initial[] => {
    const create = createOf(before, kind, receivedAt)
    if (create === undefined) return []
    const ofKind = all.filter(
      (observation) => !create.heard?.includes(observation.instance) && isNewest(before, observation),
    )
    if (ofKind.length === 0) return []
    return [
      {
        kind,
        of: ofKind,
        create: create.requestedAt,
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

/** Notes at the creates under way which clocks this body has readings of. */
function heard(state: NodeState, { observations, receivedAt }: Said): NodeState {
  const isNoted = state.pending.some(
    (create) => isUnderWay(create, receivedAt) && observations.some(({ kind }) => kind === create.kind),
  )
  if (!isNoted) return state
  const pending = state.pending.map((create) => {
    if (!isUnderWay(create, receivedAt)) return create
    const ofKind = observations.filter(({ kind }) => kind === create.kind)
    const instances = new Set(ofKind.map(({ instance }) => instance))
    return instances.size === 0
      ? create
      : { ...create, heard: [...(create.heard ?? []), ...instances].slice(-MOST_HEARD) }
  })
  return { ...state, pending }
}

/** That there were several is enough to know, however many pushes arrive during a create. */
const MOST_HEARD = 128

/**
 * The create that a reading of this kind belongs to, if any. What counts is when it was received: it may have waited
 * for the store since.
 */
function createOf(
  { pending }: NodeState,
  kind: string,
  receivedAt: string,
): NodeState['pending'][number] | undefined {
  return pending.find((create) => create.kind === kind && isUnderWay(create, receivedAt))
}

function isUnderWay({ requestedAt }: NodeState['pending'][number], receivedAt: string): boolean {
  return Math.abs(milliseconds(receivedAt) - milliseconds(requestedAt)) < PENDING_FOR
}

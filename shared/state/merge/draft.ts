import { DECIDING_KINDS } from '#shared/kinds.ts'
import type { Observation, Via } from '#shared/events/observation.ts'
import type { ClockState, Counters, NewEntry, NodeState, Reading } from '#shared/state/document.ts'

/** The times and kinds that the merge rules go by, all in milliseconds (design.md §7). */
export type MergeSettings = {
  /** A clock that nothing has confirmed for this long is stale. */
  readonly staleAfterMs: number
  /** Pushes may still be queued at a publisher for this long. */
  readonly settleMs: number
  /** Pushes may arrive out of order by this much; more means that the publisher's clock was moved. */
  readonly reorderMs: number
  /** A LOCKED node needs a LOCKED clock of each of these kinds. */
  readonly overallKinds: readonly string[]
}

export const defaultSettings: MergeSettings = {
  staleAfterMs: 180_000,
  settleMs: 5_000,
  reorderMs: 60_000,
  overallKinds: DECIDING_KINDS,
}

/** What one CurrentState request for a kind returned, or an initial notification, which says the same. */
export type Pull = {
  readonly kind: string
  readonly via: 'poll' | 'initial'
  readonly observations: readonly Observation[]
  /** Clocks named without a reading of them. */
  readonly named: readonly { readonly kind: string; readonly instance: string }[]
  /** Our time at which the request was sent, RFC 3339; of an initial notification, the request to subscribe. */
  readonly sentAt: string
  readonly receivedAt: string
  /** The publisher's `time` is that of the request, and orders pull and pushes; otherwise receipt orders them. */
  readonly queryTime: boolean
  /** When the create was requested during which this arrived: it may be an ordinary push (rule 9). */
  readonly create?: string | undefined
  /** The publisher holds our subscription, and says that it has no clock of this kind. */
  readonly none: boolean
}

/**
 * The context of all merge rules: a node's document while it is being merged. Only the functions below change it.
 * Documents and clocks are replaced, never modified.
 */
export type Draft = {
  readonly settings: MergeSettings
  /** Our time, milliseconds. */
  readonly now: number
  /** How what is being merged reached us. */
  readonly via: Via
  readonly before: NodeState
  state: NodeState
  /** `overall` is added when the merge is finished. */
  readonly entries: DraftEntry[]
  readonly counters: Partial<Counters>
}

export type DraftEntry = Omit<NewEntry, 'overall'>

/** Which clock of a node. */
export type Name = Pick<ClockState, 'kind' | 'instance'>

export function createDraft(before: NodeState, settings: MergeSettings, now: number, via: Via): Draft {
  return { settings, now, via, before, state: before, entries: [], counters: {} }
}

/** The clock of that name; one without a reading yet looks like a retired one. */
export function clockOf({ state }: Draft, { kind, instance }: Name): ClockState {
  const known = state.clocks.find((clock) => clock.kind === kind && clock.instance === instance)
  return known ?? { ...UNREAD, kind, instance }
}

const UNREAD: Omit<ClockState, keyof Name> = {
  state: 'UNKNOWN',
  metrics: {},
  since: null,
  observedAt: '',
  receivedAt: '',
  confirmedAt: '',
  via: 'push',
  contested: false,
  retired: true,
  pushes: [],
}

/** Without a limit, a hostile sender could add a clock to the document with every event. */
const MOST_CLOCKS = 64

/** Puts a clock in place of the one of the same name. False if the document is full. */
export function putClock(draft: Draft, clock: ClockState): boolean {
  const { clocks } = draft.state
  const index = clocks.findIndex(({ kind, instance }) => kind === clock.kind && instance === clock.instance)
  if (index === -1 && clocks.length >= MOST_CLOCKS) return false
  patchNode(draft, { clocks: index === -1 ? [...clocks, clock] : clocks.with(index, clock) })
  return true
}

export function patchNode(draft: Draft, change: Partial<NodeState>): void {
  draft.state = { ...draft.state, ...change }
}

/** Adds a log entry about a clock. */
export function addEntry(
  draft: Draft,
  type: NewEntry['type'],
  { kind, instance }: Name,
  fields: Partial<DraftEntry>,
): void {
  draft.entries.push({ type, kind, instance, via: draft.via, ...fields })
}

export function count({ counters }: Draft, name: keyof Counters): void {
  counters[name] = (counters[name] ?? 0) + 1
}

export function readingOf({ at, state, metrics, receivedAt }: Observation): Reading {
  return { at, state: state ?? null, metrics: { ...metrics }, receivedAt }
}

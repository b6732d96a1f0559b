import { rankOf } from '#shared/events/words.ts'
import { isoTime, milliseconds } from '#shared/time.ts'
import type { ClockState, NodeState } from '#shared/state/document.ts'
import type { MergeSettings } from './draft.ts'
import { isAhead } from './own-times.ts'

export type Overall = 'FREERUN' | 'HOLDOVER' | 'UNKNOWN' | 'LOCKED'

/** The kinds whose clocks decide whether a node may transmit. */
export const OVERALL_KINDS: ReadonlySet<string> = new Set(['lock-state', 'os-clock-sync-state'])

/** What of a document decides about the node as a whole. */
export type Deciding = Pick<NodeState, 'clocks' | 'absent' | 'publisher'>

/** A clock that no push and no pull has confirmed for long enough, or nobody knows when. `now` in milliseconds. */
export function isStale(clock: ClockState, now: number, settings: MergeSettings): boolean {
  // Times of our own clock are all written alike, so that their texts are in their order.
  const { confirmedAt } = clock
  return confirmedAt <= isoTime(now - settings.staleAfterMs) || isAhead(confirmedAt, now, settings)
}

/**
 * A stale clock that pulls of its kind do not name any more, before it is retired (rule 10): it may well
 * be gone, so it neither proves nor disproves LOCKED. FREERUN and HOLDOVER stand until it is retired. Pulls that go
 * on retire it in time; if they stopped, it is silent like any other.
 */
function isLeaving(clock: ClockState, now: number, settings: MergeSettings): boolean {
  return (
    clock.unnamed !== undefined &&
    !isAhead(clock.unnamed.confirmedAt, now, settings) &&
    now - milliseconds(clock.unnamed.confirmedAt) < settings.staleAfterMs &&
    clock.state !== 'FREERUN' &&
    clock.state !== 'HOLDOVER'
  )
}

/** What is said of a node as a whole. */
export type Condition = {
  /**
   * The one word for a node (design.md §3): the worst of its lock-state and OS clocks. Silence is never LOCKED: a
   * stale clock counts as UNKNOWN, unless it was FREERUN or HOLDOVER, which stand; and LOCKED needs a LOCKED clock
   * of each kind asked for, save a kind that the node has been shown not to have. A suspect clock, and
   * one that nothing has confirmed since its node became blind, count like a stale one.
   */
  readonly overall: Overall
  /** A node is stale while any clock of the deciding kinds is, save one that is on its way out. */
  readonly stale: boolean
  /** Nothing of the node can reach us: no push and no pull. */
  readonly blind: boolean
}

/** `now` in milliseconds. Both in one go: each event asks for both, and clocks lie apart in memory. */
export function conditionOf(state: Deciding, now: number, settings: MergeSettings): Condition {
  let overall: Overall = 'LOCKED'
  let stale = false
  const blind = isBlind(state)
  const decided = new Set<string>()
  for (const clock of state.clocks) {
    if (clock.retired || !OVERALL_KINDS.has(clock.kind)) continue
    const isSilent = isStale(clock, now, settings)
    if (isSilent && isLeaving(clock, now, settings)) continue
    stale ||= isSilent
    decided.add(clock.kind)
    const isDoubtful = isUnseen(clock, state) || clock.suspect !== undefined
    const word = effective(clock, isSilent || isDoubtful)
    if (rankOf('lock-state', word) < rankOf('lock-state', overall)) overall = word
  }
  if (overall === 'LOCKED') {
    const kinds = settings.overallKinds
    const isProven = kinds.every((kind) => decided.has(kind) || isAbsent(state, kind, now, settings))
    if (!isProven || !kinds.some((kind) => decided.has(kind))) overall = 'UNKNOWN'
  }
  return { overall, stale, blind }
}

/** Nothing of the node can reach us, no push and no pull (design.md §3), and nothing has since that was found. */
export function isBlind(state: Pick<Deciding, 'publisher' | 'clocks'>): boolean {
  if (state.publisher?.blindSince === undefined) return false
  const deciding = state.clocks.filter(({ kind, retired }) => OVERALL_KINDS.has(kind) && !retired)
  return deciding.every((clock) => isUnseen(clock, state))
}

/** A clock that nothing has confirmed since its node was found to be blind. */
function isUnseen({ confirmedAt }: ClockState, { publisher }: Pick<Deciding, 'publisher'>): boolean {
  // Times of our own clock are all written alike, so that their texts are in their order.
  return publisher?.blindSince !== undefined && confirmedAt <= publisher.blindSince
}

export function overallOf(state: Deciding, now: number, settings: MergeSettings): Overall {
  return conditionOf(state, now, settings).overall
}

export function isNodeStale(state: Deciding, now: number, settings: MergeSettings): boolean {
  return conditionOf(state, now, settings).stale
}

/**
 * Whether a node has been shown to have no clock of a kind: pulls of it have named none for long enough, while
 * the clocks of another kind were confirmed (NTP-only and PTP-HA nodes have no lock-state). Time alone shows
 * nothing: it takes a pull at the end, and is forgotten like any reading that is confirmed no more.
 */
export function isAbsent(state: Deciding, kind: string, now: number, settings: MergeSettings): boolean {
  const absence = state.absent[kind]
  if (absence === undefined || isAhead(absence.confirmedAt, now, settings)) return false
  const confirmedAt = milliseconds(absence.confirmedAt)
  if (confirmedAt - milliseconds(absence.since) < settings.staleAfterMs) return false
  if (now - confirmedAt >= settings.staleAfterMs) return false
  return clocksOf(state, kind).length === 0 && isOtherConfirmed(state, kind, now, settings)
}

/** Whether a clock of another of the deciding kinds is confirmed. */
export function isOtherConfirmed(
  state: Deciding,
  kind: string,
  now: number,
  settings: MergeSettings,
): boolean {
  return state.clocks.some(
    (clock) =>
      clock.kind !== kind &&
      OVERALL_KINDS.has(clock.kind) &&
      !clock.retired &&
      !isStale(clock, now, settings),
  )
}

function clocksOf(state: Deciding, kind: string): ClockState[] {
  return state.clocks.filter((clock) => clock.kind === kind && !clock.retired)
}

function effective({ state }: ClockState, isDoubtful: boolean): Overall {
  if (state === 'FREERUN' || state === 'HOLDOVER') return state
  return state === 'LOCKED' && !isDoubtful ? 'LOCKED' : 'UNKNOWN'
}

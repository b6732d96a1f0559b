import { DECIDING_KINDS } from '#shared/kinds.ts'
import { rankOf } from '#shared/events/words.ts'
import type { ClockState, NodeState } from '#shared/state/document.ts'
import { milliseconds } from '#shared/time.ts'
import type { MergeSettings } from './draft.ts'
import { isAhead } from './own-times.ts'

export type Overall = 'FREERUN' | 'HOLDOVER' | 'UNKNOWN' | 'LOCKED'

/** The kinds whose clocks decide whether a node may transmit. */
export const OVERALL_KINDS: ReadonlySet<string> = new Set(DECIDING_KINDS)

/** The parts of a document that decide the state of the node. */
type Deciding = Pick<NodeState, 'clocks' | 'absent' | 'publisher'>

/** The state of a node as a whole. */
type Condition = {
  /**
   * The one word for a node (design.md §3): the worst of its lock-state and OS clocks. Silence is never LOCKED: a
   * stale clock counts as UNKNOWN, unless it was FREERUN or HOLDOVER, which stand; and LOCKED needs a LOCKED clock
   * of each kind asked for, save a kind that the node has been shown not to have. A suspect clock, and
   * one that nothing has confirmed since its node became blind, count like a stale one.
   */
  readonly overall: Overall
  /** A deciding clock of the node is stale, other than one that is about to be retired. */
  readonly stale: boolean
  /** Neither pushes nor polls can reach us, and nothing has been received since that was found. */
  readonly blind: boolean
}

/** `now` in milliseconds. */
export function conditionOf(state: Deciding, now: number, settings: MergeSettings): Condition {
  const blindSince = state.publisher?.blindSince
  let [overall, stale, blind]: [Overall, boolean, boolean] = ['LOCKED', false, blindSince !== undefined]
  const has = new Set<string>()
  for (const clock of state.clocks) {
    if (!isDeciding(clock)) continue
    const isSilent = isStale(clock, now, settings)
    const isUnseen = blindSince !== undefined && clock.confirmedAt <= blindSince
    blind &&= isUnseen
    if (isSilent && isLeaving(clock, now, settings)) continue
    has.add(clock.kind)
    stale ||= isSilent
    const word = wordOf(clock, isSilent || isUnseen)
    if (rankOf('lock-state', word) < rankOf('lock-state', overall)) overall = word
  }
  const kinds = settings.overallKinds
  const isProven =
    kinds.some((kind) => has.has(kind)) &&
    kinds.every((kind) => has.has(kind) || isAbsent(state, kind, now, settings))
  return { overall: overall === 'LOCKED' && !isProven ? 'UNKNOWN' : overall, stale, blind }
}

function wordOf({ state, suspect }: ClockState, isSilent: boolean): Overall {
  if (state === 'FREERUN' || state === 'HOLDOVER') return state
  return state === 'LOCKED' && !isSilent && suspect === undefined ? 'LOCKED' : 'UNKNOWN'
}

/** Whether no push and no pull has confirmed a clock for STALE_AFTER_SECONDS. `now` in milliseconds. */
export function isStale({ confirmedAt }: ClockState, now: number, settings: MergeSettings): boolean {
  const age = now - milliseconds(confirmedAt)
  return !(age < settings.staleAfterMs && age >= -settings.settleMs)
}

export function isDeciding({ kind, retired }: ClockState): boolean {
  return OVERALL_KINDS.has(kind) && !retired
}

/**
 * Whether pulls no longer name a stale clock that is not retired yet (rule 10). It is probably gone, so it neither
 * proves nor disproves LOCKED; FREERUN and HOLDOVER stand until it is retired. If pulls stop too, it counts as stale
 * like any other.
 */
function isLeaving({ state, unnamed }: ClockState, now: number, settings: MergeSettings): boolean {
  if (unnamed === undefined || state === 'FREERUN' || state === 'HOLDOVER') return false
  if (isAhead(unnamed.confirmedAt, now, settings)) return false
  return now - milliseconds(unnamed.confirmedAt) < settings.staleAfterMs
}

/**
 * Whether a node is known to have no clock of a kind: its pulls have named none for long enough, while clocks of another
 * kind were confirmed (NTP-only and PTP-HA nodes have no lock-state). Time alone proves nothing: a pull has to confirm
 * it, and it expires like any reading. A clock of the kind that is there all the same counts.
 */
export function isAbsent(
  state: Pick<NodeState, 'absent'>,
  kind: string,
  now: number,
  settings: MergeSettings,
): boolean {
  const absence = state.absent[kind]
  if (absence === undefined || isAhead(absence.confirmedAt, now, settings)) return false
  const confirmedAt = milliseconds(absence.confirmedAt)
  if (confirmedAt - milliseconds(absence.since) < settings.staleAfterMs) return false
  return now - confirmedAt < settings.staleAfterMs
}

/** Whether a clock of another of the deciding kinds is confirmed. */
export function isOtherConfirmed(
  { clocks }: Deciding,
  kind: string,
  now: number,
  settings: MergeSettings,
): boolean {
  return clocks.some((clock) => clock.kind !== kind && isDeciding(clock) && !isStale(clock, now, settings))
}

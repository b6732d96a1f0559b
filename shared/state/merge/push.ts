import type { Observation } from '#shared/events/observation.ts'
import type { ClockState, NodeState, Reading } from '#shared/state/document.ts'
import type { Outcome } from '#shared/state/store/change.ts'
import { compareTimes } from '#shared/time.ts'
import { isWorse, remember, sameContent, sameValue, shownValue, standing, takesWorst } from './clock.ts'
import {
  addEntry,
  clockOf,
  count,
  createDraft,
  type Draft,
  type MergeSettings,
  putClock,
  readingOf,
} from './draft.ts'
import { finishDraft } from './finish.ts'
import { anchored, isOutOfOrder, isSuspect, suspect } from './set-back.ts'
import { datedBy, datedByItself } from './undated.ts'

/** What became of a push; of several clocks in one body, what became of the most telling of them. */
export type Fate = 'applied' | 'delayed' | 'duplicate' | 'late' | 'full' | 'suspect'

const FATES: readonly Fate[] = ['full', 'suspect', 'applied', 'delayed', 'late', 'duplicate']

/**
 * Merges a push: every observation of one body (design.md §3, rules 1 to 3, and of 6 to 8 what concerns pushes).
 * Pure. `now` is our time in milliseconds.
 */
export function mergePush(
  before: NodeState,
  observations: readonly Observation[],
  settings: MergeSettings,
  now: number,
): Outcome<Fate> {
  const draft = createDraft(before, settings, now, observations[0]?.via ?? 'push')
  const fates = standingOf(observations).map((observation) => mergeOne(draft, observation))
  const fate = FATES.find((candidate) => fates.includes(candidate)) ?? 'duplicate'
  count(draft, 'received')
  if (fate === 'duplicate' || fate === 'late') count(draft, fate)
  return { ...finishDraft(draft), result: fate }
}

/** Rule 2 within one body: what contradicts itself must not be told as better first and as worse next. */
function standingOf(observations: readonly Observation[]): Observation[] {
  const sameTime = Map.groupBy(observations, ({ kind, instance, at }) => JSON.stringify([kind, instance, at]))
  return [...sameTime.values()].map((all) =>
    all.reduce((worst, other) => (isWorse(other.kind, readingOf(other), readingOf(worst)) ? other : worst)),
  )
}

function mergeOne(draft: Draft, observation: Observation): Fate {
  const push = readingOf(observation)
  const clock = datedByItself(draft, clockOf(draft, observation))
  if (observation.timeFrom === 'receipt') return mergeTimeless(draft, clock, push)
  const [newest, ...others] = clock.pushes
  const order = newest === undefined ? 1 : compareTimes(push.at, newest.at)
  if (newest === undefined || order > 0) return mergeNewest(draft, clock, push)
  if (order < 0) return mergeLate(draft, clock, push, newest)
  // Rule 2: the same time and content is a duplicate; with other content the worst stands.
  if (sameContent(newest, push)) return 'duplicate'
  if (standing(clock.kind, newest, push) === newest) return 'late'
  return mergeNewest(draft, { ...clock, pushes: others }, push)
}

/** An event without a time orders nothing: worse than the state it applies, better it changes nothing (design.md §3). */
function mergeTimeless(draft: Draft, clock: ClockState, push: Reading): Fate {
  if (!clock.retired && !isWorse(clock.kind, push, clock)) return 'late'
  return show(draft, clock, push, 'receipt') ? 'applied' : 'full'
}

/** Rule 1: a push newer than every other applies, unless the last pull already knew it (rule 6). */
function mergeNewest(draft: Draft, before: ClockState, push: Reading): Fate {
  const former = anchored(draft, before, push)
  const clock = { ...former, pushes: remember(former, push), pushedAt: push.receivedAt }
  const isKnown = isInPull(clock, push)
  const dated = isKnown || isNextAfterPull(clock) ? datedBy(draft, clock, push) : undefined
  if (isKnown) {
    if (dated === undefined && isSuspect(draft, clock, push)) return suspect(draft, clock, push)
    putClock(draft, dated ?? clock)
    return dated === undefined ? 'late' : 'delayed'
  }
  const isBetter = !isWorse(clock.kind, push, clock) && !sameValue(push, clock)
  // Rules 7 and 8: only a pull betters such a clock.
  if (dated === undefined && takesWorst(clock) && !clock.retired && isBetter) putClock(draft, clock)
  else if (!show(draft, dated ?? clock, push)) return 'full'
  return dated === undefined ? 'applied' : 'delayed'
}

/** An older push is counted, and changes nothing but in the cases that the rules name. */
function mergeLate(draft: Draft, clock: ClockState, push: Reading, newest: Reading): Fate {
  const isKnown = (other: Reading | undefined) =>
    other !== undefined && compareTimes(other.at, push.at) === 0 && sameContent(other, push)
  if (isKnown(clock.setBack) || clock.pushes.some(isKnown)) return 'duplicate'
  const isWorsening = isWorse(clock.kind, push, clock)
  if (isWorsening && isOutOfOrder(draft, push, newest)) {
    // Rule 3: so late a push is more likely a publisher's clock set back than a network's delay.
    show(draft, { ...clock, setBack: push, pushedAt: push.receivedAt }, push)
    return 'applied'
  }
  const isInLast = isInPull(clock, push)
  const dated = isInLast ? datedBy(draft, clock, push) : undefined
  if (dated !== undefined) {
    putClock(draft, dated)
    return 'delayed'
  }
  if (!takesWorst(clock) && isSuspect(draft, clock, push)) return suspect(draft, clock, push)
  if (isInLast) return 'late'
  const remembered = { ...clock, pushes: remember(clock, push) }
  const isNewerOfSame = sameValue(push, clock) && compareTimes(push.at, clock.observedAt) > 0
  if (takesWorst(clock) && (isWorsening || isNewerOfSame)) {
    show(draft, remembered, push)
    return 'applied'
  }
  if (remembered.pushes.includes(push)) putClock(draft, remembered)
  return 'late'
}

/**
 * A push becomes what its clock shows; another value than before is a transition. Of a clock that is not shown yet,
 * neither a push without a time nor a pushed sync-state proves anything good (rule 8): it is UNKNOWN until a pull.
 * False if the document is full.
 */
function show(draft: Draft, clock: ClockState, push: Reading, timeFrom?: 'receipt'): boolean {
  const { kind, retired } = clock
  const same = sameValue(clock, push) && !retired
  const isProof = timeFrom === undefined && kind !== 'sync-state'
  const isDoubted = retired && !isProof && isWorse(kind, UNKNOWN, push)
  const { state, metrics } = isDoubted ? UNKNOWN : push
  const isPut = putClock(draft, {
    ...clock,
    state,
    metrics,
    since: isDoubted || timeFrom !== undefined ? null : same ? clock.since : push.at,
    observedAt: push.at,
    receivedAt: push.receivedAt,
    confirmedAt: push.receivedAt,
    via: draft.via,
    retired: false,
    timeFrom,
    unnamed: undefined,
  })
  if (isPut && !same && !isDoubted) {
    const from = retired ? undefined : shownValue(clock)
    const time = timeFrom === undefined ? { at: push.at } : { notAfter: push.at }
    addEntry(draft, 'changed', clock, { from, to: shownValue(push), ...time })
  }
  return isPut
}

const UNKNOWN = { state: 'UNKNOWN', metrics: {} }

/** Whether the last pull, sent after the push was stamped, already holds it (rule 6). */
function isInPull({ pull }: ClockState, push: Reading): boolean {
  return pull?.at !== undefined && compareTimes(push.at, pull.at) <= 0
}

/** Whether no push has come since a pull whose time orders nothing: then receipt orders the next one (rule 6). */
function isNextAfterPull({ pull, undated, since, ...clock }: ClockState): boolean {
  return pull !== undefined && pull.at === undefined && since === null && undated?.to === shownValue(clock)
}

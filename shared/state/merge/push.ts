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

/** The outcome of a push; where a body has several clocks, the most significant one. */
export type Fate = 'applied' | 'delayed' | 'duplicate' | 'late' | 'full' | 'suspect'

const FATES: readonly Fate[] = ['full', 'suspect', 'applied', 'delayed', 'late', 'duplicate']

/**
 * Merges a push: all observations of one body (design.md §3, rules 1 to 3, and the parts of 6 to 8 about pushes).
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

/** Rule 2 within one body: where it contradicts itself, only the worst reading of a clock counts. */
function standingOf(observations: readonly Observation[]): Observation[] {
  const standing: Observation[] = []
  for (const one of observations) {
    const { kind, instance, at } = one
    const same = standing.findIndex((o) => o.kind === kind && o.instance === instance && o.at === at)
    const other = standing[same]
    if (other === undefined) standing.push(one)
    else if (isWorse(kind, readingOf(one), readingOf(other))) standing[same] = one
  }
  return standing
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

/** An event without a time cannot be ordered: it applies if it is worse, and changes nothing otherwise (design.md §3). */
function mergeTimeless(draft: Draft, clock: ClockState, push: Reading): Fate {
  if (!clock.retired && !isWorse(clock.kind, push, clock)) return 'late'
  return show(draft, clock, push, 'receipt') ? 'applied' : 'full'
}

/** Rule 1: a push newer than all others applies, unless the last pull already included it (rule 6). */
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
  // Rules 7 and 8: only a pull improves such a clock.
  if (dated === undefined && takesWorst(clock) && !clock.retired && isBetter) putClock(draft, clock)
  else if (!show(draft, dated ?? clock, push)) return 'full'
  return dated === undefined ? 'applied' : 'delayed'
}

/** An older push is only counted, except in the cases that the rules name. */
function mergeLate(draft: Draft, clock: ClockState, push: Reading, newest: Reading): Fate {
  const isKnown = (other: Reading | undefined) =>
    other !== undefined && compareTimes(other.at, push.at) === 0 && sameContent(other, push)
  if (isKnown(clock.setBack) || clock.pushes.some(isKnown)) return 'duplicate'
  const isWorsening = isWorse(clock.kind, push, clock)
  if (isWorsening && isOutOfOrder(draft, push, newest)) {
    // Rule 3: this late, it is more likely that the publisher's clock was set back than that the network was slow.
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
 * Makes a push the state of its clock; a changed value is a transition. For a clock not seen before, a push without a
 * time or of sync-state does not prove a good state (rule 8): it stays UNKNOWN until a pull. False if the document is
 * full.
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

/** Whether the last pull was sent after the push was stamped, and so includes it (rule 6). */
function isInPull({ pull }: ClockState, push: Reading): boolean {
  return pull?.at !== undefined && compareTimes(push.at, pull.at) <= 0
}

/** Whether no push has arrived since a pull whose time orders nothing: receipt then orders the next one (rule 6). */
function isNextAfterPull({ pull, undated, since, ...clock }: ClockState): boolean {
  return pull !== undefined && pull.at === undefined && since === null && undated?.to === shownValue(clock)
}

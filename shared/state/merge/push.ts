import type { Observation } from '#shared/events/observation.ts'
import { compareTimes, nanoseconds } from '#shared/time.ts'
import { isWorse, remember, sameContent, sameValue, shownValue, standing, takesWorst } from './clock.ts'
import { addEntry, clockOf, count, createDraft, type Draft, finishDraft, putClock } from './draft.ts'
import { anchored, isSuspect, mergeTimeless, suspect } from './suspect.ts'
import { datedBy, datedByItself } from './undated.ts'
import type { ClockState, NodeState, Reading } from '#shared/state/document.ts'
import type { MergeSettings } from './settings.ts'
import type { Outcome } from '#shared/state/store/change.ts'

/** What became of a push; of several clocks in one body, what became of the most telling of them. */
export type Fate = 'applied' | 'delayed' | 'duplicate' | 'late' | 'full' | 'suspect'

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
  const draft = createDraft(before, settings)
  const fates = standingOf(observations).map((observation) => mergeOne(draft, observation, settings))
  const fate = FATES.find((candidate) => fates.includes(candidate)) ?? 'duplicate'
  count(draft, 'received')
  if (fate === 'duplicate') count(draft, 'duplicate')
  if (fate === 'late') count(draft, 'late')
  const via = observations[0]?.via ?? 'push'
  const { state, entries, counters } = finishDraft(draft, via, now)
  return { state, entries, counters, certain: fate === 'duplicate', result: fate }
}

/** Rule 2 within one body: what contradicts itself must not be told as better first and as worse next. */
function standingOf(observations: readonly Observation[]): readonly Observation[] {
  if (observations.length < 2) return observations
  const found = new Map<string, Observation>()
  for (const observation of observations) {
    const { kind, instance, at } = observation
    const key = JSON.stringify([kind, instance, at])
    const other = found.get(key)
    if (other === undefined || isWorse(kind, readingOf(observation), readingOf(other)))
      found.set(key, observation)
  }
  return [...found.values()]
}

function readingOf({ at, state, metrics, receivedAt }: Observation): Reading {
  return { at, state: state ?? null, metrics, receivedAt }
}

const FATES: readonly Fate[] = ['full', 'suspect', 'applied', 'delayed', 'late', 'duplicate']

function mergeOne(draft: Draft, observation: Observation, settings: MergeSettings): Fate {
  const { kind, instance } = observation
  const push = readingOf(observation)
  const known = clockOf(draft, kind, instance)
  const clock = known === undefined ? undefined : datedByItself(draft, known)
  if (observation.timeFrom === 'receipt') return mergeTimeless(draft, clock, push, observation)
  if (clock === undefined) return begin(draft, observation, push)
  const newest = clock.pushes[0]
  const order = newest === undefined ? 1 : compareTimes(push.at, newest.at)
  if (order === 0 && newest !== undefined)
    return mergeSameTime(draft, clock, newest, push, observation, settings)
  if (order < 0 && newest !== undefined) return mergeLate(draft, clock, newest, push, observation, settings)
  return mergeNewest(draft, clock, push, observation, settings)
}

function begin(draft: Draft, observation: Observation, push: Reading): Fate {
  const { kind, instance, via } = observation
  // A pushed sync-state proves nothing good: it may only worsen what a pull said (rule 8).
  const doubted = takesWorst({ kind, contested: false }) && isWorse(kind, UNKNOWN, push)
  const shown = doubted ? UNKNOWN : push
  const done = putClock(draft, {
    kind,
    instance,
    state: shown.state,
    metrics: shown.metrics,
    since: doubted ? null : push.at,
    observedAt: push.at,
    receivedAt: push.receivedAt,
    confirmedAt: push.receivedAt,
    via,
    contested: false,
    retired: false,
    pushes: [push],
    pushedAt: push.receivedAt,
  })
  if (!done) return 'full'
  if (!doubted) addEntry(draft, { type: 'changed', kind, instance, to: shownValue(push), at: push.at, via })
  return 'applied'
}

const UNKNOWN = { state: 'UNKNOWN', metrics: {} }

/** Rule 2: same time and content is a duplicate; same time and other content: the worst stands. */
function mergeSameTime(
  draft: Draft,
  clock: ClockState,
  newest: Reading,
  push: Reading,
  about: Observation,
  settings: MergeSettings,
): Fate {
  if (sameContent(newest, push)) return 'duplicate'
  if (standing(clock.kind, newest, push) === newest) return 'late'
  const others = { ...clock, pushes: clock.pushes.slice(1) }
  return mergeNewest(draft, others, push, about, settings)
}

/** Rule 1: a push newer than every other applies, unless the last pull already knew it (rule 6). */
function mergeNewest(
  draft: Draft,
  before: ClockState,
  push: Reading,
  about: Observation,
  settings: MergeSettings,
): Fate {
  const clock = anchored(before, push, settings)
  const pushes = remember(clock.kind, clock.pushes, push, clock.pull?.at)
  const remembered = () => ({ ...clock, pushes, pushedAt: push.receivedAt })
  if (isInPull(clock, push)) {
    const dated = datedBy(draft, remembered(), push, about)
    if (dated === undefined && isSuspect(clock, push, about, settings))
      return suspect(draft, remembered(), push, about)
    putClock(draft, dated ?? remembered())
    return dated === undefined ? 'late' : 'delayed'
  }
  if (isNextAfterPull(clock)) {
    const dated = datedBy(draft, remembered(), push, about)
    if (dated !== undefined) {
      apply(draft, dated, push, about)
      return 'delayed'
    }
  }
  if (takesWorst(clock) && !clock.retired && !isWorse(clock.kind, push, clock) && !sameValue(push, clock)) {
    // Only a pull betters such a clock.
    putClock(draft, remembered())
    return 'applied'
  }
  apply(draft, clock, push, about, pushes)
  return 'applied'
}

/** An older push: counted, and changes nothing but in the three cases that the rules name. */
function mergeLate(
  draft: Draft,
  clock: ClockState,
  newest: Reading,
  push: Reading,
  about: Observation,
  settings: MergeSettings,
): Fate {
  const isKnown = (other: Reading) => compareTimes(other.at, push.at) === 0 && sameContent(other, push)
  if (clock.pushes.some(isKnown)) return 'duplicate'
  const age = nanoseconds(newest.at) - nanoseconds(push.at)
  if (age > BigInt(settings.reorderMs) * 1_000_000n && isWorse(clock.kind, push, clock)) {
    // Rule 3: so late a push is more likely a publisher's clock set back than a network's delay.
    if (clock.setBack !== undefined && isKnown(clock.setBack)) return 'duplicate'
    apply(draft, { ...clock, setBack: push, pushedAt: push.receivedAt }, push, about)
    return 'applied'
  }
  if (clock.setBack !== undefined && isKnown(clock.setBack)) return 'duplicate'
  const dated = isInPull(clock, push) ? datedBy(draft, clock, push, about) : undefined
  if (dated !== undefined) {
    putClock(draft, dated)
    return 'delayed'
  }
  if (!takesWorst(clock) && isSuspect(clock, push, about, settings)) return suspect(draft, clock, push, about)
  if (isInPull(clock, push)) return 'late'
  const pushes = remember(clock.kind, clock.pushes, push, clock.pull?.at)
  const remembered = { ...clock, pushes }
  if (takesWorst(clock) && (isWorse(clock.kind, push, clock) || isNewerOfSame(push, clock))) {
    apply(draft, remembered, push, about)
    return 'applied'
  }
  if (pushes.some((other) => other === push)) putClock(draft, remembered)
  return 'late'
}

function isNewerOfSame(push: Reading, clock: ClockState): boolean {
  return sameValue(push, clock) && compareTimes(push.at, clock.observedAt) > 0
}

/** The push becomes the state; another value than before is a transition. `newest`: the pushes that it now leads. */
function apply(
  draft: Draft,
  clock: ClockState,
  push: Reading,
  { kind, instance, via }: Observation,
  newest?: Reading[],
): void {
  const same = sameValue(clock, push) && !clock.retired
  putClock(draft, {
    ...clock,
    state: push.state,
    metrics: push.metrics,
    since: same ? clock.since : push.at,
    observedAt: push.at,
    receivedAt: push.receivedAt,
    confirmedAt: push.receivedAt,
    via,
    retired: false,
    timeFrom: undefined,
    pushes: newest ?? clock.pushes,
    pushedAt: newest === undefined ? clock.pushedAt : push.receivedAt,
    unnamed: undefined,
  })
  if (same) return
  const from = clock.retired ? {} : { from: shownValue(clock) }
  addEntry(draft, { type: 'changed', kind, instance, ...from, to: shownValue(push), at: push.at, via })
}

/** Whether the last pull, asked after the push was stamped, already holds it (rule 6). */
function isInPull(clock: ClockState, push: Reading): boolean {
  return clock.pull?.at !== undefined && compareTimes(push.at, clock.pull.at) <= 0
}

/** Whether no push has said anything since a pull whose time orders nothing: then the next one is told by receipt. */
function isNextAfterPull({ pull, undated, state, metrics, since }: ClockState): boolean {
  if (pull === undefined || pull.at !== undefined) return false
  return since === null && undated?.to === shownValue({ state, metrics })
}

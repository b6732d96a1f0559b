import type { Observation } from '#shared/events/observation.ts'
import { compareTimes, milliseconds } from '#shared/time.ts'
import { isWorse, sameValue, shownValue } from './clock.ts'
import { addEntry, count, type Draft, putClock } from './draft.ts'
import type { ClockState, Reading } from '#shared/state/document.ts'
import type { Pull } from './pulled.ts'
import type { MergeSettings } from './settings.ts'

/**
 * Rule 3: whether a worse push that order would ignore was more than late. It came in longer after what is newer than a
 * push takes: the publisher's clock was set back, or somebody held the push back. A Broker repeats what it likes.
 */
export function isSuspect(
  clock: ClockState,
  push: Reading,
  { via }: Observation,
  { settleMs }: MergeSettings,
): boolean {
  if (via === 'broker' || clock.retired || !isWorse(clock.kind, push, clock)) return false
  const received = milliseconds(push.receivedAt)
  const { anchor, pushes, pull } = clock
  return [anchor, pushes[0], pull].some(
    (known) =>
      known?.at !== undefined &&
      compareTimes(push.at, known.at) <= 0 &&
      received - milliseconds(known.receivedAt) > settleMs,
  )
}

/** A clock that gets a newer push: of the former newest that is kept which was known a settle time before it. */
export function anchored(clock: ClockState, push: Reading, { settleMs }: MergeSettings): ClockState {
  const [former] = clock.pushes
  if (former === undefined || milliseconds(push.receivedAt) - milliseconds(former.receivedAt) <= settleMs)
    return clock
  return { ...clock, anchor: { at: former.at, receivedAt: former.receivedAt } }
}

/** Neither believed nor ignored: the clock counts as UNKNOWN until the next pull of it. */
export function suspect(
  draft: Draft,
  clock: ClockState,
  push: Reading,
  { kind, instance, via }: Observation,
): 'suspect' | 'duplicate' {
  const told = shownValue(push)
  const { at, receivedAt } = push
  if (clock.suspect !== undefined && clock.suspect.told === told) return 'duplicate'
  putClock(draft, { ...clock, suspect: { told, at, receivedAt } })
  count(draft, 'suspect')
  const to = clock.state === 'HOLDOVER' ? clock.state : 'UNKNOWN'
  addEntry(draft, { type: 'suspect', kind, instance, from: shownValue(clock), to, told, at, via })
  return 'suspect'
}

/** The next pull of a clock, whatever it says, is newer than what made it suspect. */
export function cleared(draft: Draft, clock: ClockState, pull: Pull): ClockState {
  const { suspect, ...rest } = clock
  if (suspect === undefined || milliseconds(pull.sentAt) < milliseconds(suspect.receivedAt)) return clock
  putClock(draft, rest)
  return rest
}

/**
 * A push without a time of its own orders nothing: what is worse than the state applies, dated by its receipt, and the
 * next pull sets the clock anew. What is better changes nothing.
 */
export function mergeTimeless(
  draft: Draft,
  clock: ClockState | undefined,
  push: Reading,
  { kind, instance, via }: Observation,
): 'applied' | 'late' | 'full' {
  const known = clock === undefined || clock.retired ? undefined : clock
  if (known !== undefined && !isWorse(kind, push, known)) return 'late'
  const isGood = known === undefined && isWorse(kind, UNKNOWN, push)
  const shown = isGood ? UNKNOWN : push
  const { at, receivedAt } = push
  const done = putClock(draft, {
    pushes: [],
    ...clock,
    kind,
    instance,
    state: shown.state,
    metrics: shown.metrics,
    since: null,
    observedAt: at,
    receivedAt,
    timeFrom: 'receipt',
    confirmedAt: receivedAt,
    via,
    contested: clock?.contested ?? false,
    retired: false,
    unnamed: undefined,
  })
  if (!done) return 'full'
  if (known === undefined && isGood) return 'applied'
  const from = known === undefined ? {} : { from: shownValue(known) }
  if (known === undefined || !sameValue(known, push))
    addEntry(draft, { type: 'changed', kind, instance, ...from, to: shownValue(push), notAfter: at, via })
  return 'applied'
}

const UNKNOWN = { state: 'UNKNOWN', metrics: {} }

import type { ClockState, Reading } from '#shared/state/document.ts'
import { compareTimes, milliseconds, nanoseconds } from '#shared/time.ts'
import { isWorse, shownValue } from './clock.ts'
import { addEntry, count, type Draft, type Pull, putClock } from './draft.ts'

/**
 * Rule 3: a pull with an earlier time than a reading that was stored before it was sent proves that the publisher's
 * clock went backwards; the order of its pushes is reset. The stored reading must be a settle time old, since our own
 * hosts' clocks may differ by that much.
 */
export function detectClockStep(draft: Draft, pull: Pull): boolean {
  // An initial notification proves nothing: it may be a late push.
  const at = pull.queryTime && pull.via === 'poll' ? pull.observations[0]?.at : undefined
  if (at === undefined) return false
  const sent = milliseconds(pull.sentAt)
  const isAhead = (stored: { at?: string | undefined; receivedAt: string } | undefined) =>
    stored?.at !== undefined &&
    milliseconds(stored.receivedAt) + draft.settings.settleMs <= sent &&
    compareTimes(stored.at, at) > 0
  const ahead = draft.state.clocks.filter((clock) => isAhead(clock.pushes[0]) || isAhead(clock.pull))
  if (ahead.length === 0) return false
  for (const clock of ahead) putClock(draft, { ...clock, pushes: [], pull: undefined, anchor: undefined })
  count(draft, 'clockSteps')
  return true
}

/**
 * Rule 3: whether a worse push that order would ignore arrived too long after the newer reading to be merely late: the
 * publisher's clock was set back, or the push was held up. Brokers repeat events, so theirs are never suspect.
 */
export function isSuspect({ settings, via }: Draft, clock: ClockState, push: Reading): boolean {
  if (via === 'broker' || clock.retired || !isWorse(clock.kind, push, clock)) return false
  const received = milliseconds(push.receivedAt)
  return [clock.anchor, clock.pushes[0], clock.pull].some(
    (known) =>
      known?.at !== undefined &&
      compareTimes(push.at, known.at) <= 0 &&
      received - milliseconds(known.receivedAt) > settings.settleMs,
  )
}

/** Rule 3: whether a reading is older than the newest push by more than REORDER_SECONDS. */
export function isOutOfOrder({ settings }: Draft, reading: Reading, newest: Reading): boolean {
  return nanoseconds(newest.at) - nanoseconds(reading.at) > BigInt(settings.reorderMs) * 1_000_000n
}

/** A clock about to get a newer push: the previous newest becomes its anchor if it was known for a settle time. */
export function anchored({ settings }: Draft, clock: ClockState, push: Reading): ClockState {
  const [former] = clock.pushes
  if (former === undefined) return clock
  if (milliseconds(push.receivedAt) - milliseconds(former.receivedAt) <= settings.settleMs) return clock
  return { ...clock, anchor: { at: former.at, receivedAt: former.receivedAt } }
}

/** Neither believed nor ignored: the clock counts as UNKNOWN until the next pull of it. */
export function suspect(draft: Draft, clock: ClockState, push: Reading): 'suspect' | 'duplicate' {
  const told = shownValue(push)
  const { at, receivedAt } = push
  if (clock.suspect?.told === told) return 'duplicate'
  putClock(draft, { ...clock, suspect: { told, at, receivedAt } })
  count(draft, 'suspect')
  const to = clock.state === 'HOLDOVER' ? clock.state : 'UNKNOWN'
  addEntry(draft, 'suspect', clock, { from: shownValue(clock), to, told, at })
  return 'suspect'
}

/** The next pull of a clock ends its being suspect, whatever it says. */
export function cleared(draft: Draft, clock: ClockState, pull: Pull): ClockState {
  const { suspect, ...rest } = clock
  if (suspect === undefined || milliseconds(pull.sentAt) < milliseconds(suspect.receivedAt)) return clock
  putClock(draft, rest)
  return rest
}

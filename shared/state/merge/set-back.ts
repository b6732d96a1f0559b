import type { ClockState, Reading } from '#shared/state/document.ts'
import { compareTimes, milliseconds, nanoseconds } from '#shared/time.ts'
import { isWorse, shownValue } from './clock.ts'
import { addEntry, count, type Draft, type Pull, putClock } from './draft.ts'

/**
 * Rule 3: a pull whose own time is earlier than one that was stored before it was sent proves that the publisher's
 * clock was set back: the order of its pushes is reset. What was stored must have come a settle time before, so that
 * our own hosts' clocks need not agree to better than that.
 */
export function detectClockStep(draft: Draft, pull: Pull): boolean {
  // What comes while a create is under way may be a late push in place of the initial notification: no proof.
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
 * Rule 3: whether a worse push that order would ignore was more than late: it came in longer after what is newer than a
 * push takes. The publisher's clock was set back, or somebody held the push back. Brokers repeat events: no sign.
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

/** Rule 3: whether a reading is older than the newest push by more than pushes come out of order. */
export function isOutOfOrder({ settings }: Draft, reading: Reading, newest: Reading): boolean {
  return nanoseconds(newest.at) - nanoseconds(reading.at) > BigInt(settings.reorderMs) * 1_000_000n
}

/** A clock that gets a newer push: the former newest is its anchor if it was known a settle time before. */
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

/** The next pull of a clock, whatever it says, is newer than what made it suspect. */
export function cleared(draft: Draft, clock: ClockState, pull: Pull): ClockState {
  const { suspect, ...rest } = clock
  if (suspect === undefined || milliseconds(pull.sentAt) < milliseconds(suspect.receivedAt)) return clock
  putClock(draft, rest)
  return rest
}

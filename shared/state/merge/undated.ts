import type { Observation } from '#shared/events/observation.ts'
import { compareTimes, milliseconds } from '#shared/time.ts'
import { isMissable, shownValue } from './clock.ts'
import { addEntry, count, type Draft, putClock } from './draft.ts'
import type { ClockState, Reading } from '#shared/state/document.ts'
import type { MergeSettings } from './settings.ts'

type Undated = NonNullable<ClockState['undated']>

/** How many transitions of one clock may wait for their pushes beside the newest. */
const MOST_OVERTAKEN = 8

/**
 * What becomes of a clock's undated transition when another one comes: its push may still be under way, so it waits
 * beside that one. Of too many the oldest waits no longer.
 */
export function overtakenBy(draft: Draft, clock: ClockState): Pick<ClockState, 'overtaken'> {
  const { undated, overtaken: before = [] } = clock
  const all = undated === undefined ? before : [...before, undated]
  for (const oldest of all.slice(0, -MOST_OVERTAKEN)) settled(draft, clock, oldest)
  return all.length === 0 ? {} : { overtaken: all.slice(-MOST_OVERTAKEN) }
}

/**
 * Rule 6: transitions that only a pull showed, and that no push has dated by a later poll, were missed. `now` is
 * our time in milliseconds when that later poll asked. Returns the clock as it then is.
 */
export function settleUndated(
  draft: Draft,
  clock: ClockState,
  now: number,
  settings: MergeSettings,
): ClockState {
  const isDue = (one: Undated) => now - milliseconds(one.sentAt) >= settings.settleMs
  const { undated, overtaken = [], ...rest } = clock
  const due = [...overtaken, ...(undated === undefined ? [] : [undated])].filter(isDue)
  if (due.length === 0) return clock
  const left = overtaken.filter((one) => !isDue(one))
  const next: ClockState = {
    ...rest,
    ...(undated !== undefined && !isDue(undated) && { undated }),
    ...(left.length > 0 && { overtaken: left }),
  }
  putClock(
    draft,
    due.reduce((shown, one) => settled(draft, shown, one), next),
  )
  return draft.clocks.find((one) => one.kind === clock.kind && one.instance === clock.instance) ?? next
}

/**
 * Rule 9: what a reading showed while a create was under way may have been an ordinary push, and was acknowledged: it is
 * dated by itself. All else was missed.
 */
function settled(draft: Draft, clock: ClockState, one: Undated): ClockState {
  const { kind, instance } = clock
  const { from, to, notBefore, notAfter } = one
  if (isUnproven(one)) {
    // Where the time of a reading is not that of the question, it is not the publisher's.
    if (clock.pull?.at === undefined) return clock
    addEntry(draft, { type: 'delayed', kind, instance, from, to, at: notAfter, via: 'push' })
    return isCurrent(clock, one) ? { ...clock, since: notAfter } : clock
  }
  if (!isMissable(kind)) return clock
  const bounds = { ...(notBefore === undefined ? {} : { notBefore }), notAfter }
  addEntry(draft, { type: 'missed', kind, instance, from, to, ...bounds, via: 'poll' })
  count(draft, 'missed')
  return clock
}

function isUnproven({ create, proven }: Undated): boolean {
  return create !== undefined && proven === undefined
}

function isCurrent(clock: ClockState, { to }: Undated): boolean {
  return shownValue(clock) === to && clock.since === null
}

/**
 * Rule 6: a push that comes after the pull that showed its transition gives the transition its time. Returns the
 * clock as it then is, undefined if the push is of none that waits for it.
 */
export function datedBy(
  draft: Draft,
  clock: ClockState,
  push: Reading,
  { kind, instance, via }: Observation,
): ClockState | undefined {
  const isOf = ({ to, notBefore }: Undated) => {
    if (to !== shownValue(push)) return false
    // Where a pull's time is not known to be that of the query, its bounds are on our clock, not on the publisher's.
    return clock.pull?.at === undefined || notBefore === undefined || compareTimes(push.at, notBefore) > 0
  }
  const { undated, overtaken = [], ...rest } = clock
  const old = overtaken.find((one) => isOf(one) && compareTimes(push.at, one.notAfter) <= 0)
  const one = old ?? (undated !== undefined && isOf(undated) ? undated : undefined)
  if (one === undefined) return undefined
  addEntry(draft, { type: 'delayed', kind, instance, from: one.from, to: one.to, at: push.at, via })
  const left = overtaken.filter((other) => other !== one)
  return {
    ...rest,
    ...(undated !== undefined && undated !== one && { undated }),
    ...(left.length > 0 && { overtaken: left }),
    ...(one === undated && isCurrent(clock, one) ? { since: push.at } : {}),
  }
}

/** A push that follows what a reading showed while a create was under way: that is dated by itself (rule 9). */
export function datedByItself(draft: Draft, clock: ClockState): ClockState {
  const { undated, ...rest } = clock
  if (undated === undefined || !isUnproven(undated)) return clock
  const next = settled(draft, rest, undated)
  putClock(draft, next)
  return next
}

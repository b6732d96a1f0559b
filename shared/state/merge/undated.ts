import type { ClockState, Reading } from '#shared/state/document.ts'
import { compareTimes, milliseconds } from '#shared/time.ts'
import { isMissable, shownValue } from './clock.ts'
import { addEntry, count, type Draft, putClock } from './draft.ts'

type Undated = NonNullable<ClockState['undated']>

/** How many older transitions of one clock may wait for their pushes. */
const MOST_OVERTAKEN = 8

/** The transitions that still wait for their pushes after another one; of too many, the oldest is settled (rule 6). */
export function overtakenBy(draft: Draft, clock: ClockState): Undated[] | undefined {
  const all = waiting(clock)
  for (const oldest of all.slice(0, -MOST_OVERTAKEN)) settled(draft, clock, oldest)
  return all.length === 0 ? undefined : all.slice(-MOST_OVERTAKEN)
}

function waiting({ undated, overtaken = [] }: ClockState): Undated[] {
  return undated === undefined ? overtaken : [...overtaken, undated]
}

/** The clock with only those undated transitions that `keeps` accepts. */
function keeping(clock: ClockState, keeps: (one: Undated) => boolean): ClockState {
  const { undated, overtaken = [], ...rest } = clock
  const left = overtaken.filter(keeps)
  return {
    ...rest,
    ...(undated !== undefined && keeps(undated) && { undated }),
    ...(left.length > 0 && { overtaken: left }),
  }
}

/**
 * Rule 6: transitions that only a pull showed, and that no push has dated by a later poll, were missed. `asked` is when
 * that later poll was sent (our time, ms). Returns the updated clock.
 */
export function settleUndated(draft: Draft, clock: ClockState, asked: number): ClockState {
  const isDue = ({ sentAt }: Undated) => asked - milliseconds(sentAt) >= draft.settings.settleMs
  const due = waiting(clock).filter(isDue)
  if (due.length === 0) return clock
  const left = keeping(clock, (one) => !isDue(one))
  const next = due.reduce((shown, one) => settled(draft, shown, one), left)
  putClock(draft, next)
  return next
}

/**
 * Rule 9: a transition seen while a create was under way may have come from an ordinary push, which was acknowledged: it
 * is dated by its own reading. All others were missed.
 */
function settled(draft: Draft, clock: ClockState, one: Undated): ClockState {
  const { from, to, notBefore, notAfter } = one
  if (isUnproven(one)) {
    // A reading whose time is not that of the request is not on the publisher's clock.
    if (clock.pull?.at === undefined) return clock
    addEntry(draft, 'delayed', clock, { from, to, at: notAfter, via: 'push' })
    return isCurrent(clock, one) ? { ...clock, since: notAfter } : clock
  }
  if (isMissable(clock.kind)) {
    addEntry(draft, 'missed', clock, { from, to, notBefore, notAfter, via: 'poll' })
    count(draft, 'missed')
  }
  return clock
}

function isUnproven({ create, proven }: Undated): boolean {
  return create !== undefined && proven === undefined
}

function isCurrent(clock: ClockState, { to }: Undated): boolean {
  return shownValue(clock) === to && clock.since === null
}

/**
 * Rule 6: a push that arrives after the pull that showed its transition dates the transition. Returns the updated clock;
 * undefined if no transition waits for this push.
 */
export function datedBy(draft: Draft, clock: ClockState, push: Reading): ClockState | undefined {
  const { undated, overtaken = [], pull } = clock
  const isOf = ({ to, notBefore }: Undated) => {
    if (to !== shownValue(push)) return false
    // Unless a pull's time is that of the request, its bounds are on our clock, not on the publisher's.
    return pull?.at === undefined || notBefore === undefined || compareTimes(push.at, notBefore) > 0
  }
  const old = overtaken.find((one) => isOf(one) && compareTimes(push.at, one.notAfter) <= 0)
  const one = old ?? (undated !== undefined && isOf(undated) ? undated : undefined)
  if (one === undefined) return undefined
  addEntry(draft, 'delayed', clock, { from: one.from, to: one.to, at: push.at })
  const next = keeping(clock, (other) => other !== one)
  return one === undated && isCurrent(clock, one) ? { ...next, since: push.at } : next
}

/** A transition seen while a create was under way is dated by its own reading once a push follows (rule 9). */
export function datedByItself(draft: Draft, clock: ClockState): ClockState {
  const { undated } = clock
  if (undated === undefined || !isUnproven(undated)) return clock
  const next = settled(
    draft,
    keeping(clock, (one) => one !== undated),
    undated,
  )
  putClock(draft, next)
  return next
}

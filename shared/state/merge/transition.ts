import type { ClockState, Reading } from '#shared/state/document.ts'
import { compareTimes, milliseconds } from '#shared/time.ts'
import { compareWorse, sameValue, shownValue, takesWorst } from './clock.ts'
import { addEntry, type Draft, type Pull, putClock } from './draft.ts'
import { overtakenBy } from './undated.ts'

/** A pull's reading of one clock: the worst of several, which make the clock contested (rule 7). */
export type PullAnswer = {
  readonly draft: Draft
  readonly pull: Pull
  readonly base: Reading
  readonly contested: boolean
}

/** Rule 6: a pull sets what a clock shows; a changed value is a transition. */
export function change(clock: ClockState, shown: Reading, answer: PullAnswer): void {
  const { draft, pull, base, contested } = answer
  const { kind, instance, retired } = clock
  const same = sameValue(clock, shown) && !retired
  const dating = same ? undefined : datingPush(clock, shown, pull)
  const from = retired ? undefined : shownValue(clock)
  const to = shownValue(shown)
  // A push reported it, and only a pull could show it since the clock was contested: nothing was missed.
  const isTold = from === undefined || dating !== undefined || (takesWorst(clock) && isPushedSincePull(clock))
  const { sentAt, create, receivedAt, via } = pull
  const undated = isTold ? undefined : { from, to, ...boundsOf(clock, base, pull), sentAt, create }
  const isPut = putClock(draft, {
    kind,
    instance,
    state: shown.state,
    metrics: shown.metrics,
    since: same ? clock.since : (dating?.at ?? null),
    observedAt: shown.at,
    receivedAt,
    confirmedAt: receivedAt,
    via,
    contested,
    retired: false,
    // Older pushes no longer matter once a pull includes them, except the newest.
    pushes: clock.pushes.filter((push, index) => index === 0 || isAfter(push, base, pull)),
    pushedAt: clock.pushedAt,
    pull: appliedPull(answer),
    undated: same ? clock.undated : undated,
    overtaken: same ? clock.overtaken : overtakenBy(draft, clock),
  })
  if (!isPut || same) return
  const isDated = dating !== undefined && from !== undefined
  const time = isDated ? { at: dating.at, via: 'push' as const } : boundsOf(clock, shown, pull)
  addEntry(draft, 'changed', clock, { from, to, ...time })
}

/**
 * Rule 7: a push newer than the previous pull, which could not improve the clock by itself and which this pull agrees
 * with, dates the transition.
 */
function datingPush(clock: ClockState, shown: Reading, pull: Pull): Reading | undefined {
  const [newest] = clock.pushes
  if (newest === undefined || !sameValue(newest, shown)) return undefined
  if (isAfter(newest, shown, pull)) return newest
  const better = compareWorse(clock.kind, clock, shown) < 0
  return takesWorst(clock) && better && isPushedSincePull(clock) ? newest : undefined
}

function isPushedSincePull({ pushes: [newest], pull }: ClockState): boolean {
  if (newest === undefined || pull === undefined) return false
  if (pull.at === undefined) return milliseconds(newest.receivedAt) > milliseconds(pull.receivedAt)
  return compareTimes(newest.at, pull.at) > 0
}

/** Whether a push is newer than a reading: by the publisher's time where that orders them, else by receipt. */
export function isAfter(push: Reading, reading: Reading, pull: Pull): boolean {
  if (pull.queryTime) return compareTimes(push.at, reading.at) > 0
  return milliseconds(push.receivedAt) > milliseconds(pull.sentAt)
}

/** The transition lies between the last agreement and the pull: on the publisher's clock if it has both, else on ours. */
function boundsOf(clock: ClockState, reading: Reading, pull: Pull): { notBefore?: string; notAfter: string } {
  const [notBefore, notAfter] = pull.queryTime
    ? [clock.observedAt, reading.at]
    : [clock.confirmedAt, pull.receivedAt]
  return !clock.retired && compareTimes(notBefore, notAfter) < 0 ? { notBefore, notAfter } : { notAfter }
}

/** The part of an applied pull that is stored. */
export function appliedPull({ pull, base }: PullAnswer): NonNullable<ClockState['pull']> {
  return {
    at: pull.queryTime ? base.at : undefined,
    state: base.state,
    metrics: base.metrics,
    sentAt: pull.sentAt,
    receivedAt: pull.receivedAt,
  }
}

import { NUMERIC_KINDS, type Observation } from '#shared/events/observation.ts'
import { compareTimes, milliseconds, nanoseconds } from '#shared/time.ts'
import { compareWorse, isWorse, sameValue, shownValue, takesWorst, worstOf } from './clock.ts'
import { addEntry, clockOf, count, createDraft, type Draft, finishDraft, putClock } from './draft.ts'
import { detectClockStep } from './clock-step.ts'
import { noteWays, type Ways } from './blind.ts'
import { type Disagreement, disagreement } from './disagreement.ts'
import { forgetFuture } from './own-times.ts'
import { cleared } from './suspect.ts'
import { overtakenBy, settleUndated } from './undated.ts'
import { noteAbsence, retireUnnamed } from './absence.ts'
import type { ClockState, NodeState, Reading } from '#shared/state/document.ts'
import { isAhead } from './own-time.ts'
import { OVERALL_KINDS } from './overall.ts'
import type { Pull } from './pulled.ts'
import type { MergeSettings } from './settings.ts'
import type { Outcome } from '#shared/state/store/change.ts'

export type PullResult = {
  /** Clocks whose state has differed from the newest push for longer than pushes may be under way. */
  readonly disagreements: readonly Disagreement[]
  /** The publisher's clock was found to have been set back: the order of its pushes starts anew (rule 3). */
  readonly clockStepped: boolean
}

/**
 * Merges what one poll of a node, or one initial notification, brought (design.md §3, rules 4 to 10). Pulls carry
 * query time, so they never date a transition. Pure. Times in our milliseconds.
 *
 * `poll` says when the poll began that these are all the pulls of: it is then concluded, with what no push has
 * dated since an earlier poll (rule 6), and with what becomes of the node by time alone. `ways`: what it knows of them,
 * if anything, beside what the pulls brought.
 */
export function mergePulls(
  before: NodeState,
  pulls: readonly Pull[],
  settings: MergeSettings,
  { now, poll }: { now: number; poll?: { startedAt: number; ways?: Ways | undefined } },
): Outcome<PullResult> {
  const draft = createDraft(before, settings)
  const agreed: Agreement[] = []
  const disagreements: Disagreement[] = []
  let clockStepped = false
  // An initial notification is taken in on another host than that of the polls: it is not to judge what they wrote.
  if (poll !== undefined) forgetFuture(draft, now, poll.startedAt)
  for (const pull of pulls) {
    if (detectClockStep(draft, pull, settings)) clockStepped = true
    for (const [instance, readings] of byInstance(pull.observations)) {
      const pushed = disagreement(clockOf(draft, pull.kind, instance), readings, pull, settings)
      if (pushed !== undefined) disagreements.push(pushed)
      mergeClock(draft, instance, readings, pull, settings, agreed)
    }
    if (pull.via === 'poll') {
      retireUnnamed(draft, pull, settings)
      noteAbsence(draft, pull, settings)
    }
  }
  confirm(draft, agreed, settings, now)
  const ways = pulls.some(({ observations }) => observations.length > 0) ? 'heard' : poll?.ways
  if (poll !== undefined && ways !== undefined) noteWays(draft, ways, now)
  if (poll !== undefined)
    for (const clock of draft.clocks) settleUndated(draft, clock, poll.startedAt, settings)
  else count(draft, 'received')
  const outcome = finishDraft(draft, poll === undefined ? 'initial' : 'poll', now, poll !== undefined)
  return { ...outcome, result: { disagreements, clockStepped } }
}

/** A clock whose state a pull confirmed: `shown` is the reading of that state, `base` what the pull itself said. */
type Agreement = {
  readonly clock: ClockState
  readonly shown: Reading
  readonly base: Reading
  readonly pull: Pull
}

function byInstance(observations: readonly Observation[]): Map<string, [Reading, ...Reading[]]> {
  const found = new Map<string, [Reading, ...Reading[]]>()
  for (const { instance, at, state, metrics, receivedAt } of observations) {
    const reading: Reading = { at, state: state ?? null, metrics: { ...metrics }, receivedAt }
    const others = found.get(instance)
    if (others === undefined) found.set(instance, [reading])
    else others.push(reading)
  }
  return found
}

function worst(kind: string, readings: readonly [Reading, ...Reading[]]): Reading {
  const [first, ...others] = readings
  return worstOf(kind, first, ...others)
}

function mergeClock(
  draft: Draft,
  instance: string,
  readings: readonly [Reading, ...Reading[]],
  pull: Pull,
  settings: MergeSettings,
  agreed: Agreement[],
): void {
  const { kind } = pull
  const base = worst(kind, readings)
  const contested = readings.length > 1
  const before = clockOf(draft, kind, instance)
  if (before === undefined) {
    if (putClock(draft, fresh(kind, instance, base, pull, contested)))
      logChange(draft, pull, instance, undefined, base)
    return
  }
  const clock = cleared(draft, settleUndated(draft, before, milliseconds(pull.sentAt), settings), pull)
  if (isOvertaken(clock, base, pull)) return
  const after = clock.pushes.filter((push) => isAfter(push, base, pull))
  if (contested || takesWorst(clock)) {
    setAnew(draft, clock, worstOf(kind, base, ...after), base, pull, contested, agreed)
    return
  }
  // A push that this pull cannot know of yet is the newer word.
  if (after.length > 0) {
    if (mayBeSetBack(clock, base, pull, settings)) change(draft, clock, base, base, pull, contested)
    return
  }
  if (sameValue(clock, base) && !clock.retired) {
    agreed.push({ clock, shown: base, base, pull })
    return
  }
  if (clock.retired || isWorse(kind, base, clock) || mayImprove(clock, base, pull, settings)) {
    change(draft, clock, base, base, pull, contested)
  }
}

/**
 * Rule 5: a pull overrides only what was received before it was sent. One whose answer took its time, or an initial
 * notification, may be older than a pull that came in meanwhile. Where only receipt orders them, it may still worsen.
 */
function isOvertaken({ kind, pull: last, ...clock }: ClockState, base: Reading, pull: Pull): boolean {
  if (last === undefined || milliseconds(last.receivedAt) <= milliseconds(pull.sentAt)) return false
  if (pull.queryTime && last.at !== undefined) return compareTimes(last.at, base.at) > 0
  return !isWorse(kind, base, clock)
}

/** Rule 3, as for pushes: an initial notification is no proof that a clock was set back, but what is worse stands. */
function mayBeSetBack(clock: ClockState, base: Reading, pull: Pull, settings: MergeSettings): boolean {
  const newest = clock.pushes[0]
  if (pull.via !== 'initial' || !pull.queryTime || newest === undefined) return false
  if (!isWorse(clock.kind, base, clock)) return false
  return nanoseconds(newest.at) - nanoseconds(base.at) > BigInt(settings.reorderMs) * 1_000_000n
}

/** Rule 5: pushes may still be queued at the publisher, and the one that betters the state will bring its time. */
function mayImprove(clock: ClockState, base: Reading, pull: Pull, settings: MergeSettings): boolean {
  const newest = clock.pushes[0]
  if (newest !== undefined && sameValue(newest, base)) return true
  if (clock.pushedAt === undefined || clock.timeFrom === 'receipt') return true
  // It may be that very push.
  if (pull.create !== undefined && pull.queryTime) return true
  return milliseconds(pull.sentAt) - milliseconds(clock.pushedAt) >= settings.settleMs
}

/** Whether a push says what came after a pull: by the publisher's time where that orders them, else by receipt. */
function isAfter(push: Reading, base: Reading, pull: Pull): boolean {
  if (pull.queryTime) return compareTimes(push.at, base.at) > 0
  return milliseconds(push.receivedAt) > milliseconds(pull.sentAt)
}

/** Rules 7 and 8: a pull sets a clock anew that contradicts itself, or whose pushes are not to be trusted. */
function setAnew(
  draft: Draft,
  clock: ClockState,
  shown: Reading,
  base: Reading,
  pull: Pull,
  contested: boolean,
  agreed: Agreement[],
): void {
  if (sameValue(clock, shown) && clock.contested === contested && !clock.retired) {
    agreed.push({ clock, shown, base, pull })
    return
  }
  // Of a clock that is contested no more, the newest push after the pull is the state (rule 1).
  const newest = clock.pushes[0]
  const single = !contested && clock.kind !== 'sync-state'
  const state = single && newest !== undefined && isAfter(newest, base, pull) ? newest : shown
  change(draft, clock, state, base, pull, contested)
}

function change(
  draft: Draft,
  clock: ClockState,
  shown: Reading,
  base: Reading,
  pull: Pull,
  contested: boolean,
): void {
  const { kind, instance } = clock
  const next = fresh(kind, instance, base, pull, contested)
  const same = sameValue(clock, shown) && !clock.retired
  const dating = same ? undefined : datingPush(clock, shown, pull)
  // What a push began and only a pull could show, for the clock is contested, is no transition that was missed.
  const told =
    same || dating !== undefined || clock.retired || (takesWorst(clock) && isPushedSincePull(clock))
  const undated = told ? undefined : undatedOf(clock, shown, base, pull)
  putClock(draft, {
    ...next,
    state: shown.state,
    metrics: shown.metrics,
    observedAt: shown.at,
    since: same ? clock.since : (dating?.at ?? null),
    // What is remembered of older pushes no longer matters once a pull knows them, save the newest.
    pushes: clock.pushes.filter((push, index) => index === 0 || isAfter(push, base, pull)),
    ...(clock.pushedAt === undefined ? {} : { pushedAt: clock.pushedAt }),
    ...(undated === undefined
      ? same && clock.undated !== undefined
        ? { undated: clock.undated }
        : {}
      : { undated }),
    ...(same ? clock.overtaken && { overtaken: clock.overtaken } : overtakenBy(draft, clock)),
  })
  if (!same) logChange(draft, pull, instance, clock.retired ? undefined : clock, shown, dating)
}

/**
 * Rule 7: a push that could not better the clock by itself, and that this pull agrees with, dates the transition:
 * it must be newer than the pull before.
 */
function datingPush(clock: ClockState, shown: Reading, pull: Pull): Reading | undefined {
  const newest = clock.pushes[0]
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

function undatedOf(clock: ClockState, shown: Reading, base: Reading, pull: Pull): ClockState['undated'] {
  const bounds = boundsOf(clock, base, pull)
  const { sentAt, create } = pull
  const from = shownValue(clock)
  return { from, to: shownValue(shown), ...bounds, sentAt, ...(create !== undefined && { create }) }
}

/** Between the last agreement and the pull; on the publisher's clock where both are known on it, else on ours. */
function boundsOf(clock: ClockState, base: Reading, pull: Pull): { notBefore?: string; notAfter: string } {
  const [notBefore, notAfter] = pull.queryTime
    ? [clock.observedAt, base.at]
    : [clock.confirmedAt, pull.receivedAt]
  return compareTimes(notBefore, notAfter) < 0 ? { notBefore, notAfter } : { notAfter }
}

function logChange(
  draft: Draft,
  pull: Pull,
  instance: string,
  from: ClockState | undefined,
  shown: Reading,
  dating?: Reading,
): void {
  const { kind, via } = pull
  const to = shownValue(shown)
  if (dating !== undefined && from !== undefined) {
    addEntry(draft, {
      type: 'changed',
      kind,
      instance,
      from: shownValue(from),
      to,
      at: dating.at,
      via: 'push',
    })
    return
  }
  const bounds =
    from === undefined
      ? { notAfter: pull.queryTime ? shown.at : pull.receivedAt }
      : boundsOf(from, shown, pull)
  addEntry(draft, {
    type: 'changed',
    kind,
    instance,
    ...(from === undefined ? {} : { from: shownValue(from) }),
    to,
    ...bounds,
    via,
  })
}

/** A clock as a pull alone shows it. */
function fresh(kind: string, instance: string, base: Reading, pull: Pull, contested: boolean): ClockState {
  return {
    kind,
    instance,
    state: NUMERIC_KINDS.has(kind) ? null : base.state,
    metrics: base.metrics,
    since: null,
    observedAt: base.at,
    receivedAt: pull.receivedAt,
    confirmedAt: pull.receivedAt,
    via: pull.via,
    contested,
    retired: false,
    pushes: [],
    pull: appliedPull(base, pull),
  }
}

function appliedPull(base: Reading, pull: Pull): NonNullable<ClockState['pull']> {
  return {
    ...(pull.queryTime ? { at: base.at } : {}),
    state: base.state,
    metrics: base.metrics,
    sentAt: pull.sentAt,
    receivedAt: pull.receivedAt,
  }
}

/**
 * Rule 4. A confirmation alone is worth a write only when the stored one is a third of the way to stale. That a
 * deciding clock is still not LOCKED is always written: a LOCKED push from before this pull must not better it.
 */
function confirm(draft: Draft, agreed: readonly Agreement[], settings: MergeSettings, now: number): void {
  const due = agreed.some(
    ({ clock, pull }) =>
      isAlarming(clock) ||
      // It is written for its create anyway, and may be a push that older ones follow.
      pull.create !== undefined ||
      now - milliseconds(clock.confirmedAt) >= settings.staleAfterMs / 3 ||
      isAhead(clock.confirmedAt, now, settings),
  )
  if (!due) return
  for (const { clock, shown, base, pull } of agreed) {
    const current = clockOf(draft, clock.kind, clock.instance)
    if (current === undefined) continue
    putClock(draft, {
      ...current,
      metrics: shown.metrics,
      observedAt: shown.at,
      receivedAt: pull.receivedAt,
      confirmedAt: pull.receivedAt,
      // That it agreed is remembered with what is written anyway: a worse push from before it is then known as late.
      pull: { ...appliedPull(base, pull), sentAt: current.pull?.sentAt ?? pull.sentAt },
    })
  }
}

function isAlarming({ kind, state }: ClockState): boolean {
  return OVERALL_KINDS.has(kind) && state !== 'LOCKED'
}

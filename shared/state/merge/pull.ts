import type { ClockState, NodeState, Reading } from '#shared/state/document.ts'
import type { Outcome } from '#shared/state/store/change.ts'
import { compareTimes, milliseconds } from '#shared/time.ts'
import { noteAbsence, retireUnnamed } from './absence.ts'
import { noteWays, type Ways } from './blind.ts'
import { isWorse, sameValue, takesWorst, worstOf } from './clock.ts'
import {
  clockOf,
  count,
  createDraft,
  type Draft,
  type MergeSettings,
  type Pull,
  putClock,
  readingOf,
} from './draft.ts'
import { type Disagreement, disagreement } from './disagreement.ts'
import { finishDraft } from './finish.ts'
import { OVERALL_KINDS } from './overall.ts'
import { forgetFuture, isAhead } from './own-times.ts'
import { cleared, detectClockStep, isOutOfOrder } from './set-back.ts'
import { type Answer, appliedPull, change, isAfter } from './transition.ts'
import { settleUndated } from './undated.ts'

export type PullResult = {
  /** Clocks whose state has differed from the newest push for longer than pushes may be under way. */
  readonly disagreements: readonly Disagreement[]
  /** The publisher's clock was found to have been set back: the order of its pushes is reset (rule 3). */
  readonly clockStepped: boolean
}

/**
 * Merges what one poll of a node, or one initial notification, brought (design.md §3, rules 4 to 10). Pulls carry
 * query time, so they never date a transition. Pure. Times in our milliseconds.
 *
 * `poll` says when the poll began that these are all the pulls of: what no push has dated since an earlier poll is then
 * settled (rule 6), and what became of the node by time alone is announced. `ways` is what the poll knows of how the
 * node's state reaches us, apart from what the pulls brought.
 */
export function mergePulls(
  before: NodeState,
  pulls: readonly Pull[],
  settings: MergeSettings,
  { now, poll }: { now: number; poll?: { startedAt: number; ways?: Ways | undefined } },
): Outcome<PullResult> {
  const draft = createDraft(before, settings, now, pulls[0]?.via ?? 'poll')
  const agreed: Agreement[] = []
  const disagreements: Disagreement[] = []
  let clockStepped = false
  // Initial notifications are received on another host than that of the polls: they do not judge its times.
  if (poll !== undefined) forgetFuture(draft, poll.startedAt)
  for (const pull of pulls) {
    if (detectClockStep(draft, pull)) clockStepped = true
    for (const [instance, all] of Map.groupBy(pull.observations, (one) => one.instance)) {
      const [first, ...others] = all.map(readingOf)
      if (first === undefined) continue
      const base = worstOf(pull.kind, first, ...others)
      const answer = { draft, pull, base, contested: others.length > 0 }
      const clock = clockOf(draft, { kind: pull.kind, instance })
      disagreements.push(...disagreement(clock, answer))
      agreed.push(...mergeClock(clock, answer))
    }
    if (pull.via === 'poll') {
      retireUnnamed(draft, pull)
      noteAbsence(draft, pull)
    }
  }
  confirm(draft, agreed)
  if (poll === undefined) count(draft, 'received')
  else {
    const ways = pulls.some(({ observations }) => observations.length > 0) ? 'heard' : poll.ways
    if (ways !== undefined) noteWays(draft, ways)
    for (const clock of draft.state.clocks) settleUndated(draft, clock, poll.startedAt)
  }
  return { ...finishDraft(draft, poll !== undefined), result: { disagreements, clockStepped } }
}

/** A clock whose state a pull confirmed, and the reading of that state. */
type Agreement = { readonly clock: ClockState; readonly shown: Reading; readonly answer: Answer }

/** Merges what a pull says of a clock; what agrees is left for {@link confirm}. */
function mergeClock(before: ClockState, answer: Answer): Agreement[] {
  const { draft, pull, base, contested } = answer
  const clock = cleared(draft, settleUndated(draft, before, milliseconds(pull.sentAt)), pull)
  if (isOvertaken(clock, answer)) return []
  const after = clock.pushes.filter((push) => isAfter(push, base, pull))
  const isWorst = contested || takesWorst(clock)
  const shown = isWorst ? worstOf(clock.kind, base, ...after) : base
  const isSame = sameValue(clock, shown) && clock.contested === contested && !clock.retired
  if (isWorst && !isSame) {
    // Rules 7 and 8. Of a clock that is contested no more, the newest push after the pull is the state (rule 1).
    const [newest] = after
    const isSingle = !contested && clock.kind !== 'sync-state' && newest === clock.pushes[0]
    change(clock, isSingle && newest !== undefined ? newest : shown, answer)
  } else if (!isWorst && after.length > 0) {
    // A push that this pull cannot know of yet is the newer word.
    if (mayBeSetBack(clock, answer)) change(clock, base, answer)
  } else if (isSame) return [{ clock, shown, answer }]
  else if (clock.retired || isWorse(clock.kind, base, clock) || mayImprove(clock, answer))
    change(clock, base, answer)
  return []
}

/**
 * Rule 5: a pull overrides only what was received before it was sent. One whose answer took its time, or an initial
 * notification, may be older than a pull that came in meanwhile. Where only receipt orders them, it may still worsen.
 */
function isOvertaken({ kind, pull: last, ...clock }: ClockState, { pull, base }: Answer): boolean {
  if (last === undefined || milliseconds(last.receivedAt) <= milliseconds(pull.sentAt)) return false
  if (pull.queryTime && last.at !== undefined) return compareTimes(last.at, base.at) > 0
  return !isWorse(kind, base, clock)
}

/** Rule 3, as for pushes: an initial notification is no proof that a clock was set back, but what is worse stands. */
function mayBeSetBack(clock: ClockState, { draft, pull, base }: Answer): boolean {
  const [newest] = clock.pushes
  if (pull.via !== 'initial' || !pull.queryTime || newest === undefined) return false
  return isWorse(clock.kind, base, clock) && isOutOfOrder(draft, base, newest)
}

/** Rule 5: pushes may still be queued at the publisher, and the one that betters the state will bring its time. */
function mayImprove({ pushes: [newest], pushedAt, timeFrom }: ClockState, answer: Answer): boolean {
  const { draft, pull, base } = answer
  if (newest !== undefined && sameValue(newest, base)) return true
  if (pushedAt === undefined || timeFrom === 'receipt') return true
  // It may be that very push.
  if (pull.create !== undefined && pull.queryTime) return true
  return milliseconds(pull.sentAt) - milliseconds(pushedAt) >= draft.settings.settleMs
}

/**
 * Rule 4. A confirmation alone is worth a write only when the stored one is a third of the way to stale. That a
 * deciding clock is still not LOCKED is always written: a LOCKED push from before this pull must not better it.
 */
function confirm(draft: Draft, agreed: readonly Agreement[]): void {
  const { now, settings } = draft
  const isDue = agreed.some(
    ({ clock: { kind, state, confirmedAt }, answer }) =>
      (OVERALL_KINDS.has(kind) && state !== 'LOCKED') ||
      // It is written for its create anyway, and may be a push that older ones follow.
      answer.pull.create !== undefined ||
      now - milliseconds(confirmedAt) >= settings.staleAfterMs / 3 ||
      isAhead(confirmedAt, now, settings),
  )
  if (!isDue) return
  for (const { clock, shown, answer } of agreed) {
    const { receivedAt } = answer.pull
    const current = clockOf(draft, clock)
    const pull = appliedPull(answer)
    putClock(draft, {
      ...current,
      metrics: shown.metrics,
      observedAt: shown.at,
      receivedAt,
      confirmedAt: receivedAt,
      // That it agreed is remembered with what is written anyway: a worse push from before it is then known as late.
      pull: { ...pull, sentAt: current.pull?.sentAt ?? pull.sentAt },
    })
  }
}

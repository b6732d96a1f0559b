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
import { forgetFuture } from './own-times.ts'
import { cleared, detectClockStep, isOutOfOrder } from './set-back.ts'
import { type PullAnswer, appliedPull, change, isAfter } from './transition.ts'
import { settleUndated } from './undated.ts'

export type PullResult = {
  /** Clocks whose polled state has contradicted the newest push for longer than the settle time. */
  readonly disagreements: readonly Disagreement[]
  /** The publisher's clock went backwards: the order of its pushes was reset (rule 3). */
  readonly clockStepped: boolean
}

/**
 * Merges the results of one poll of a node, or one initial notification (design.md §3, rules 4 to 10). Pulls carry the
 * time of the query, so they never date a transition. Pure. Times in our milliseconds.
 *
 * `poll.startedAt` is given where these are all the pulls of a poll: transitions that no push has dated since an earlier
 * poll are then settled (rule 6), and changes by time alone are announced. `poll.ways` is what the poll knows besides
 * its pulls of how the node's state can reach us.
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
  // Initial notifications arrive on another host than polls run on: they do not judge its times.
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

/** A clock whose state a pull confirmed, and the reading that did. */
type Agreement = { readonly clock: ClockState; readonly shown: Reading; readonly answer: PullAnswer }

/** Merges a pull's reading of one clock; one that agrees is left to {@link confirm}. */
function mergeClock(before: ClockState, answer: PullAnswer): Agreement[] {
  const { draft, pull, base, contested } = answer
  const clock = cleared(draft, settleUndated(draft, before, milliseconds(pull.sentAt)), pull)
  if (isOvertaken(clock, answer)) return []
  const after = clock.pushes.filter((push) => isAfter(push, base, pull))
  const isWorst = contested || takesWorst(clock)
  const shown = worstOf(clock.kind, base, ...after)
  const isSame = sameValue(clock, shown) && clock.contested === contested && !clock.retired
  if (isWorst && !isSame) {
    // Rules 7 and 8. A clock that is no longer contested shows the newest push after the pull (rule 1).
    const [newest] = after
    const isSingle = !contested && clock.kind !== 'sync-state' && newest === clock.pushes[0]
    change(clock, isSingle && newest !== undefined ? newest : shown, answer)
  } else if (!isWorst && after.length > 0) {
    // A push that this pull cannot know of yet is newer.
    if (mayBeSetBack(clock, answer)) change(clock, base, answer)
  } else if (isSame) return [{ clock, shown, answer }]
  else if (clock.retired || isWorse(clock.kind, base, clock) || mayImprove(clock, answer))
    change(clock, base, answer)
  return []
}

/**
 * Rule 5: a pull overrides only what was received before it was sent. A slow answer, or an initial notification, may be
 * older than a pull that arrived meanwhile. Where only receipt orders them, it may still make the state worse.
 */
function isOvertaken({ kind, pull: last, ...clock }: ClockState, { pull, base }: PullAnswer): boolean {
  if (last === undefined || milliseconds(last.receivedAt) <= milliseconds(pull.sentAt)) return false
  if (pull.queryTime && last.at !== undefined) return compareTimes(last.at, base.at) > 0
  return !isWorse(kind, base, clock)
}

/** Rule 3, as for pushes: an initial notification does not prove that a clock was set back, but a worse state stands. */
function mayBeSetBack(clock: ClockState, { draft, pull, base }: PullAnswer): boolean {
  const [newest] = clock.pushes
  if (pull.via !== 'initial' || !pull.queryTime || newest === undefined) return false
  return isWorse(clock.kind, base, clock) && isOutOfOrder(draft, base, newest)
}

/** Rule 5: a push that improves the state may still be queued at the publisher, and would bring the exact time. */
function mayImprove({ pushes: [newest], pushedAt, timeFrom }: ClockState, answer: PullAnswer): boolean {
  const { draft, pull, base } = answer
  if (newest !== undefined && sameValue(newest, base)) return true
  if (pushedAt === undefined || timeFrom === 'receipt') return true
  // It may be that very push.
  if (pull.create !== undefined && pull.queryTime) return true
  return milliseconds(pull.sentAt) - milliseconds(pushedAt) >= draft.settings.settleMs
}

/**
 * Rule 4. A confirmation alone is worth a write only when the stored one is a third of the way to stale. A deciding
 * clock that is still not LOCKED is always written: a LOCKED push from before this pull must not improve it.
 */
function confirm(draft: Draft, agreed: readonly Agreement[]): void {
  const { now, settings } = draft
  const isDue = agreed.some(
    ({ clock: { kind, state, confirmedAt }, answer }) =>
      (OVERALL_KINDS.has(kind) && state !== 'LOCKED') ||
      // Its create is written anyway, and older pushes may follow.
      answer.pull.create !== undefined ||
      now - milliseconds(confirmedAt) >= settings.staleAfterMs / 3,
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
      // Remembering the agreement costs no extra write: a worse push from before it is then known as late.
      pull: { ...pull, sentAt: current.pull?.sentAt ?? pull.sentAt },
    })
  }
}

import type { ClockState, Span } from '#shared/state/document.ts'
import { isoTime, milliseconds } from '#shared/time.ts'
import { type Draft, type MergeSettings, patchNode, putClock } from './draft.ts'

/**
 * Whether a stored time of ours lies further in the future than our hosts' clocks may differ, because one of them was
 * set back or is wrong. Such a time proves nothing (design.md §3, Time). `now` in milliseconds.
 */
export function isAhead(time: string, now: number, { settleMs }: MergeSettings): boolean {
  return milliseconds(time) - now > settleMs
}

/**
 * Replaces times of ours that lie in the future, so that they block nothing now and confirm nothing later. What was
 * received then counts as received at `heardAt`, before the current poll was sent; what was confirmed then counts as
 * unconfirmed.
 */
export function forgetFuture(draft: Draft, heardAt = draft.now): void {
  const { now, settings } = draft
  const heard = isoTime(heardAt)
  const unconfirmed = isoTime(now - settings.staleAfterMs)
  const ahead = (time: string) => isAhead(time, now, settings)
  const past = <T extends string | undefined>(time: T) => (time !== undefined && ahead(time) ? heard : time)
  const received = <T extends { readonly receivedAt: string }>(one: T) => ({
    ...one,
    receivedAt: past(one.receivedAt),
  })
  const sent = <T extends { readonly sentAt: string }>(one: T) => ({ ...one, sentAt: past(one.sentAt) })
  const isPast = (span: Span) => !ahead(span.since) && !ahead(span.confirmedAt)

  const rewritten = (clock: ClockState): ClockState => {
    const { confirmedAt, pushes, pushedAt, pull, undated, overtaken, suspect, unnamed } = clock
    return {
      ...received(clock),
      confirmedAt: ahead(confirmedAt) ? unconfirmed : confirmedAt,
      pushes: pushes.map(received),
      pushedAt: pushedAt !== undefined && ahead(pushedAt) ? undefined : pushedAt,
      pull: pull && sent(received(pull)),
      undated: undated && sent(undated),
      overtaken: overtaken?.map(sent),
      suspect: suspect && received(suspect),
      unnamed: unnamed && isPast(unnamed) ? unnamed : undefined,
    }
  }
  for (const clock of draft.state.clocks) {
    const next = rewritten(clock)
    if (isOther(clock, next)) putClock(draft, next)
  }
  const { absent, subscriptions, publisher } = draft.state
  const next = {
    absent: Object.fromEntries(Object.entries(absent).filter(([, span]) => isPast(span))),
    subscriptions: subscriptions.map((one) => ({ ...one, confirmedAt: past(one.confirmedAt) })),
    publisher: publisher && {
      ...publisher,
      checkedAt: past(publisher.checkedAt),
      goneSince: past(publisher.goneSince),
      reachedAt: past(publisher.reachedAt),
      unreachableSince: past(publisher.unreachableSince),
      blindSince: past(publisher.blindSince),
    },
  }
  if (isOther({ absent, subscriptions, publisher }, next)) patchNode(draft, next)
}

function isOther(before: object, after: object): boolean {
  return JSON.stringify(before) !== JSON.stringify(after)
}

import type { ClockState, Streak } from '#shared/state/document.ts'
import { isoTime, milliseconds } from '#shared/time.ts'
import { type Draft, type MergeSettings, patchNode } from './draft.ts'

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
  let isAny = false
  const ahead = (time: string) => {
    const isOne = isAhead(time, now, settings)
    isAny ||= isOne
    return isOne
  }
  const atMost = <T extends string | undefined>(time: T) => (time !== undefined && ahead(time) ? heard : time)
  const received = <T extends { readonly receivedAt: string }>(one: T) => ({
    ...one,
    receivedAt: atMost(one.receivedAt),
  })
  const sent = <T extends { readonly sentAt: string }>(one: T) => ({ ...one, sentAt: atMost(one.sentAt) })
  const isPast = (span: Streak) => !ahead(span.since) && !ahead(span.confirmedAt)

  const rewritten = (clock: ClockState): ClockState => {
    const { confirmedAt, pushes, pushedAt, pull, undated, overtaken, anchor, suspect, unnamed } = clock
    return {
      ...received(clock),
      confirmedAt: ahead(confirmedAt) ? unconfirmed : confirmedAt,
      pushes: pushes.map(received),
      pushedAt: pushedAt !== undefined && ahead(pushedAt) ? undefined : pushedAt,
      pull: pull && sent(received(pull)),
      undated: undated && sent(undated),
      overtaken: overtaken?.map(sent),
      anchor: anchor && received(anchor),
      suspect: suspect && received(suspect),
      unnamed: unnamed && isPast(unnamed) ? unnamed : undefined,
    }
  }
  const { clocks, absent, subscriptions, publisher } = draft.state
  const past = {
    clocks: clocks.map(rewritten),
    absent: Object.fromEntries(Object.entries(absent).filter(([, span]) => isPast(span))),
    subscriptions: subscriptions.map((one) => ({ ...one, confirmedAt: atMost(one.confirmedAt) })),
    publisher: publisher && {
      ...publisher,
      checkedAt: atMost(publisher.checkedAt),
      goneSince: atMost(publisher.goneSince),
      reachedAt: atMost(publisher.reachedAt),
      unreachableSince: atMost(publisher.unreachableSince),
      blindSince: atMost(publisher.blindSince),
    },
  }
  if (isAny) patchNode(draft, past)
}

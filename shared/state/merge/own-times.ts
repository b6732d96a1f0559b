import { isoTime } from '#shared/time.ts'
import { type Draft, patchNode, putClock } from './draft.ts'
import type { ClockState, Reading, Span } from '#shared/state/document.ts'
import { isAhead } from './own-time.ts'

/**
 * Replaces times of ours that lie in the future, so that they neither hold anything back nor come true later: what
 * was received then counts as received at `heardAt`, before the poll that concludes asked; what was confirmed then as
 * confirmed no more.
 */
export function forgetFuture(draft: Draft, now: number, heardAt = now): void {
  const { settings } = draft
  const ahead = (time: string | undefined) => time !== undefined && isAhead(time, now, settings)
  const aheadIn = (span: Span | undefined) => ahead(span?.since) || ahead(span?.confirmedAt)
  const heard = isoTime(heardAt)
  const past = (time: string) => (ahead(time) ? heard : time)
  const pastIn = <T extends { readonly receivedAt: string }>(reading: T): T =>
    ahead(reading.receivedAt) ? { ...reading, receivedAt: heard } : reading

  const isWrong = (clock: ClockState) =>
    [clock.receivedAt, clock.confirmedAt, clock.pushedAt, clock.undated?.sentAt].some(ahead) ||
    clock.overtaken?.some(({ sentAt }) => ahead(sentAt)) ||
    [clock.pull?.sentAt, clock.pull?.receivedAt].some(ahead) ||
    aheadIn(clock.unnamed) ||
    readingsOf(clock).some(({ receivedAt }) => ahead(receivedAt))

  for (const clock of draft.clocks) {
    if (!isWrong(clock)) continue
    const { unnamed, pushedAt, pull, undated, overtaken, suspect, ...rest } = clock
    putClock(draft, {
      ...rest,
      receivedAt: past(clock.receivedAt),
      confirmedAt: ahead(clock.confirmedAt) ? isoTime(now - settings.staleAfterMs) : clock.confirmedAt,
      pushes: clock.pushes.map(pastIn),
      ...(pushedAt && !ahead(pushedAt) && { pushedAt }),
      ...(pull && { pull: { ...pastIn(pull), sentAt: past(pull.sentAt) } }),
      ...(undated && { undated: { ...undated, sentAt: past(undated.sentAt) } }),
      ...(overtaken && { overtaken: overtaken.map((one) => ({ ...one, sentAt: past(one.sentAt) })) }),
      ...(suspect && { suspect: pastIn(suspect) }),
      ...(unnamed && !aheadIn(unnamed) && { unnamed }),
    })
  }

  const { absent, subscriptions, publisher } = draft.state
  if (Object.values(absent).some(aheadIn)) {
    const kept = Object.entries(absent).filter(([, span]) => !aheadIn(span))
    patchNode(draft, { absent: Object.fromEntries(kept) })
  }
  if (subscriptions.some(({ confirmedAt }) => ahead(confirmedAt))) {
    const held = subscriptions.map((one) => ({ ...one, confirmedAt: past(one.confirmedAt) }))
    patchNode(draft, { subscriptions: held })
  }
  if (publisher === undefined) return
  const { checkedAt, goneSince, unreachableSince, blindSince } = publisher
  if ([checkedAt, goneSince, unreachableSince, blindSince].some(ahead)) {
    patchNode(draft, {
      publisher: {
        ...publisher,
        checkedAt: past(checkedAt),
        ...(goneSince && { goneSince: past(goneSince) }),
        ...(unreachableSince && { unreachableSince: past(unreachableSince) }),
        ...(blindSince && { blindSince: past(blindSince) }),
      },
    })
  }
}

function readingsOf({ pushes, suspect }: ClockState): readonly Pick<Reading, 'receivedAt'>[] {
  return suspect === undefined ? pushes : [...pushes, suspect]
}

import { isoTime, milliseconds } from '#shared/time.ts'
import { type Draft, patchNode } from './draft.ts'

/**
 * What a poll knows of the ways by which a node's state reaches us:
 * - `heard`: a pull brought a word;
 * - `open`: the publisher holds a subscription of ours;
 * - `cut`: it was reached, holds none of ours, none could be made, and no pull brought a word;
 * - `unreachable`: it did not answer.
 */
export type Ways = 'heard' | 'open' | 'cut' | 'unreachable'

/**
 * A node is blind while nothing of it can reach us (design.md §3): at once where the ways are cut, and where its
 * publisher was unreachable for two polls in a row, at least a settle time apart; one alone may be chance.
 */
export function noteWays(draft: Draft, ways: Ways, now: number): void {
  const { publisher } = draft.state
  if (publisher === undefined) return
  const { unreachableSince, blindSince, ...rest } = publisher
  const since = ways === 'unreachable' ? (unreachableSince ?? isoTime(now)) : undefined
  const isTwice = since !== undefined && now - milliseconds(since) >= draft.settings.settleMs
  // Ways that are open again make no old word true: that takes a new one.
  const known = ways === 'heard' ? undefined : blindSince
  const blind = known ?? (ways === 'cut' || isTwice ? isoTime(now) : undefined)
  if (since === unreachableSince && blind === blindSince) return
  patchNode(draft, {
    publisher: {
      ...rest,
      ...(since !== undefined && { unreachableSince: since }),
      ...(blind !== undefined && { blindSince: blind }),
    },
  })
}

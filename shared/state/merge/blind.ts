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
export function noteWays(draft: Draft, ways: Ways): void {
  const { publisher } = draft.state
  if (publisher === undefined) return
  const now = isoTime(draft.now)
  const unreachableSince = ways === 'unreachable' ? (publisher.unreachableSince ?? now) : undefined
  const isTwice =
    unreachableSince !== undefined && draft.now - milliseconds(unreachableSince) >= draft.settings.settleMs
  // A way that is open again confirms nothing that was read before: only a new reading does.
  const known = ways === 'heard' ? undefined : publisher.blindSince
  const blindSince = known ?? (ways === 'cut' || isTwice ? now : undefined)
  if (unreachableSince === publisher.unreachableSince && blindSince === publisher.blindSince) return
  patchNode(draft, { publisher: { ...publisher, unreachableSince, blindSince } })
}

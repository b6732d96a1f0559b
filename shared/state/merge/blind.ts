import { isoTime, milliseconds } from '#shared/time.ts'
import { type Draft, patchNode } from './draft.ts'

/**
 * How a node's state can reach us, as a poll found it:
 * - `heard`: a pull returned a reading;
 * - `open`: the publisher holds a subscription of ours;
 * - `cut`: it answers, but holds no subscription of ours, accepted none, and no pull returned a reading;
 * - `unreachable`: it did not answer.
 */
export type Ways = 'heard' | 'open' | 'cut' | 'unreachable'

/**
 * A node is blind while nothing of it can reach us (design.md §3): at once when it is `cut`, or when its publisher was
 * unreachable in two polls in a row, at least a settle time apart, since a single failure may be chance.
 */
export function noteWays(draft: Draft, ways: Ways): void {
  const { publisher } = draft.state
  if (publisher === undefined) return
  const now = isoTime(draft.now)
  const unreachableSince = ways === 'unreachable' ? (publisher.unreachableSince ?? now) : undefined
  const isTwice =
    unreachableSince !== undefined && draft.now - milliseconds(unreachableSince) >= draft.settings.settleMs
  // A subscription that is back confirms nothing that was read before: only a new reading does.
  const known = ways === 'heard' ? undefined : publisher.blindSince
  const blindSince = known ?? (ways === 'cut' || isTwice ? now : undefined)
  if (unreachableSince === publisher.unreachableSince && blindSince === publisher.blindSince) return
  patchNode(draft, { publisher: { ...publisher, unreachableSince, blindSince } })
}

import type { NodeState } from '#shared/state/document.ts'
import { isoTime, milliseconds } from '#shared/time.ts'
import type { MergeSettings } from './draft.ts'
import { conditionOf, type Overall } from './overall.ts'
import { isAhead } from './own-times.ts'

/** How long a node has been in each state, in milliseconds. */
type Spent = Readonly<Record<Overall, number>>

const NOTHING: Spent = { FREERUN: 0, HOLDOVER: 0, UNKNOWN: 0, LOCKED: 0 }

/**
 * The time that a node has spent in each state up to `until` (our time, ms): what its document has counted, plus the
 * time since, in which time alone may have changed its state. Counting begins with the first write and never goes down.
 */
export function spentBy(state: NodeState, until: number, settings: MergeSettings): Spent {
  const { until: counted, ...spent } = state.spent ?? { ...NOTHING, until: isoTime(until) }
  let at = milliseconds(counted)
  const turns = turnsOf(state, settings).filter((turn) => turn > at && turn < until)
  for (const turn of [...turns.sort((a, b) => a - b), until]) {
    if (turn <= at) continue
    spent[conditionOf(state, at, settings).overall] += turn - at
    at = turn
  }
  return spent
}

/** The counted time that the next write stores. It never goes down, even if our clock was set back. */
export function countSpent(before: NodeState, now: number, settings: MergeSettings): NodeState['spent'] {
  const { until = isoTime(now) } = before.spent ?? {}
  const isLater = milliseconds(until) > now && !isAhead(until, now, settings)
  return { ...spentBy(before, now, settings), until: isLater ? until : isoTime(now) }
}

/** When time alone may change the state of a node: each of our times in it that expires, or is still to come. */
export function turnsOf(state: NodeState, { staleAfterMs, settleMs }: MergeSettings): number[] {
  const unnamed = state.clocks.flatMap((clock) => clock.unnamed ?? [])
  return [...state.clocks, ...unnamed, ...Object.values(state.absent)].flatMap(({ confirmedAt }) => {
    const time = milliseconds(confirmedAt)
    return [time + staleAfterMs, time - settleMs]
  })
}

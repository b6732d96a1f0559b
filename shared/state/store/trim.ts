import type { NodeState } from '#shared/state/document.ts'

/** Unsent entries are kept for up to 20 histories of a node, but at most 100,000 entries or one history. */
const UNSENT_HISTORIES = 20
const MOST_UNSENT = 100_000
/** Entries are trimmed in batches: a write that also trims costs more. */
const STEPS_A_HISTORY = 8
const LARGEST_STEP = 100

/** What one write trims from a node's log. */
type Trim = {
  /** Entries up to this number are dropped; 0 if none. */
  readonly through: number
  /** How many of them the sink never accepted. */
  readonly unsent: number
}

/**
 * Keeps the newest `historyPerNode` entries. Trimming is done in batches, so up to an eighth more (at most 100) may be
 * kept. With a sink, entries that it has not accepted are kept too, up to 20 times that number: a broker that never
 * comes back must not fill the store.
 */
export function trim(before: NodeState | undefined, after: NodeState, historyPerNode: number): Trim {
  const through = dropped(after, historyPerNode)
  const already = before === undefined ? 0 : dropped(before, historyPerNode)
  if (through <= already) return { through: 0, unsent: 0 }
  if (after.forwarded === undefined) return { through, unsent: 0 }
  return { through, unsent: Math.max(0, through - Math.max(already, after.forwarded)) }
}

function dropped({ seq, forwarded }: NodeState, historyPerNode: number): number {
  const old = seq - historyPerNode
  const hard = seq - Math.max(historyPerNode, Math.min(UNSENT_HISTORIES * historyPerNode, MOST_UNSENT))
  const dispensable = Math.max(0, forwarded === undefined ? old : Math.max(Math.min(old, forwarded), hard))
  const step = Math.max(1, Math.min(LARGEST_STEP, Math.floor(historyPerNode / STEPS_A_HISTORY)))
  return dispensable - (dispensable % step)
}

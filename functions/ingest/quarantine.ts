import type { Problem } from '#shared/events/normalise.ts'
import type { Log } from '#shared/log.ts'
import type { NewEntry, NodeState } from '#shared/state/node-state.ts'
import type { Outcome } from '#shared/state/store.ts'

/** How many bodies a node's document keeps, and how much of each (characters). */
const KEPT = 5
const KEPT_LENGTH = 1_024

/** Without this bound a hostile sender could fill the memory with names. */
const MOST_STRANGERS = 1_000

export type Quarantine = {
  readonly reason: Problem['code']
  readonly message: string
  readonly body: string
  readonly receivedAt: string
}

/** The body is set aside in the document of its node, the newest few of them, and counted. */
export function quarantined(
  before: NodeState,
  { message, body, receivedAt }: Quarantine,
): Outcome<{ outcome: 'quarantined'; entries: NewEntry[] }> {
  const one = { receivedAt, reason: message, body: body.slice(0, KEPT_LENGTH) }
  return {
    state: { ...before, quarantine: [...before.quarantine, one].slice(-KEPT) },
    counters: { received: 1, quarantined: 1 },
    result: { outcome: 'quarantined', entries: [] },
  }
}

/** Names that events came for though nobody configured them; told when first seen, counted after. */
export type Strangers = { add(node: string, reason: string): void }

export function createStrangers(log: Log): Strangers {
  const seen = new Map<string, number>()
  return {
    add(node, reason) {
      const times = (seen.get(node) ?? 0) + 1
      if (times === 1 && seen.size >= MOST_STRANGERS) return
      seen.set(node, times)
      // 1, 10, 100 …: told again, but never as often as it happens.
      if (!/^10*$/.test(String(times))) return
      log.warn('An event of a node that is neither configured nor in the store was set aside', {
        node,
        reason,
        times,
      })
    },
  }
}

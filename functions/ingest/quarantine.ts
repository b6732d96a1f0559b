import type { Problem } from '#shared/events/normalise.ts'
import type { Log } from '#shared/log.ts'
import type { NewEntry, NodeState } from '#shared/state/node-state.ts'
import type { Outcome } from '#shared/state/store.ts'

/** How many bodies a node's document keeps, and how much of each (bytes). */
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

/** What is kept of a body. It is not spelled anew from its JSON, which may nest deeper than the stack reaches. */
export function beginningOf(body: Uint8Array): string {
  return new TextDecoder().decode(body.subarray(0, KEPT_LENGTH))
}

/** The body is set aside in the document of its node, the newest few of them, and counted. */
export function quarantined(
  before: NodeState,
  { message, body, receivedAt }: Quarantine,
): Outcome<{ outcome: 'quarantined'; entries: NewEntry[] }> {
  return {
    state: {
      ...before,
      quarantine: [...before.quarantine, { receivedAt, reason: message, body }].slice(-KEPT),
    },
    counters: { received: 1, quarantined: 1 },
    result: { outcome: 'quarantined', entries: [] },
  }
}

/** What the configuration takes for the name of a node. Under any other nothing is stored, whoever vouches for it. */
const NODE_NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/

export function isNodeName(text: string): boolean {
  return NODE_NAME.test(text)
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

import type { Problem } from '#shared/events/normalise.ts'
import type { Log, LogFields } from '#shared/log.ts'
import type { NodeState } from '#shared/state/document.ts'
import type { Received } from '#shared/state/merge/body.ts'
import type { Outcome } from '#shared/state/store/change.ts'

/** How many bodies a node's document keeps, and how much of each (bytes). */
const KEPT = 5
const KEPT_LENGTH = 1_024

/** Without this bound a hostile sender could fill the memory, and the log, with names. */
const MOST_TOLD = 1_000

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

/** Keeps the body in the document of its node, which has the newest few of them, and counts it. */
export function quarantined(before: NodeState, { message, body, receivedAt }: Quarantine): Outcome<Received> {
  return {
    state: {
      ...before,
      quarantine: [...before.quarantine, { receivedAt, reason: message, body }].slice(-KEPT),
    },
    counters: { received: 1, quarantined: 1 },
    result: { outcome: 'quarantined', entries: [] },
  }
}

/** Tells of what may come in any number: at once when it is new, after that now and then, with how often it came. */
export type Told = { add(node: string, reason: string, fields?: LogFields): void }

/** How long a repetition is only counted, unless it is the 10th, 100th, 1,000th … Milliseconds. */
const TOLD_AGAIN_AFTER = 60_000

/**
 * One line for each node and reason, and another with `times` when there are ten times as many, or a minute later. Of
 * more than {@link MOST_TOLD} such pairs the others are told together.
 */
export function createTold(log: Log, now: () => number, message: string): Told {
  const seen = new Map<string, { times: number; at: number }>()
  return {
    add(node, reason, fields) {
      const own = `${node} ${reason}`
      const isOther = !seen.has(own) && seen.size >= MOST_TOLD
      const key = isOther ? '' : own
      const last = seen.get(key)
      const times = (last?.times ?? 0) + 1
      const at = now()
      const isDue =
        last === undefined || Math.abs(at - last.at) >= TOLD_AGAIN_AFTER || /^10+$/.test(String(times))
      seen.set(key, { times, at: isDue ? at : last.at })
      if (!isDue) return
      if (isOther) log.warn(message, { node: '(more nodes)', times })
      // A path may hold a name of any length.
      else log.warn(message, { node: node.slice(0, 80), reason, ...fields, times })
    },
  }
}

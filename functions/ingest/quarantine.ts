import type { Problem } from '#shared/events/normalise.ts'
import type { Log, LogFields } from '#shared/log.ts'
import type { NodeState } from '#shared/state/document.ts'
import type { Received } from '#shared/state/merge/body.ts'
import type { Outcome } from '#shared/state/store/change.ts'

/** How many bodies a node's document keeps, and how much of each (bytes). */
const KEPT = 5
const KEPT_LENGTH = 1_024

/** Without this limit a hostile sender could fill memory and log with made-up names. */
const MOST_TOLD = 1_000

export type Quarantine = {
  readonly reason: Problem['code']
  readonly message: string
  readonly body: string
  readonly receivedAt: string
}

/** The part of a body that is kept, as it came: JSON may nest too deeply to be serialised again. */
export function beginningOf(body: Uint8Array): string {
  return new TextDecoder().decode(body.subarray(0, KEPT_LENGTH))
}

/** Keeps the body among the newest few in its node's document, and counts it. */
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

/** Logs what may arrive in any number: at once the first time, then occasionally with a count. */
export type Told = { add(node: string, reason: string, fields?: LogFields): void }

/** How long repetitions are only counted, except the 10th, 100th, 1,000th … Milliseconds. */
const TOLD_AGAIN_AFTER = 60_000

/**
 * One line for each node and reason, and another with `times` after ten times as many, or a minute later. Beyond {@link
 * MOST_TOLD} such pairs, all others share one line.
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
      // A path may contain a name of any length.
      else log.warn(message, { node: node.slice(0, 80), reason, ...fields, times })
    },
  }
}

import { reasonOf } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import type { NodeState } from '#shared/state/node-state.ts'
import type { Change, Outcome, Store } from '#shared/state/store.ts'
import { eventOf } from './event.ts'
import type { BrokerMetrics } from './metrics.ts'
import type { Sink } from './sink.ts'

/** How many entries are read at once, and how long a cursor waits for a write to go with (milliseconds). */
const BATCH = 100
const CURSOR_PAUSE = 1_000
/** Pauses between tries of one node: doubled each time, with jitter (milliseconds). */
const FIRST_PAUSE = 500
const LONGEST_PAUSE = 30_000

/**
 * Sends what the log holds after `forwarded`: the log is the outbox, the store its only memory (design.md §3). First
 * arrivals are in the order of the log for each node; repeats, with the same id, may follow; never not at all.
 */
export type Forwarder = {
  /**
   * The store through which functions write while there is a sink: it marks from where a node's log is to be sent,
   * and each change that makes entries has them sent after it, without the caller waiting for that.
   */
  readonly store: Store
  /** Sends what is left of a node; resolves when all is sent, or to false when the sink did not take it. */
  flush(node: string): Promise<boolean>
  /** Ends retries, gives what is under way a last chance until `signal`, and writes the cursors. */
  close(signal?: AbortSignal): Promise<void>
}

type Lane = {
  running: Promise<boolean> | undefined
  /** Something was added while it ran. */
  again: boolean
  failures: number
  retry: NodeJS.Timeout | undefined
}

export function createForwarder(deps: {
  store: Store
  sink: Sink
  log: Log
  metrics: BrokerMetrics
  random: () => number
}): Forwarder {
  const { store, sink, log, metrics, random } = deps
  const lanes = new Map<string, Lane>()
  /** Up to which number the sink has a node's entries, by what this process knows: ahead of the store for a moment. */
  const cursors = new Map<string, { incarnation: string; sent: number }>()
  const unwritten = new Map<string, NodeJS.Timeout>()
  let closed = false

  /** The cursor of a document: the furthest that is known. A process without a sink never gets here. */
  const cursorOf = (state: NodeState): number => {
    const own = cursors.get(state.node)
    const stored = state.forwarded ?? state.seq
    return own?.incarnation === state.incarnation ? Math.max(stored, own.sent) : stored
  }

  const marked = <T>(change: Change<T>): Change<T> => {
    return (current) => {
      const outcome: Outcome<T> = change(current)
      if (outcome.state === undefined) return outcome
      // A document that was there before there was a sink keeps its history to itself.
      const before = current ?? { ...outcome.state, seq: 0 }
      return { ...outcome, state: { ...outcome.state, forwarded: cursorOf(before) } }
    }
  }

  const writeCursor = async (node: string): Promise<void> => {
    clearTimeout(unwritten.get(node))
    unwritten.delete(node)
    try {
      await store.update(node, (current) => {
        if (current === undefined) return { certain: true, result: undefined }
        const forwarded = cursorOf(current)
        if (current.forwarded !== undefined && current.forwarded >= forwarded) {
          return { certain: true, result: undefined }
        }
        return { state: { ...current, forwarded }, result: undefined }
      })
    } catch (error) {
      // What was sent is sent again after a restart, with the same ids.
      log.warn('The place up to which events were sent could not be written', {
        node,
        error: reasonOf(error),
      })
    }
  }

  const advance = (node: string, incarnation: string, sent: number) => {
    const own = cursors.get(node)
    if (own !== undefined && own.incarnation === incarnation && own.sent >= sent) return
    cursors.set(node, { incarnation, sent })
    if (unwritten.has(node)) return
    const timer = setTimeout(() => void writeCursor(node), CURSOR_PAUSE)
    unwritten.set(node, timer.unref())
  }

  /** Sends until nothing is left. False when the sink did not take something. */
  const drain = async (node: string): Promise<{ done: boolean; afterMs?: number | undefined }> => {
    for (;;) {
      const state = await store.read(node)
      if (state?.forwarded === undefined) return { done: true }
      const { incarnation } = state
      const after = cursorOf(state)
      const entries = after >= state.seq ? [] : await store.log(node, { after, limit: BATCH })
      if (entries.length === 0) return { done: true }
      for (const entry of entries) {
        const sent = await sink.send(eventOf(node, incarnation, entry))
        metrics.events.inc({ outcome: sent.outcome })
        if (sent.outcome === 'failed') {
          log.warn('An event waits for the sink', { node, seq: entry.seq, error: sent.reason })
          return { done: false, afterMs: sent.afterMs }
        }
        if (sent.outcome === 'poison') {
          log.error('The sink will not take an event: it is set aside', { node, entry, error: sent.reason })
        }
        advance(node, incarnation, entry.seq)
      }
    }
  }

  const laneOf = (node: string): Lane => {
    const known = lanes.get(node)
    if (known !== undefined) return known
    const lane: Lane = { running: undefined, again: false, failures: 0, retry: undefined }
    lanes.set(node, lane)
    return lane
  }

  const run = async (node: string, lane: Lane): Promise<boolean> => {
    let result: Awaited<ReturnType<typeof drain>>
    do {
      lane.again = false
      result = await drain(node).catch((error: unknown) => {
        log.warn('Events wait for the store', { node, error: reasonOf(error) })
        return { done: false }
      })
    } while (lane.again && result.done)
    lane.running = undefined
    if (result.done) {
      lane.failures = 0
      if (!lane.again) lanes.delete(node)
      return true
    }
    lane.failures += 1
    if (!closed) {
      const pause = Math.min(FIRST_PAUSE * 2 ** (lane.failures - 1), LONGEST_PAUSE) * (0.5 + random() / 2)
      lane.retry = setTimeout(() => void flush(node), Math.max(pause, result.afterMs ?? 0)).unref()
    }
    return false
  }

  const flush = (node: string): Promise<boolean> => {
    const lane = laneOf(node)
    if (lane.running !== undefined) {
      lane.again = true
      return lane.running
    }
    clearTimeout(lane.retry)
    lane.running = run(node, lane)
    return lane.running
  }

  /** A lane that waits for its next try is not hurried by every event. */
  const nudge = (node: string) => {
    const lane = lanes.get(node)
    if (lane?.running === undefined && lane?.retry !== undefined) return
    void flush(node)
  }

  return {
    store: {
      ...store,
      async update(node, change, options) {
        let made = 0
        const counted: typeof change = (current) => {
          const outcome = marked(change)(current)
          made = outcome.entries?.length ?? 0
          return outcome
        }
        const result = await store.update(node, counted, options)
        if (made > 0 && !closed) nudge(node)
        return result
      },
    },
    flush,
    async close(signal) {
      closed = true
      for (const lane of lanes.values()) clearTimeout(lane.retry)
      const over = new Promise<void>((resolve) => {
        if (signal === undefined) return
        if (signal.aborted) resolve()
        else signal.addEventListener('abort', () => resolve(), { once: true })
      })
      await Promise.race([Promise.all([...lanes.keys()].map((node) => flush(node))), over])
      await Promise.all([...unwritten.keys()].map((node) => writeCursor(node)))
      await sink.close()
    },
  }
}

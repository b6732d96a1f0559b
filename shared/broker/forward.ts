import { setImmediate as nextTurn } from 'node:timers/promises'
import pLimit from 'p-limit'
import { reasonOf } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import type { Metrics } from '#shared/metrics.ts'
import { createOutage } from '#shared/outage.ts'
import type { LogEntry, NodeState } from '#shared/state/document.ts'
import type { Store } from '#shared/state/store/store.ts'
import { eventOf } from './event.ts'
import { CONCURRENCY, type Sent, type Sink } from './sink.ts'

/** How many log entries of a node are read, and marked as sent, at once. */
const BATCH = 100
/** How long entries logged by another process are left to that process. Milliseconds. */
const LEFT_OVER_AFTER = 2_000
/** Pauses between attempts: doubled each time, half of it random. Milliseconds. */
const FIRST_PAUSE = 500
const LONGEST_PAUSE = 30_000
/** After this many failures in a row, of any nodes, the sink counts as down: all pause, then one node tries alone. */
const DOWN_AFTER = 3

/** A node with events to send. */
type Line = {
  readonly node: string
  /** More was logged during the current send. */
  again: boolean
  failures: number
  timer?: NodeJS.Timeout
  running?: Promise<void> | undefined
}

/** Entries not yet sent, all from one incarnation of a document. */
type Unsent = Pick<NodeState, 'incarnation' | 'labels'> & { readonly entries: readonly LogEntry[] }

/** The last entry of a log that the sink accepted. */
type Position = { readonly incarnation: string; readonly seq: number }

export type Forwarder = ReturnType<typeof createForwarder>

export type ForwarderDeps = {
  readonly store: Store
  readonly sink: Sink
  readonly log: Log
  readonly metrics: Metrics
  /** [0, 1), for jitter. */
  readonly random: () => number
}

/**
 * Sends the log entries after `forwarded`: the log is the outbox, and the store the only memory (design.md §6). An
 * entry is sent only after the sink accepted the one before it; repeats have the same id. `lastChanceMs`: how long
 * `close` may take to send what is left; the host allows 5 s.
 */
export function createForwarder(
  { store, sink, log, metrics, random }: ForwarderDeps,
  { lastChanceMs = 2_500 } = {},
) {
  const events = metrics.counter({
    name: 'ptp_watch_forwarded_total',
    help: 'Events sent to the sink, by its answer: failed ones are retried, rejected ones are skipped.',
    labels: { outcome: ['accepted', 'rejected', 'failed'] },
  })
  const waiting = metrics.gauge({
    name: 'ptp_watch_forward_waiting_nodes',
    help: 'Nodes with events that the sink has not accepted yet, as far as this process knows.',
  })
  const sinkOutage = createOutage(log, {
    failed: 'sink failed: events wait in the log and are retried',
    recovered: 'sink accepts events again',
  })
  const storeOutage = createOutage(log, {
    failed: 'cannot read events from the store or mark them as sent; retrying with back-off',
    recovered: 'events are read from the store and marked as sent again',
  })
  const lines = new Map<string, Line>()
  const limit = pLimit(CONCURRENCY)
  const ended = new AbortController()
  let failuresInRow = 0
  let pause: NodeJS.Timeout | undefined

  const backoff = (times: number, afterMs: number) =>
    Math.max(afterMs, Math.min(FIRST_PAUSE * 2 ** (times - 1), LONGEST_PAUSE) * (0.5 + random() / 2))

  /** Marks entries of a node as sent and returns the state of its log; undefined if it is not forwarded. */
  const mark = (node: string, sent?: Position) =>
    store.update(node, (current) => {
      if (current?.forwarded === undefined) return { result: undefined }
      // A position beyond the log belongs to a document that was removed or restored from a backup.
      const isOfIt = sent !== undefined && sent.incarnation === current.incarnation && sent.seq <= current.seq
      const forwarded = Math.max(current.forwarded, isOfIt ? sent.seq : 0)
      const result = { ...current, forwarded }
      return { state: forwarded > current.forwarded ? result : undefined, result }
    })

  /** Marks entries as sent and reads the next ones; undefined when nothing is left. */
  const next = async (node: string, sent?: Position): Promise<Unsent | undefined> => {
    const state = await mark(node, sent)
    if (state === undefined || state.forwarded >= state.seq) return undefined
    const entries = await store.log(node, { after: state.forwarded, limit: BATCH })
    return entries.length === 0 ? undefined : { ...state, entries }
  }

  /** Counts an answer of the sink, and pauses all nodes if the sink is down. */
  const count = (line: Line, answer: Sent) => {
    events.inc({ outcome: answer.outcome })
    if (answer.outcome !== 'failed') {
      line.failures = 0
      failuresInRow = 0
      if (limit.concurrency < CONCURRENCY) limit.concurrency = CONCURRENCY
      return sinkOutage.worked(line.node)
    }
    const { reason, afterMs = 0 } = answer
    sinkOutage.failed(line.node, { reason })
    // Requests already in flight when the sink went down are not counted again.
    if (pause !== undefined) return
    failuresInRow += 1
    if (failuresInRow < DOWN_AFTER && afterMs === 0) return
    limit.concurrency = 1
    const over = () => {
      pause = undefined
      beginAll()
    }
    pause = setTimeout(over, backoff(failuresInRow, afterMs)).unref()
  }

  /** Sends everything left of a node, marking each batch; returns the failure that stopped it, if any. */
  const sendAll = async (line: Line, written?: Unsent) => {
    const { node } = line
    let sent: Position | undefined
    for (let unsent = written ?? (await next(node)); unsent !== undefined; unsent = await next(node, sent)) {
      const { incarnation, labels, entries } = unsent
      for (const entry of entries) {
        const answer = await sink.send(eventOf(node, incarnation, entry, labels), ended.signal)
        if (answer.outcome === 'failed') {
          log.debug('event waits for the sink', { node, seq: entry.seq, reason: answer.reason })
          if (sent !== undefined) await mark(node, sent)
          return answer
        }
        if (answer.outcome === 'rejected')
          log.error('sink rejected event permanently; skipping', { node, entry, reason: answer.reason })
        sent = { incarnation, seq: entry.seq }
        count(line, answer)
      }
    }
    return undefined
  }

  /** True when everything is sent; otherwise it is retried later. */
  const attempt = async (line: Line, written?: Unsent): Promise<boolean> => {
    let afterMs = 0
    try {
      const failed = await sendAll(line, written)
      storeOutage.worked(line.node)
      if (failed === undefined) return true
      if (ended.signal.aborted) return false
      count(line, failed)
      afterMs = failed.afterMs ?? 0
    } catch (error) {
      storeOutage.failed(line.node, { reason: reasonOf(error) })
    }
    // Moved to the end, so that a node whose own events fail does not hold up the others.
    lines.delete(line.node)
    lines.set(line.node, line)
    line.failures += 1
    line.timer = setTimeout(begin, backoff(line.failures, afterMs), line).unref()
    return false
  }

  const run = async (line: Line, written?: Unsent): Promise<void> => {
    // Answer the request that logged it first.
    await nextTurn()
    const isDone = pause === undefined && !ended.signal.aborted && (await attempt(line, written))
    line.running = undefined
    if (isDone && line.again) begin(line)
    else if (isDone) lines.delete(line.node)
    waiting.set({}, lines.size)
  }

  const begin = (line: Line, written?: Unsent) => {
    if (line.running !== undefined || ended.signal.aborted) return
    clearTimeout(line.timer)
    line.again = false
    line.running = limit(run, line, written)
  }

  const beginAll = () => {
    for (const line of lines.values()) begin(line)
  }

  /** `written` is sent directly if nothing of the node is under way; anything later is read from the store. */
  const add = (node: string, afterMs: number, written?: Unsent) => {
    const known = lines.get(node)
    const line: Line = known ?? { node, again: false, failures: 0 }
    lines.set(node, line)
    line.again = true
    waiting.set({}, lines.size)
    if (afterMs === 0 && line.failures === 0) begin(line, known === undefined ? written : undefined)
    else if (known === undefined) line.timer = setTimeout(begin, afterMs, line).unref()
  }

  const update: Store['update'] = async (node, change) => {
    let written: Unsent | undefined
    let isBehind = false
    // May run several times: the last run is the one that was written.
    const forwarding: typeof change = (current) => {
      const outcome = change(current)
      const { entries: added = [], state = added.length > 0 ? current : undefined } = outcome
      const { seq, forwarded = seq } = current ?? { seq: 0 }
      const entries = added.map((entry, index) => ({ ...entry, seq: seq + index + 1 }))
      written = state && entries.length > 0 ? { ...state, entries } : undefined
      isBehind = forwarded < seq
      // Entries logged before there was a sink are not sent.
      return state === undefined ? outcome : { ...outcome, state: { ...state, forwarded } }
    }
    const result = await store.update(node, forwarding)
    if (written !== undefined) add(node, 0, isBehind ? undefined : written)
    else if (isBehind) add(node, LEFT_OVER_AFTER)
    return result
  }

  /** Tries everything left once, now. True if nothing is left; the rest goes with the node's next event. */
  const settle = async (signal: AbortSignal): Promise<boolean> => {
    beginAll()
    const { promise: aborted, resolve } = Promise.withResolvers<void>()
    signal.addEventListener('abort', () => resolve(), { once: true })
    while (!signal.aborted) {
      const running = [...lines.values()].flatMap((line) => line.running ?? [])
      if (running.length === 0) break
      await Promise.race([aborted, Promise.all(running)])
    }
    return lines.size === 0
  }

  return {
    /** The store for functions to write through: new entries are sent in the background. */
    store: { ...store, update },
    settle,

    /** Tries once more to send what is left, for a limited time. The store stays open. */
    async close() {
      await settle(AbortSignal.timeout(lastChanceMs))
      ended.abort(new Error('The process ends'))
      clearTimeout(pause)
      for (const { timer } of lines.values()) clearTimeout(timer)
      await Promise.all([...lines.values()].map(({ running }) => running))
      await sink.close()
    },
  }
}

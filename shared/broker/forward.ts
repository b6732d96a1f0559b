import { setImmediate as nextTurn } from 'node:timers/promises'
import pLimit from 'p-limit'
import { reasonOf } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import { createOutage } from '#shared/outage.ts'
import type { LogEntry, NodeState } from '#shared/state/document.ts'
import type { Store } from '#shared/state/store/store.ts'
import { eventOf } from './event.ts'
import type { BrokerMetrics } from './metrics.ts'
import type { Sink } from './sink.ts'

/** How many events may be under way at once, of different nodes. */
export const CONCURRENCY = 32
/** How many entries of a node are read at once. */
const BATCH = 100
/** What another process has logged is left to that process for so long. Milliseconds. */
const LEFT_OVER_AFTER = 2_000
/** That it was sent is written with the node's next write, if one comes in this time. Milliseconds. */
const MARKED_AFTER = 1_000
/** Pauses between tries: doubled each time, half of each by chance. Milliseconds. */
const FIRST_PAUSE = 500
const LONGEST_PAUSE = 30_000
/** So many failures in a row, of whatever nodes, and the sink is down: all pause, then one node tries it alone. */
const DOWN_AFTER = 3
/** How long the sink may take for what is left when the process ends, in milliseconds; the host gives it 5 s. */
const LAST_CHANCE = 2_500

/**
 * Sends what the log holds after `forwarded`: the log is the outbox, the store its only memory (design.md §6). An entry
 * is sent only after the sink took the one before it; repeats have the same id.
 */
export type Forwarder = {
  /** The store through which functions write while there is a sink: what they log is sent, without them waiting. */
  readonly store: Store
  /** Tries all that is left once, now. True when nothing is left; the rest goes with the next event of its node. */
  settle(signal: AbortSignal): Promise<boolean>
  /** Gives what is left a last chance, bounded in time, and writes the positions. The store is left open. */
  close(): Promise<void>
}

export type ForwarderDeps = {
  readonly store: Store
  readonly sink: Sink
  readonly log: Log
  readonly metrics: BrokerMetrics
  /** [0, 1), for jitter. */
  readonly random: () => number
}

/** Entries that the sink lacks, of one incarnation of a document. */
type Unsent = {
  readonly incarnation: string
  readonly labels: NodeState['labels']
  readonly entries: readonly LogEntry[]
}

/** Up to where the sink has a log. */
type Sent = { readonly incarnation: string; readonly seq: number }

/** A node that has something to send, or to mark as sent. */
type Line = {
  readonly node: string
  /** What was just written and is next: it need not be read back. */
  news: Unsent | undefined
  /** Up to where the sink has the log, until the store knows it. */
  sent: Sent | undefined
  /** More came while it was being sent. */
  again: boolean
  failures: number
  timer: NodeJS.Timeout | undefined
  running: Promise<void> | undefined
}

/** Why a line stopped before its end. */
type Stopped = { readonly by: 'sink'; readonly afterMs?: number } | { readonly by: 'store' | 'pause' | 'end' }

/** `lastChanceMs`: how long the sink may take for what is left at the end. */
export function createForwarder(deps: ForwarderDeps, { lastChanceMs = LAST_CHANCE } = {}): Forwarder {
  const { store, sink, log, metrics, random } = deps
  const lines = new Map<string, Line>()
  /** Nodes whose log the sink has in full, though the store does not know yet: their next write marks it, or a timer. */
  const unmarked = new Map<string, { readonly sent: Sent; readonly timer: NodeJS.Timeout }>()
  const limit = pLimit(CONCURRENCY)
  const ended = new AbortController()
  let failuresInRow = 0
  let pause: NodeJS.Timeout | undefined
  const sinkOutage = createOutage(log, {
    failed: 'sink failed: events wait in the log and are retried',
    recovered: 'sink accepts events again',
  })
  const storeOutage = createOutage(log, {
    failed: 'events could not be read from the store or marked as sent: retried with back-off',
    recovered: 'events are read from the store and marked as sent again',
  })

  const backoff = (times: number) =>
    Math.min(FIRST_PAUSE * 2 ** Math.min(times - 1, 16), LONGEST_PAUSE) * (0.5 + random() / 2)

  /** Marks in the store what was sent of a node. Gives where its log stands; undefined if it is not forwarded. */
  const mark = ({ node, sent }: Pick<Line, 'node' | 'sent'>) =>
    store.update(node, (current) => {
      if (current?.forwarded === undefined) return { result: undefined }
      const { incarnation, labels, seq } = current
      const forwarded = Math.max(current.forwarded, sentOf(current, sent))
      const state = forwarded > current.forwarded ? { ...current, forwarded } : undefined
      return { state, result: { incarnation, labels, seq, forwarded } }
    })

  /** Marks what was sent and reads what is next; undefined when nothing is left. */
  const next = async (line: Line): Promise<Unsent | undefined> => {
    const place = await mark(line)
    line.sent = undefined
    const entries =
      place === undefined || place.forwarded >= place.seq
        ? []
        : await store.log(line.node, { after: place.forwarded, limit: BATCH })
    storeOutage.worked(line.node)
    return place === undefined || entries.length === 0 ? undefined : { ...place, entries }
  }

  const send = async (
    line: Line,
    { incarnation, labels }: Unsent,
    entry: LogEntry,
  ): Promise<Stopped | undefined> => {
    const { node } = line
    const { signal } = ended
    if (signal.aborted) return { by: 'end' }
    const sent = await sink.send(eventOf(node, incarnation, entry, labels), signal)
    if (signal.aborted && sent.outcome === 'failed') return { by: 'end' }
    metrics.events.inc({ outcome: sent.outcome })
    if (sent.outcome === 'failed') {
      const { reason, afterMs = 0 } = sent
      sinkOutage.failed(node, { reason })
      log.debug('event waits for the sink', { node, seq: entry.seq, reason })
      return { by: 'sink', afterMs }
    }
    if (sent.outcome === 'rejected') {
      log.error('sink rejected event permanently; skipping', { node, entry, reason: sent.reason })
    }
    line.sent = { incarnation, seq: entry.seq }
    line.failures = 0
    failuresInRow = 0
    if (limit.concurrency < CONCURRENCY) limit.concurrency = CONCURRENCY
    sinkOutage.worked(node)
    return undefined
  }

  /** Sends until nothing of the node is left, or something stops it. */
  const drain = async (line: Line): Promise<Stopped | undefined> => {
    if (ended.signal.aborted) return { by: 'end' }
    if (pause !== undefined) return { by: 'pause' }
    try {
      const { news } = line
      line.news = undefined
      let unsent = news ?? (await next(line))
      while (unsent !== undefined) {
        for (const entry of unsent.entries) {
          const stopped = await send(line, unsent, entry)
          if (stopped !== undefined) return stopped
        }
        // What was just written is all that there is, as far as is known here.
        if (unsent === news) return undefined
        unsent = await next(line)
      }
      return undefined
    } catch (error) {
      storeOutage.failed(line.node, { reason: reasonOf(error) })
      return { by: 'store' }
    }
  }

  const run = async (line: Line): Promise<void> => {
    // What made the node wait is answered first.
    await nextTurn()
    const stopped = await drain(line)
    line.running = undefined
    if (stopped !== undefined) stop(line, stopped)
    else if (line.again) begin(line)
    else {
      lines.delete(line.node)
      if (line.sent !== undefined) markLater(line.node, line.sent)
    }
    metrics.waiting.set({}, lines.size)
  }

  const markLater = (node: string, sent: Sent) => {
    unmarked.set(node, { sent, timer: setTimeout(add, MARKED_AFTER, node, {}).unref() })
  }

  /** What was sent and not marked; it is the caller's to mark. */
  const takeUnmarked = (node: string): Sent | undefined => {
    const found = unmarked.get(node)
    clearTimeout(found?.timer)
    unmarked.delete(node)
    return found?.sent
  }

  const begin = (line: Line) => {
    if (line.running !== undefined || ended.signal.aborted) return
    clearTimeout(line.timer)
    line.again = false
    line.running = limit(run, line)
  }

  const beginAll = () => {
    for (const line of lines.values()) begin(line)
  }

  const stop = (line: Line, stopped: Stopped) => {
    if (stopped.by === 'end' || stopped.by === 'pause') return
    const { afterMs = 0 } = stopped.by === 'sink' ? stopped : {}
    // Last in turn: should its events alone fail, the others get through.
    lines.delete(line.node)
    lines.set(line.node, line)
    line.failures += 1
    line.timer = setTimeout(begin, Math.max(backoff(line.failures), afterMs), line).unref()
    // Those that were under way when it was found to be down tell nothing new.
    if (stopped.by === 'store' || pause !== undefined) return
    failuresInRow += 1
    if (failuresInRow < DOWN_AFTER && afterMs === 0) return
    limit.concurrency = 1
    const over = () => {
      pause = undefined
      beginAll()
    }
    pause = setTimeout(over, Math.max(backoff(failuresInRow), afterMs)).unref()
  }

  const add = (node: string, { news, afterMs = 0 }: { news?: Unsent | undefined; afterMs?: number }) => {
    const known = lines.get(node)
    if (known !== undefined) {
      known.again = true
      if (known.failures === 0 && afterMs === 0) begin(known)
      return
    }
    const line: Line = {
      node,
      news,
      sent: takeUnmarked(node),
      again: false,
      failures: 0,
      timer: undefined,
      running: undefined,
    }
    lines.set(node, line)
    metrics.waiting.set({}, lines.size)
    if (afterMs === 0) begin(line)
    else line.timer = setTimeout(begin, afterMs, line).unref()
  }

  const update: Store['update'] = async (node, change) => {
    let news: Unsent | undefined
    let isBehind = false
    // May run again: what its last run saw is what was written.
    const forwarding: typeof change = (current) => {
      const outcome = change(current)
      const { entries = [], state = entries.length > 0 ? current : undefined } = outcome
      const { seq, forwarded: marked = seq } = current ?? { seq: 0 }
      const sent = lines.get(node)?.sent ?? unmarked.get(node)?.sent
      const forwarded = Math.max(marked, sentOf(current, sent))
      isBehind = forwarded < seq
      const { incarnation, labels } = state ?? {}
      news =
        incarnation === undefined || entries.length === 0
          ? undefined
          : {
              incarnation,
              labels,
              entries: entries.map((entry, index) => ({ ...entry, seq: seq + index + 1 })),
            }
      // A document that was there before there was a sink keeps its history to itself.
      return state === undefined ? outcome : { ...outcome, state: { ...state, forwarded } }
    }
    const result = await store.update(node, forwarding)
    if (news !== undefined) add(node, { news: isBehind ? undefined : news })
    else if (isBehind) add(node, { afterMs: LEFT_OVER_AFTER })
    return result
  }

  const settle = async (signal: AbortSignal): Promise<boolean> => {
    for (const node of unmarked.keys()) add(node, {})
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
    store: { ...store, update },
    settle,
    async close() {
      await settle(AbortSignal.timeout(lastChanceMs))
      ended.abort(new Error('The process ends'))
      clearTimeout(pause)
      const all = [...lines.values()]
      for (const { timer } of all) clearTimeout(timer)
      await Promise.all(all.map(({ running }) => running))
      const failed = (node: string) => (error: unknown) =>
        storeOutage.failed(node, { reason: reasonOf(error) })
      const left = [...all, ...[...unmarked].map(([node, { sent }]) => ({ node, sent }))]
      for (const { timer } of unmarked.values()) clearTimeout(timer)
      await Promise.all(left.map((line) => line.sent && mark(line).catch(failed(line.node))))
      await sink.close()
    },
  }
}

/** Up to where a document's log was sent. More than there is was sent of one that is gone: removed, or a backup now. */
function sentOf(state: NodeState | undefined, sent: Sent | undefined): number {
  return sent !== undefined && sent.incarnation === state?.incarnation && sent.seq <= state.seq ? sent.seq : 0
}

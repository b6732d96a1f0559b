import { reasonOf } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import { createOutage } from '#shared/outage.ts'
import type { LogEntry, NodeState } from '#shared/state/document.ts'
import type { Store } from '#shared/state/store/store.ts'
import { createCursors } from './cursors.ts'
import { eventOf } from './event.ts'
import { createFreshEntries, type Fresh } from './fresh.ts'
import type { BrokerMetrics } from './metrics.ts'
import { createQueue, type Worked } from './queue.ts'
import type { Sink } from './sink.ts'

/** How many events may be under way at once, of different nodes. */
export const CONCURRENCY = 32
/** How many entries of a node are read at once. */
const BATCH = 100
/** How long a cursor waits for a write to go with, in milliseconds. */
const CURSOR_PAUSE = 1_000
/** What another process has logged is left to that process for so long; then it is taken to be left over. */
const LEFT_OVER_AFTER = 2 * CURSOR_PAUSE
/** How long the sink may take for what is left when the process ends, in milliseconds; the host gives it 5 s. */
const LAST_CHANCE = 2_500

/**
 * Sends what the log holds after `forwarded`: the log is the outbox, the store its only memory (design.md §3). First
 * arrivals are in the order of the log for each node, since an entry is sent only after the one before it was taken;
 * repeats, with the same id, may follow; never not at all.
 */
export type Forwarder = {
  /**
   * The store through which functions write while there is a sink: it marks from where a node's log is to be sent,
   * and each change that makes entries, or meets some that another process left, has them sent after it, without the
   * caller waiting for that.
   */
  readonly store: Store
  /**
   * Sends all that is known to be left, also what waits for its next try. True when nothing is left; false when the
   * sink did not take something or `signal` was aborted: that goes with the next event or poll of its node.
   */
  settle(signal: AbortSignal): Promise<boolean>
  /** Gives what is left a last chance, bounded in time, and writes the cursors. The store is left open. */
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

export type ForwarderOptions = {
  /** Milliseconds; how long the sink may take for what is left at the end. */
  readonly lastChanceMs?: number
}

/** Entries of a node that the sink lacks, with the document that they belong to. */
type Unsent = { readonly state: NodeState; readonly entries: readonly LogEntry[] }

export function createForwarder(deps: ForwarderDeps, options: ForwarderOptions = {}): Forwarder {
  const { store, sink, log, metrics, random } = deps
  const { lastChanceMs = LAST_CHANCE } = options
  const cursors = createCursors()
  const unwritten = new Map<string, NodeJS.Timeout>()
  const ended = new AbortController()
  let down = false
  const cursorOutage = createOutage(log, {
    // What was sent is sent again after a restart, with the same ids.
    failed: 'the position up to which events were sent could not be written: retried with the next event',
    recovered: 'positions of sent events are written again',
  })
  const readOutage = createOutage(log, {
    failed: 'the log could not be read from the store: its events wait and are retried',
    recovered: 'events are read from the store again',
  })

  const freshEntries = createFreshEntries()

  /** Nodes whose document, as the changes of this turn are shown it, holds less than was sent. */
  const behind = new Set<string>()

  /**
   * The cursor of a document that a change is shown. A document that holds less than was sent is an old one, which
   * the store will not take, or one that was set back: then what we know of it is wrong. The changes of one write
   * are applied in one turn, each to what the one before left, so only the first is sure to show it.
   */
  const cursorOf = (state: NodeState): number => {
    const { node } = state
    if (cursors.isAhead(state) && !behind.has(node)) {
      behind.add(node)
      queueMicrotask(() => behind.delete(node))
    }
    return behind.has(node) ? (state.forwarded ?? state.seq) : cursors.of(state)
  }

  const writeCursor = async (node: string): Promise<void> => {
    clearTimeout(unwritten.get(node))
    unwritten.delete(node)
    try {
      const written = await store.update(node, (current) => {
        if (current === undefined) return { certain: true, result: undefined }
        const forwarded = cursorOf(current)
        const setBack = behind.has(node)
        const result = { node, incarnation: current.incarnation, forwarded, setBack }
        if (current.forwarded !== undefined && current.forwarded >= forwarded) {
          return { certain: !setBack, result }
        }
        return { state: { ...current, forwarded }, result }
      })
      if (written === undefined || written.setBack) cursors.forget(node)
      else cursors.written(written, written.forwarded)
      cursorOutage.worked(node)
    } catch (error) {
      cursorOutage.failed(node, { reason: reasonOf(error) })
    }
  }

  const advance = (state: NodeState, sent: number) => {
    cursors.advance(state, sent)
    if (unwritten.has(state.node)) return
    const timer = setTimeout(() => void writeCursor(state.node), CURSOR_PAUSE)
    unwritten.set(state.node, timer.unref())
  }

  const tell = (node: string, failure?: string) => {
    if (down === (failure !== undefined)) return
    down = failure !== undefined
    if (failure === undefined) log.info('The sink takes events again', { node })
    else log.warn('The sink takes no events: they wait in the log', { node, reason: failure })
  }

  /** What this process has just written, where that is what the sink lacks next. */
  const freshOf = (node: string): Unsent | undefined => {
    const fresh = freshEntries.take(node)
    if (fresh === undefined) return undefined
    const state = store.remembered(node)
    if (state?.incarnation !== fresh.incarnation || cursors.isAhead(state)) return undefined
    const after = cursors.of(state)
    const entries = fresh.entries.filter(({ seq }) => seq > after)
    return entries[0]?.seq === after + 1 ? { state, entries } : undefined
  }

  /** What the store has that the sink lacks; undefined where there is no such node. */
  const storedOf = async (node: string): Promise<Unsent | undefined> => {
    const state = await store.read(node)
    if (state === undefined) return undefined
    // A document that was read now and has less than was sent: the store was set back (a backup, a lost journal).
    if (cursors.isAhead(state)) cursors.forget(node)
    const after = cursors.of(state)
    const entries = after >= state.seq ? [] : await store.log(node, { after, limit: BATCH })
    return { state, entries }
  }

  /** Sends until nothing of the node is left, or the sink does not take something. */
  const drain = async (node: string): Promise<Worked> => {
    let answered = false
    for (;;) {
      const unsent = freshOf(node) ?? (await storedOf(node))
      if (unsent === undefined || unsent.entries.length === 0) return { done: true, answered }
      const { state, entries } = unsent
      for (const entry of entries) {
        if (ended.signal.aborted) return { done: false, sink: false }
        const sent = await sink.send(eventOf(node, state.incarnation, entry), ended.signal)
        if (ended.signal.aborted && sent.outcome === 'failed') return { done: false, sink: false }
        metrics.events.inc({ outcome: sent.outcome })
        if (sent.outcome === 'failed') {
          tell(node, sent.reason)
          log.debug('An event waits for the sink', { node, seq: entry.seq, reason: sent.reason })
          return { done: false, sink: true, afterMs: sent.afterMs }
        }
        answered = true
        tell(node)
        if (sent.outcome === 'poison') {
          log.error('The sink will not take an event: it is set aside', { node, entry, reason: sent.reason })
        }
        advance(state, entry.seq)
      }
    }
  }

  const queue = createQueue(
    (node) =>
      drain(node).then(
        (worked) => {
          readOutage.worked(node)
          return worked
        },
        (error: unknown) => {
          readOutage.failed(node, { reason: reasonOf(error) })
          return { done: false, sink: false }
        },
      ),
    { random, concurrency: CONCURRENCY, onSize: (size) => metrics.waiting.set({}, size) },
  )

  const update: Store['update'] = async (node, change, updateOptions) => {
    // Of the last time that the change was applied: that is the one that was written.
    let news: Fresh | undefined
    let leftOver = false
    let setBack = false
    const marked: typeof change = (current) => {
      const outcome = change(current)
      const { seq = 0, incarnation = outcome.state?.incarnation ?? '' } = current ?? {}
      const numbered = outcome.entries?.map((entry, index) => ({ ...entry, seq: seq + index + 1 })) ?? []
      news = numbered.length > 0 ? { incarnation, entries: numbered } : undefined
      const before = current ?? (outcome.state && { ...outcome.state, seq: 0 })
      const forwarded = before === undefined ? 0 : cursorOf(before)
      leftOver = current?.forwarded !== undefined && forwarded < current.seq
      const next = outcome.state ?? (news && current)
      setBack = next !== undefined && behind.has(node)
      if (next === undefined) return outcome
      // A document that was there before there was a sink keeps its history to itself.
      return { ...outcome, state: { ...next, forwarded } }
    }
    const result = await store.update(node, marked, updateOptions)
    if (setBack) cursors.forget(node)
    if (news !== undefined) {
      freshEntries.add(node, news)
      queue.add(node)
    } else if (leftOver) queue.add(node, LEFT_OVER_AFTER)
    return result
  }

  return {
    store: { ...store, update },
    settle: (signal) => queue.settle(signal),
    async close() {
      await queue.settle(AbortSignal.timeout(lastChanceMs))
      ended.abort(new Error('The process ends'))
      await queue.close()
      for (const timer of unwritten.values()) clearTimeout(timer)
      await Promise.all(cursors.nodes().map(writeCursor))
      await sink.close()
    },
  }
}

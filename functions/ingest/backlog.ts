import { within } from '#shared/deadline.ts'
import { reasonOf, StoreError } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import type { IngestMetrics } from './metrics.ts'

export type BacklogOptions = Partial<typeof DEFAULTS>

const DEFAULTS = {
  /** How many events may wait, in total and per node, and how much memory they may take. */
  bounds: { events: 10_000, bytes: 32 * 1024 * 1024 },
  boundsOfNode: { events: 1_000, bytes: 2 * 1024 * 1024 },
  /** How many writes for unknown nodes may be in flight at once. */
  mostUnknown: 1_000,
  /** How often the store is retried while events wait. Milliseconds. */
  retryEvery: 1_000,
  /** Publishers wait 2 s for an answer and never retry (protocol.md §4.2). Milliseconds. */
  budget: 1_500,
}

export type Delivery = () => Promise<void>

/** Buffers events while the store is down: bounded, in order per node. */
export type Backlog = {
  /**
   * Runs `write`. True if it is done within the budget. False if the store did not accept it in time: with `buffer`, it
   * then waits here behind everything that waits for the same node, and nothing later overtakes it. `bytes`: the memory
   * it takes. Throws what `write` throws, except a StoreError.
   */
  deliver(node: string, write: Delivery, options: { buffer: boolean; bytes: number }): Promise<boolean>
  /** The same for an unknown node, but never buffered: anybody can make up any number of names. */
  attempt(write: Delivery): Promise<boolean>
  /** How many events are waiting. */
  count(): number
  /** Tries once more to write everything. Resolves to the number of events that could not be written. */
  flush(): Promise<number>
  close(): void
}

type Waiter = {
  readonly bytes: number
  /** Undefined if it must not be retried here: a Broker redelivers by itself. */
  readonly write: Delivery | undefined
  /** The first attempt, while it hangs. It may still succeed, so nothing may overtake it until then. */
  hanging: Promise<void> | undefined
}

/** Everything that waits for one node, in order. */
type Line = { readonly waiters: Waiter[]; bytes: number }

const LATE = Symbol('late')

export function createBacklog(
  { log, metrics }: { log: Log; metrics: IngestMetrics },
  options: BacklogOptions = {},
): Backlog {
  const { bounds, boundsOfNode, mostUnknown, retryEvery, budget } = { ...DEFAULTS, ...options }
  const lines = new Map<string, Line>()
  let count = 0
  let bytes = 0
  let unknown = 0
  let dropped = 0
  let timer: NodeJS.Timeout | undefined
  let flushing: Promise<void> | undefined

  const changed = (line: Line, events: 1 | -1, waiter: Waiter) => {
    line.bytes += events * waiter.bytes
    bytes += events * waiter.bytes
    count += events
    metrics.waiting.set({}, count)
  }

  const drop = (node: string) => {
    metrics.lost.inc({})
    dropped += 1
    if (dropped === 1)
      log.error('store is down and the backlog is full: dropping events', { node, waiting: count, bytes })
  }

  /**
   * The node with the most waiting makes room for one with less: a flood from one node costs no other node its events.
   */
  const makeRoom = (inLine: number) => {
    let largest: Line | undefined
    let node = ''
    for (const [name, line] of lines) {
      if (line.bytes > (largest?.bytes ?? inLine)) [largest, node] = [line, name]
    }
    // A hanging write may still succeed: nothing may overtake it.
    const place = largest?.waiters.findLastIndex(({ hanging }) => hanging === undefined) ?? 0
    if (largest === undefined || place < 1) return false
    for (const waiter of largest.waiters.splice(place, 1)) changed(largest, -1, waiter)
    drop(node)
    return true
  }

  const wait = (node: string, waiter: Waiter, reason: string) => {
    const line = lines.get(node) ?? { waiters: [], bytes: 0 }
    const isLineFull = line.waiters.length >= boundsOfNode.events || line.bytes >= boundsOfNode.bytes
    const isFull = count >= bounds.events || bytes >= bounds.bytes
    if (isLineFull || (isFull && !makeRoom(line.bytes + waiter.bytes))) {
      if (waiter.write !== undefined) drop(node)
      return
    }
    if (count === 0) log.error('store is down: buffering events', { node, reason })
    lines.set(node, line)
    line.waiters.push(waiter)
    changed(line, 1, waiter)
    timer ??= setInterval(() => void flushOnce(), retryEvery).unref()
  }

  /** True if the waiter is done; false if the store did not accept it and it keeps waiting. */
  const settle = async (node: string, waiter: Waiter): Promise<boolean> => {
    const { hanging, write } = waiter
    waiter.hanging = undefined
    try {
      await (hanging ?? write?.())
      return true
    } catch (error) {
      const isOutage = error instanceof StoreError && error.retryable
      if (isOutage) return write === undefined || (hanging !== undefined && settle(node, waiter))
      log.error('buffered event failed to merge; dropped', { node, reason: reasonOf(error) })
      return true
    }
  }

  /** In order, stopping at the first event that the store does not accept. False if it stopped. */
  const flushLine = async (node: string, line: Line): Promise<boolean> => {
    for (let [first] = line.waiters; first !== undefined; [first] = line.waiters) {
      if (!(await settle(node, first))) {
        // Moved to the end: if only this node's writes fail, the others still get through.
        lines.delete(node)
        lines.set(node, line)
        return false
      }
      line.waiters.shift()
      changed(line, -1, first)
    }
    // In the same turn as the check for an empty line, so that the next event does not wait.
    lines.delete(node)
    return true
  }

  const flushAll = async () => {
    for (const [node, line] of lines) if (!(await flushLine(node, line))) return
    if (lines.size > 0) return
    clearInterval(timer)
    timer = undefined
    log.info('store recovered: all buffered events are written', { dropped })
    dropped = 0
  }

  const flushOnce = async (): Promise<void> => {
    if (count === 0) return
    flushing ??= flushAll().finally(() => {
      flushing = undefined
    })
    await flushing
  }

  /** True if `writing` is done within the budget; otherwise false, and `missed` gets the reason. */
  const inTime = async (
    writing: Promise<void>,
    missed: { late?: () => void; failed?: (error: StoreError) => void },
  ): Promise<boolean> => {
    try {
      await within(budget, writing, () => LATE)
      return true
    } catch (error) {
      if (error === LATE) missed.late?.()
      else if (error instanceof StoreError) missed.failed?.(error)
      else throw error
      return false
    }
  }

  return {
    async deliver(node, write, { buffer, bytes: size }) {
      const waiter = { write: buffer ? write : undefined, bytes: size, hanging: undefined }
      if (lines.has(node)) {
        if (buffer) wait(node, waiter, 'earlier events of this node wait')
        return false
      }
      const writing = write()
      return inTime(writing, {
        late() {
          wait(node, { ...waiter, hanging: writing }, `no answer within ${budget} ms`)
          // Its outcome decides about everything waiting behind it.
          writing.then(flushOnce, flushOnce)
        },
        failed(error) {
          if (!error.retryable) log.error('event could not be stored', { node, reason: reasonOf(error) })
          else if (buffer) wait(node, waiter, reasonOf(error))
        },
      })
    },
    async attempt(write) {
      if (unknown >= mostUnknown) return false
      unknown += 1
      const done = () => {
        unknown -= 1
      }
      const writing = write()
      writing.then(done, done)
      return inTime(writing, {})
    },
    count: () => count,
    async flush() {
      await flushing
      await flushOnce()
      return count
    },
    close() {
      clearInterval(timer)
    },
  }
}

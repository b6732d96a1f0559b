import { reasonOf, StoreError } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import type { IngestMetrics } from './metrics.ts'

/** Publishers wait 2 s for an answer and never ask again (protocol.md §4.2). Milliseconds. */
const BUDGET = 1_500
/** How many events wait at most, in all and of one node, and how much memory they may take. Bytes. */
const BOUNDS: Bounds = { events: 10_000, bytes: 32 * 1024 * 1024 }
const BOUNDS_OF_NODE: Bounds = { events: 1_000, bytes: 2 * 1024 * 1024 }
/** How many writes for nodes that are not known to be ours may be on their way to the store at once. */
const MOST_UNKNOWN = 1_000
/** How often the store is tried while events wait for it. Milliseconds. */
const RETRY_EVERY = 1_000

/** All that waits for one node, in order. */
type Line = { readonly waiters: Waiter[]; bytes: number }

/** Where events wait while the store is down: bounded, in order per node. */
export type Waiting = {
  /**
   * Runs `write`. True when it is done within the budget. False when the store did not take it by then: it waits
   * here if `buffer`, behind all that waits for the same node already. What comes after such an answer never
   * overtakes it. Throws what `write` throws unless it is a StoreError.
   */
  deliver(node: string, write: Write, options: { buffer: boolean; bytes: number }): Promise<boolean>
  /**
   * The same for a node that nobody has named to us: it never waits here, and only a few such writes run at once. Anybody
   * can make up any number of names.
   */
  attempt(write: Write): Promise<boolean>
  /** How many events wait. */
  count(): number
  /** Tries once more to write all that waits. Resolves to what could not be written. */
  flush(): Promise<number>
  close(): void
}

export type Write = () => Promise<void>

type Bounds = { readonly events: number; readonly bytes: number }

export type WaitingOptions = {
  readonly bounds?: Bounds
  readonly boundsOfNode?: Bounds
  readonly mostUnknown?: number
  /** Milliseconds; how often the store is tried while events wait. */
  readonly retryEvery?: number
  /** Milliseconds that a write may take before its sender is refused. */
  readonly budget?: number
}

type Waiter = {
  /** What it is taken to hold in memory. */
  readonly bytes: number
  /** Undefined where nobody here may repeat it: a Broker repeats what it was refused. */
  readonly write: Write | undefined
  /** The first attempt, while it hangs. It may yet succeed, and until it is known nothing may pass it. */
  hanging: Promise<void> | undefined
}

export function createWaiting(
  { log, metrics }: { log: Log; metrics: IngestMetrics },
  {
    bounds = BOUNDS,
    boundsOfNode = BOUNDS_OF_NODE,
    mostUnknown = MOST_UNKNOWN,
    retryEvery = RETRY_EVERY,
    budget = BUDGET,
  }: WaitingOptions = {},
): Waiting {
  const lines = new Map<string, Line>()
  let count = 0
  let bytes = 0
  let unknown = 0
  let lost = 0
  let timer: NodeJS.Timeout | undefined
  let flushing: Promise<void> | undefined

  const changed = (line: Line, events: number, size: number) => {
    line.bytes += size
    bytes += size
    count += events
    metrics.waiting.set({}, count)
  }

  const lose = (node: string) => {
    metrics.lost.inc({})
    lost += 1
    if (lost === 1)
      log.error('store is down and the buffer is full: events are dropped', { node, waiting: count, bytes })
  }

  const isFull = () => count >= bounds.events || bytes >= bounds.bytes

  /** Whoever has most here makes room for one who has less: a flood of one node costs no other node its events. */
  const makeRoom = (inLine: number) => {
    let largest: Line | undefined
    let node = ''
    for (const [name, line] of lines) {
      if (line.bytes > (largest?.bytes ?? inLine)) [largest, node] = [line, name]
    }
    // What hangs in the store may be written yet: nothing may pass it.
    const place = largest?.waiters.findLastIndex(({ hanging }) => hanging === undefined) ?? 0
    if (largest === undefined || place < 1) return false
    const [dropped] = largest.waiters.splice(place, 1)
    if (dropped !== undefined) changed(largest, -1, -dropped.bytes)
    lose(node)
    return true
  }

  const wait = (node: string, waiter: Waiter, why: string) => {
    const line = lines.get(node) ?? { waiters: [], bytes: 0 }
    const isOwnFull = line.waiters.length >= boundsOfNode.events || line.bytes >= boundsOfNode.bytes
    if (isOwnFull || (isFull() && !makeRoom(line.bytes + waiter.bytes))) {
      if (waiter.write !== undefined) lose(node)
      return
    }
    if (count === 0) log.error('store is down: buffering events', { node, reason: why })
    lines.set(node, line)
    line.waiters.push(waiter)
    changed(line, 1, waiter.bytes)
    timer ??= setInterval(() => void flushOnce(), retryEvery).unref()
  }

  /** True when the waiter is done with; false when the store does not take it and it waits on. */
  const settle = async (node: string, waiter: Waiter): Promise<boolean> => {
    const { hanging, write } = waiter
    waiter.hanging = undefined
    try {
      await (hanging ?? write?.())
      return true
    } catch (error) {
      if (isOutage(error)) return write === undefined || (hanging !== undefined && settle(node, waiter))
      log.error('a buffered event could not be merged', { node, reason: reasonOf(error) })
      return true
    }
  }

  /** In order, stopping at the first that the store does not take. False if it stopped. */
  const flushLine = async (node: string, line: Line): Promise<boolean> => {
    const { waiters } = line
    for (let first = waiters[0]; first !== undefined; first = waiters[0]) {
      if (!(await settle(node, first))) {
        // Last in turn from now on: should it be this node's writes alone that fail, the others get through.
        lines.delete(node)
        lines.set(node, line)
        return false
      }
      waiters.shift()
      changed(line, -1, -first.bytes)
    }
    // In the same turn as the look at the empty line: what comes next does not wait any more.
    lines.delete(node)
    return true
  }

  const flushAll = async () => {
    for (const [node, line] of lines) if (!(await flushLine(node, line))) return
    if (lines.size > 0) return
    clearInterval(timer)
    timer = undefined
    log.info('store is back: all buffered events are written', { lost })
    lost = 0
  }

  const flushOnce = async (): Promise<void> => {
    if (count === 0) return
    flushing ??= flushAll().finally(() => {
      flushing = undefined
    })
    await flushing
  }

  /** What a write that took too long comes to decides about all that waits behind it. */
  const hang = (node: string, waiter: Waiter & { hanging: Promise<void> }) => {
    const { hanging } = waiter
    wait(node, waiter, `It took longer than ${budget} ms`)
    hanging.then(flushOnce, flushOnce)
  }

  /** True when `writing` is done within the budget; else `missed` is told: why, and whether it still hangs. */
  const within = (
    writing: Promise<void>,
    missed: { late: () => void; failed: (error: StoreError) => void },
  ): Promise<boolean> =>
    new Promise((resolve, reject) => {
      let late = false
      const timer = setTimeout(() => {
        late = true
        missed.late()
        resolve(false)
      }, budget)
      writing.then(
        () => {
          clearTimeout(timer)
          resolve(true)
        },
        (error: unknown) => {
          clearTimeout(timer)
          if (late) return
          if (!(error instanceof StoreError)) return reject(error)
          missed.failed(error)
          resolve(false)
        },
      )
    })

  return {
    deliver(node, write, { buffer, bytes: size }) {
      const waiter = { write: buffer ? write : undefined, bytes: size, hanging: undefined }
      if (lines.has(node)) {
        if (buffer) wait(node, waiter, 'Events of this node wait already')
        return Promise.resolve(false)
      }
      const writing = write()
      return within(writing, {
        // What becomes of it decides about its waiter.
        late: () => hang(node, { ...waiter, hanging: writing }),
        failed(error) {
          if (!error.retryable) log.error('an event could not be stored', { node, reason: reasonOf(error) })
          else if (buffer) wait(node, waiter, reasonOf(error))
        },
      })
    },
    attempt(write) {
      if (unknown >= mostUnknown) return Promise.resolve(false)
      unknown += 1
      const done = () => {
        unknown -= 1
      }
      const writing = write()
      writing.then(done, done)
      return within(writing, { late() {}, failed() {} })
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

function isOutage(error: unknown): boolean {
  return error instanceof StoreError && error.retryable
}

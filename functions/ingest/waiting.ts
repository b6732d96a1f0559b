import { reasonOf, StoreError } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import type { IngestMetrics } from './metrics.ts'

/** Publishers wait 2 s for an answer and never ask again (protocol.md §4.2). Milliseconds. */
const BUDGET = 1_500
/** How many events wait at most. */
const MOST_WAITING = 10_000
/** How often the store is tried while events wait for it. Milliseconds. */
const RETRY_EVERY = 1_000

/** Where events wait while the store is down: bounded, in order per node. */
export type Waiting = {
  /**
   * Runs `write`. True when it is done within the budget. False when the store did not take it by then: it waits
   * here if `buffer`, behind all that waits for the same node already. What comes after such an answer never
   * overtakes it. Throws what `write` throws unless it is a StoreError.
   */
  deliver(node: string, write: Write, options: { buffer: boolean }): Promise<boolean>
  /** How many events wait. */
  count(): number
  /** Tries once more to write all that waits. Resolves to what could not be written. */
  flush(): Promise<number>
  close(): void
}

export type Write = () => Promise<void>

export type WaitingOptions = {
  readonly most?: number
  /** Milliseconds; how often the store is tried while events wait. */
  readonly retryEvery?: number
  /** Milliseconds that a write may take before its sender is refused. */
  readonly budget?: number
}

type Waiter = {
  /** Undefined where nobody here may repeat it: a Broker repeats what it was refused. */
  readonly write: Write | undefined
  /** The first attempt, while it hangs. It may yet succeed, and until it is known nothing may pass it. */
  hanging: Promise<void> | undefined
}

export function createWaiting(
  { log, metrics }: { log: Log; metrics: IngestMetrics },
  { most = MOST_WAITING, retryEvery = RETRY_EVERY, budget = BUDGET }: WaitingOptions = {},
): Waiting {
  const lines = new Map<string, Waiter[]>()
  let count = 0
  let lost = 0
  let timer: NodeJS.Timeout | undefined
  let flushing: Promise<void> | undefined

  const changed = (by: number) => {
    count += by
    metrics.waiting.set({}, count)
  }

  const wait = (node: string, waiter: Waiter, why: string) => {
    if (count >= most) {
      if (waiter.write === undefined) return
      metrics.lost.inc({})
      lost += 1
      if (lost === 1)
        log.error('The store is down and no more events can wait for it', { node, waiting: count })
      return
    }
    if (count === 0) log.error('The store is down: events wait for it', { node, reason: why })
    const line = lines.get(node)
    if (line === undefined) lines.set(node, [waiter])
    else line.push(waiter)
    changed(1)
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
      log.error('An event that waited could not be merged', { node, reason: reasonOf(error) })
      return true
    }
  }

  /** In order, stopping at the first that the store does not take. False if it stopped. */
  const flushLine = async (node: string, line: Waiter[]): Promise<boolean> => {
    for (let first = line[0]; first !== undefined; first = line[0]) {
      if (!(await settle(node, first))) {
        // Last in turn from now on: should it be this node's writes alone that fail, the others get through.
        lines.delete(node)
        lines.set(node, line)
        return false
      }
      line.shift()
      changed(-1)
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
    log.info('The store is back: all events that waited are written', { lost })
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
  const hang = (node: string, writing: Promise<void>, write: Write | undefined) => {
    wait(node, { write, hanging: writing }, `It took longer than ${budget} ms`)
    writing.then(flushOnce, flushOnce)
  }

  return {
    deliver(node, write, { buffer }) {
      if (lines.has(node)) {
        if (buffer) wait(node, { write, hanging: undefined }, 'Events of this node wait already')
        return Promise.resolve(false)
      }
      return new Promise((resolve, reject) => {
        const writing = write()
        let late = false
        const timer = setTimeout(() => {
          late = true
          hang(node, writing, buffer ? write : undefined)
          resolve(false)
        }, budget)
        writing.then(
          () => {
            clearTimeout(timer)
            resolve(true)
          },
          (error: unknown) => {
            clearTimeout(timer)
            // Of what hangs, its waiter decides.
            if (late) return
            if (!(error instanceof StoreError)) return reject(error)
            if (!error.retryable) log.error('An event could not be stored', { node, reason: reasonOf(error) })
            else if (buffer) wait(node, { write, hanging: undefined }, reasonOf(error))
            resolve(false)
          },
        )
      })
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

import { reasonOf, StoreError } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import type { IngestMetrics } from './metrics.ts'

/** How many events wait at most, and how often the store is tried (milliseconds). */
const MOST_WAITING = 10_000
const RETRY_EVERY = 1_000

/** Where events wait while the store is down: bounded, in order per node. */
export type Waiting = {
  /**
   * Runs `write`. True when it is done; false when the store did not take it, in which case it waits here if
   * `buffer`, behind all that waits for the same node already.
   */
  deliver(node: string, write: () => Promise<void>, options: { buffer: boolean }): Promise<boolean>
  /** Tries once more to write all that waits. Resolves to what could not be written. */
  flush(): Promise<number>
  close(): void
}

export function createWaiting({ log, metrics }: { log: Log; metrics: IngestMetrics }): Waiting {
  const queues = new Map<string, (() => Promise<void>)[]>()
  let count = 0
  let timer: NodeJS.Timeout | undefined
  let flushing: Promise<void> | undefined

  const changed = (by: number) => {
    count += by
    metrics.waiting.set({}, count)
  }

  const wait = (node: string, write: () => Promise<void>, error: unknown) => {
    if (count >= MOST_WAITING) {
      metrics.lost.inc({})
      log.error('The store is down and no more events can wait for it', { node, waiting: count })
      return
    }
    if (count === 0) log.error('The store is down: events wait for it', { node, error: reasonOf(error) })
    const queue = queues.get(node)
    if (queue === undefined) queues.set(node, [write])
    else queue.push(write)
    changed(1)
    timer ??= setInterval(() => void flush(), RETRY_EVERY).unref()
  }

  /** In order, stopping at the first that the store does not take. False if it stopped. */
  const flushNode = async (node: string, queue: (() => Promise<void>)[]): Promise<boolean> => {
    for (let write = queue[0]; write !== undefined; write = queue[0]) {
      try {
        await write()
      } catch (error) {
        if (isOutage(error)) return false
        log.error('An event that waited could not be merged', { node, error: reasonOf(error) })
      }
      queue.shift()
      changed(-1)
    }
    // In the same turn as the look at the empty queue: what comes next is not queued any more.
    queues.delete(node)
    return true
  }

  const flushAll = async () => {
    for (const [node, queue] of queues) if (!(await flushNode(node, queue))) return
    if (queues.size > 0) return
    clearInterval(timer)
    timer = undefined
    log.info('The store is back: all events that waited are written')
  }

  const flush = async (): Promise<void> => {
    flushing ??= flushAll().finally(() => {
      flushing = undefined
    })
    await flushing
  }

  return {
    async deliver(node, write, { buffer }) {
      if (queues.has(node)) {
        if (buffer) wait(node, write, undefined)
        return false
      }
      try {
        await write()
        return true
      } catch (error) {
        if (!isOutage(error)) throw error
        if (buffer) wait(node, write, error)
        return false
      }
    },
    async flush() {
      if (count > 0) await flush()
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

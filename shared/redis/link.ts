import { StoreError } from '#shared/errors.ts'
import type { Connection } from './connection.ts'
import { RedisError } from './failure.ts'

/** A connection that is opened when it is needed, and again after it broke. */
export type Link = {
  /** The open connection, if there is one. */
  current(): Connection | undefined
  /**
   * The open connection. While there is none, whoever asks first tries to open one and the others wait for the
   * same attempt; after one that failed, everybody fails at once for a moment.
   * @throws StoreError
   */
  get(): Promise<Connection>
  /** Gives up the connection; the next `get` opens another. */
  reset(): void
  close(): void
}

/** How many may wait for an attempt to connect. */
const WAITING_LIMIT = 10_000
const SHORTEST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 1000

export function createLink(open: () => Promise<Connection>, random: () => number = Math.random): Link {
  let connection: Connection | undefined
  let attempt: Promise<Connection> | undefined
  let waiting = 0
  let failed: { error: unknown; until: number; pause: number } | undefined
  let closed = false

  async function begin(): Promise<Connection> {
    try {
      const opened = await open()
      if (closed) {
        opened.close()
        throw isClosed()
      }
      failed = undefined
      connection = opened
      return opened
    } catch (error) {
      const pause = Math.min(LONGEST_PAUSE_MS, (failed?.pause ?? SHORTEST_PAUSE_MS / 2) * 2)
      failed = { error, pause, until: performance.now() + pause * (0.5 + random() / 2) }
      throw error
    } finally {
      attempt = undefined
    }
  }

  function reset(): void {
    connection?.close()
    connection = undefined
  }

  const current = () => (!closed && connection?.isOpen() ? connection : undefined)

  return {
    current,
    async get() {
      if (closed) throw isClosed()
      const open = current()
      if (open !== undefined) return open
      if (attempt === undefined && failed !== undefined && performance.now() < failed.until)
        throw failed.error
      if (waiting >= WAITING_LIMIT) throw new RedisError('Too many wait for a connection to Redis')
      waiting += 1
      attempt ??= begin()
      try {
        return await attempt
      } finally {
        waiting -= 1
      }
    },
    reset,
    close() {
      closed = true
      reset()
    },
  }
}

function isClosed(): StoreError {
  return new StoreError('The Redis store is closed', { retryable: false })
}

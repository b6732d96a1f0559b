import { StoreError } from '#shared/errors.ts'

/** What a link holds: a connection, or those to a cluster. */
export type Opened = { isOpen(): boolean; close(): void }

/** A connection that is opened when it is needed, and again after it broke. */
export type Link<T extends Opened> = {
  /**
   * The open connection. While there is none, whoever asks first tries to open one and the others wait for the
   * same attempt; after one that failed, everybody fails at once for a moment.
   * @throws StoreError
   */
  get(): Promise<T>
  /** Opens another one and uses the present one until then, if that is older than a second. */
  replace(): void
  close(): void
}

const SHORTEST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 1000

/** `graceMs`: how long a connection that was replaced may still answer. */
export function createLink<T extends Opened>(
  open: () => Promise<T>,
  { random = Math.random, graceMs = 1000 }: { random?: () => number; graceMs?: number } = {},
): Link<T> {
  const all = new Set<T>()
  let current: { readonly connection: T; readonly since: number } | undefined
  let attempt: Promise<T> | undefined
  let failed: { error: unknown; until: number; pause: number } | undefined
  let closed = false

  const discard = (connection: T) => {
    all.delete(connection)
    connection.close()
  }

  async function begin(): Promise<T> {
    try {
      const connection = await open()
      all.add(connection)
      if (closed) {
        discard(connection)
        throw isClosed()
      }
      const before = current?.connection
      if (before?.isOpen()) setTimeout(() => discard(before), graceMs).unref()
      else if (before !== undefined) discard(before)
      current = { connection, since: performance.now() }
      failed = undefined
      return connection
    } catch (error) {
      const pause = Math.min(LONGEST_PAUSE_MS, (failed?.pause ?? SHORTEST_PAUSE_MS / 2) * 2)
      failed = { error, pause, until: performance.now() + pause * (0.5 + random() / 2) }
      throw error
    } finally {
      attempt = undefined
    }
  }

  async function again(): Promise<T> {
    if (attempt === undefined && failed !== undefined && performance.now() < failed.until) throw failed.error
    attempt ??= begin()
    return attempt
  }

  return {
    async get() {
      if (closed) throw isClosed()
      return current?.connection.isOpen() ? current.connection : again()
    },
    replace() {
      if (closed || current === undefined || performance.now() - current.since < LONGEST_PAUSE_MS) return
      again().catch(() => {})
    },
    close() {
      closed = true
      for (const connection of all) discard(connection)
    },
  }
}

function isClosed(): StoreError {
  return new StoreError('The Redis store is closed', { retryable: false })
}

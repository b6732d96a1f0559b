import { StoreError } from '#shared/errors.ts'

const SHORTEST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 1000

/**
 * Keeps one connection made by `open`: opened on first use and again after it breaks. Concurrent callers share an
 * attempt; after a failed one, calls fail at once for a short pause.
 */
export function createLink<T extends { isOpen(): boolean; close(): void }>(open: () => Promise<T>) {
  let current: { readonly connection: T; readonly since: number } | undefined
  let attempt: Promise<T> | undefined
  let failure: { readonly error: unknown; readonly until: number } | undefined
  let pause = SHORTEST_PAUSE_MS
  let closed = false
  const closedError = () => new StoreError('The Redis store is closed', { retryable: false })

  async function begin(): Promise<T> {
    try {
      const connection = await open()
      if (closed) {
        connection.close()
        throw closedError()
      }
      const before = current?.connection
      // Commands sent over the old one may still be answered.
      if (before !== undefined) setTimeout(() => before.close(), LONGEST_PAUSE_MS).unref()
      current = { connection, since: performance.now() }
      failure = undefined
      pause = SHORTEST_PAUSE_MS
      return connection
    } catch (error) {
      failure = { error, until: performance.now() + pause * (0.5 + Math.random() / 2) }
      pause = Math.min(LONGEST_PAUSE_MS, pause * 2)
      throw error
    } finally {
      attempt = undefined
    }
  }

  async function again(): Promise<T> {
    if (attempt === undefined && failure !== undefined && performance.now() < failure.until) {
      throw failure.error
    }
    attempt ??= begin()
    return attempt
  }

  return {
    /** @throws StoreError, or what `open` throws */
    async get(): Promise<T> {
      if (closed) throw closedError()
      return current?.connection.isOpen() ? current.connection : again()
    },
    /** Opens a new connection and keeps using the present one until then, unless that is less than a second old. */
    replace() {
      if (closed || current === undefined || performance.now() - current.since < LONGEST_PAUSE_MS) return
      again().catch(() => {})
    },
    close() {
      closed = true
      current?.connection.close()
    },
  }
}

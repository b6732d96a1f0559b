import { StoreError } from '#shared/errors.ts'

const SHORTEST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 1000

/**
 * The connection that `open` gives, opened when it is needed, and again after it broke. Whoever asks while there is
 * none waits for the same attempt; after one that failed, everybody fails at once for a moment.
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
      // What it was asked may still be answered.
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
    /** Opens another one and uses the present one until then, if that is older than a second. */
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

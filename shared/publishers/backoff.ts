import { setTimeout as wait } from 'node:timers/promises'

const FIRST_MS = 500
const LONGEST_MS = 5_000

/**
 * Milliseconds to wait before try `attempt` + 1 (counting from 1): doubling from 0.5 s to 5 s, half of it random, so
 * that consumers that lost the same publisher do not all return at once. `random` returns [0, 1).
 */
export function backoffMs(attempt: number, random: () => number): number {
  const full = Math.min(LONGEST_MS, FIRST_MS * 2 ** (attempt - 1))
  return full / 2 + (full / 2) * random()
}

/** Waits; ends early, without an error, when `signal` is aborted. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await wait(ms, undefined, signal === undefined ? {} : { signal })
  } catch (error) {
    if (!signal?.aborted) throw error
  }
}

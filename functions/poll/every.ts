import { reasonOf } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import { UsageError } from '#shared/runtime/function.ts'
import type { PollMetrics } from './metrics.ts'

/** Publishers serve their consumers one after another: nobody asks them more often. Milliseconds. */
const LEAST_MS = 1_000

/**
 * The value of `--every` in milliseconds. A clock is confirmed three times before it would be stale.
 * @throws UsageError if it is no number of seconds from 1 to a third of `staleAfterMs`.
 */
export function readEvery(text: string, staleAfterMs: number): number {
  const mostMs = staleAfterMs / 3
  const ms = /^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) * 1000 : Number.NaN
  if (ms >= LEAST_MS && ms <= mostMs) return ms
  const found = `found ${JSON.stringify(text)}`
  if (mostMs < LEAST_MS) {
    throw new UsageError(`--every needs STALE_AFTER_SECONDS of at least ${(LEAST_MS * 3) / 1000}; ${found}`)
  }
  throw new UsageError(
    `--every must be a number of seconds from ${LEAST_MS / 1000} to ${mostMs / 1000}, a third of STALE_AFTER_SECONDS; ${found}`,
  )
}

export type Rounds = {
  /** Ends the round that is under way, and begins no other. Resolves when it is over. */
  close(): Promise<void>
}

/**
 * Runs a round every so many milliseconds, a tenth sooner or later by chance, so that several processes do not keep
 * step. The next one begins when the one before is over, however long that takes. `round` resolves to false where
 * it did nothing, for a run was under way.
 */
export function startRounds(
  deps: { log: Log; metrics: PollMetrics; random: () => number },
  everyMs: number,
  round: (signal: AbortSignal) => Promise<boolean>,
): Rounds {
  const { log, metrics, random } = deps
  const ended = new AbortController()
  let isLate = false
  let failing: string | undefined
  let timer: NodeJS.Timeout
  let running = Promise.resolve()

  const tellLate = (tookMs: number) => {
    const seconds = { tookMs: Math.round(tookMs), everyMs }
    if (tookMs > everyMs) {
      metrics.lateRounds.inc({})
      if (!isLate)
        log.warn('a poll round took longer than the interval: raise --every or POLL_CONCURRENCY', seconds)
    } else if (isLate) log.info('poll rounds are within the interval again', seconds)
    isLate = tookMs > everyMs
  }

  const tellFailure = (reason: string | undefined) => {
    metrics.rounds.inc({ outcome: reason === undefined ? 'ok' : 'failed' })
    if (reason !== undefined && reason !== failing) {
      log.error('poll round failed: retried with the next round', { reason })
    } else if (reason === undefined && failing !== undefined) log.info('poll rounds work again')
    failing = reason
  }

  const runOne = async () => {
    const startedAt = performance.now()
    let reason: string | undefined
    try {
      if (!(await round(ended.signal))) return
    } catch (error) {
      reason = reasonOf(error)
    }
    if (ended.signal.aborted) return
    const tookMs = performance.now() - startedAt
    metrics.roundSeconds.observe({}, tookMs / 1000)
    tellFailure(reason)
    tellLate(tookMs)
  }

  const plan = (inMs: number) => {
    timer = setTimeout(() => {
      const begunAt = performance.now()
      running = runOne().then(() => {
        if (ended.signal.aborted) return
        const pause = everyMs * (0.9 + random() / 5) - (performance.now() - begunAt)
        plan(Math.max(0, pause))
      })
    }, inMs)
  }
  plan(random() * everyMs)

  return {
    async close() {
      ended.abort(new Error('The process ends'))
      clearTimeout(timer)
      await running
    },
  }
}

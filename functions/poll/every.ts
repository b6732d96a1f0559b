import { reasonOf } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import type { Publishers } from '#shared/publishers/open.ts'
import { type Proof, withheldText } from '#shared/publishers/reconcile/proof.ts'
import type { Target } from '#shared/publishers/target.ts'
import { UsageError } from '#shared/runtime/function.ts'
import type { PollMetrics } from './metrics.ts'
import type { Polled } from './poll.ts'

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

/**
 * Runs a round every so many milliseconds, a tenth sooner or later by chance, so that several processes do not keep
 * step. The next one begins when the one before is over. `round` resolves to false where it did nothing, for a run was
 * under way. `close` ends the round that is under way, and resolves when it is over.
 */
export function startRounds(
  { log, metrics, random }: { log: Log; metrics: PollMetrics; random: () => number },
  everyMs: number,
  round: (signal: AbortSignal) => Promise<boolean>,
): { close(): Promise<void> } {
  const ended = new AbortController()
  let isLate = false
  let failing: string | undefined
  let timer: NodeJS.Timeout
  let running = Promise.resolve()

  const report = (tookMs: number, reason: string | undefined) => {
    metrics.roundSeconds.observe({}, tookMs / 1000)
    metrics.rounds.inc({ outcome: reason === undefined ? 'ok' : 'failed' })
    if (reason !== undefined && reason !== failing) {
      log.error('poll round failed: retried with the next round', { reason })
    } else if (reason === undefined && failing !== undefined) log.info('poll rounds work again')
    failing = reason

    const wasLate = isLate
    isLate = tookMs > everyMs
    const times = { tookMs: Math.round(tookMs), everyMs }
    if (isLate) metrics.lateRounds.inc({})
    if (isLate && !wasLate) {
      log.warn('a poll round took longer than the interval: raise --every or POLL_CONCURRENCY', times)
    } else if (wasLate && !isLate) log.info('poll rounds are within the interval again', times)
  }

  const runOne = async () => {
    const startedAt = performance.now()
    let reason: string | undefined
    try {
      if (!(await round(ended.signal))) return
    } catch (error) {
      reason = reasonOf(error)
    }
    if (!ended.signal.aborted) report(performance.now() - startedAt, reason)
  }

  const plan = (inMs: number) => {
    timer = setTimeout(() => {
      const begunAt = performance.now()
      running = runOne().then(() => {
        if (ended.signal.aborted) return
        plan(Math.max(0, everyMs * (0.9 + random() / 5) - (performance.now() - begunAt)))
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

/** How often discovery looks for publishers where rounds are seconds apart. */
const FIND_EVERY_MS = 60_000

/**
 * What rounds poll: the publishers that were found last, and the last proof of our callback. Both are looked for again
 * each minute, beside the rounds, which that may outlast.
 */
export function createFinder({ find, prove }: Pick<Publishers, 'find' | 'prove'>, log: Log) {
  let targets: readonly Target[] | undefined
  let proof: Proof | undefined
  let finding: Promise<void> | undefined
  let findAt = 0
  let isWithheldReported = false

  const findAgain = async (signal: AbortSignal) => {
    findAt = performance.now() + FIND_EVERY_MS
    try {
      const found = await find({ signal, marks: true })
      const before = proof
      proof = await prove(found.targets, signal)
      // Once, and again when it has become right in between.
      if (proof.outcome === 'refused' && before?.outcome !== 'refused') log.error(proof.error.message)
      targets = found.targets
      if (found.failure !== undefined) findAt = 0
    } catch (error) {
      findAt = 0
      if (!signal.aborted) log.error('publishers could not be listed: retried', { reason: reasonOf(error) })
    }
    finding = undefined
  }

  return {
    async found(signal: AbortSignal) {
      if (finding === undefined && performance.now() >= findAt) finding = findAgain(signal)
      if (targets === undefined) await finding
      return { targets: targets ?? [], proof }
    },
    /** Once, and again when our callback has answered in between. */
    reportWithheld(polled: readonly Polled[]): void {
      if (proof === undefined) return
      const problem = withheldText(polled, proof)
      if (problem !== undefined && !isWithheldReported) log.warn(problem)
      isWithheldReported = proof.outcome !== 'proven' && (isWithheldReported || problem !== undefined)
    },
    settled: async () => finding,
  }
}

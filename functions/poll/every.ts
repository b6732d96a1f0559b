import { reasonOf } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import { pause } from '#shared/publishers/backoff.ts'
import type { Publishers } from '#shared/publishers/open.ts'
import { type Proof, withheldText } from '#shared/publishers/reconcile/proof.ts'
import type { Target } from '#shared/publishers/target.ts'
import { UsageError } from '#shared/runtime/function.ts'
import type { PollMetrics } from './metrics.ts'
import type { Poller } from './poll.ts'

type RoundsDeps = {
  readonly publishers: Pick<Publishers, 'find' | 'prove'>
  readonly poller: Poller
  readonly log: Log
  readonly metrics: PollMetrics
  readonly random: () => number
  /** Runs `work` unless a run is under way; returns whether it did. */
  readonly alone: (work: () => Promise<void>) => Promise<boolean>
}

/** Publishers serve their consumers one after another, so nobody polls more often than this. Milliseconds. */
const LEAST_MS = 1_000

/**
 * The value of `--every` in milliseconds. It lets a clock be confirmed three times before it would be stale.
 * @throws UsageError if it is not a number of seconds from 1 to a third of `staleAfterMs`.
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

/** How often discovery runs while rounds are seconds apart. */
const FIND_EVERY_MS = 60_000

/**
 * Polls in rounds `everyMs` apart, up to 10 % earlier or later at random, so that several processes do not run in step.
 * A round starts after the one before has ended, and is skipped while another run is under way. Discovery and the proof
 * of our callback run in parallel once a minute, since they may take longer than a round. `close` ends the current
 * round and resolves when it is over.
 */
export function startRounds(
  { publishers, poller, log, metrics, random, alone }: RoundsDeps,
  { everyMs, deadlineMs }: { everyMs: number; deadlineMs: number },
) {
  const ended = new AbortController()
  const { signal } = ended
  let targets: readonly Target[] | undefined
  let proof: Proof | undefined
  let finding: Promise<void> | undefined
  let findAt = 0
  let isWithheldReported = false
  let isLate = false
  let failing: string | undefined

  const find = async () => {
    findAt = performance.now() + FIND_EVERY_MS
    try {
      const found = await publishers.find({ signal, marks: true })
      const before = proof
      proof = await publishers.prove(found.targets, signal)
      // Logged once, and again if it has been fine in between.
      if (proof.outcome === 'refused' && before?.outcome !== 'refused') log.error(proof.error.message)
      targets = found.targets
      if (found.failure !== undefined) findAt = 0
    } catch (error) {
      findAt = 0
      if (!signal.aborted) log.error('cannot list publishers; retrying', { reason: reasonOf(error) })
    }
    finding = undefined
  }

  const round = async () => {
    if (finding === undefined && performance.now() >= findAt) finding = find()
    if (targets === undefined) await finding
    // Events are forwarded in the background, as this process keeps running.
    const polled = await poller.round(targets ?? [], {
      signal: AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]),
      ...{ everyMs, random, ...(proof && { proof: proof.outcome }) },
    })
    if (proof === undefined) return
    // Logged once, and again if our callback has answered in between.
    const problem = withheldText(polled, proof)
    if (problem !== undefined && !isWithheldReported) log.warn(problem)
    isWithheldReported = proof.outcome !== 'proven' && (isWithheldReported || problem !== undefined)
  }

  const report = (tookMs: number, reason: string | undefined) => {
    metrics.roundSeconds.observe({}, tookMs / 1000)
    metrics.rounds.inc({ outcome: reason === undefined ? 'ok' : 'failed' })
    if (reason !== undefined && reason !== failing) {
      log.error('poll round failed; retrying with the next round', { reason })
    } else if (reason === undefined && failing !== undefined) log.info('poll rounds succeed again')
    failing = reason

    const wasLate = isLate
    isLate = tookMs > everyMs
    const times = { tookMs: Math.round(tookMs), everyMs }
    if (isLate) metrics.lateRounds.inc({})
    if (isLate && !wasLate) {
      log.warn('a poll round took longer than the interval: raise --every or POLL_CONCURRENCY', times)
    } else if (wasLate && !isLate) log.info('poll rounds are within the interval again', times)
  }

  const run = async () => {
    await pause(random() * everyMs, signal)
    while (!signal.aborted) {
      const startedAt = performance.now()
      let reason: string | undefined
      let isRun = true
      try {
        isRun = await alone(round)
      } catch (error) {
        reason = reasonOf(error)
      }
      const tookMs = performance.now() - startedAt
      if (isRun && !signal.aborted) report(tookMs, reason)
      await pause(Math.max(0, everyMs * (0.9 + random() / 5) - tookMs), signal)
    }
  }
  const running = run()

  return {
    async close() {
      ended.abort(new Error('The process ends'))
      await running
      await finding
    },
  }
}

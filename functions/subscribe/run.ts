import pLimit from 'p-limit'
import type { Config } from '#shared/config/index.ts'
import { PtpWatchError, reasonOf } from '#shared/errors.ts'
import { backoffMs, pause } from '#shared/publishers/backoff.ts'
import type { Publishers } from '#shared/publishers/open.ts'
import { together } from '#shared/publishers/reconcile/apply.ts'
import { type Proof, withheldText } from '#shared/publishers/reconcile/proof.ts'
import { type Reconciled, unreconciled } from '#shared/publishers/reconcile/reconciler.ts'
import type { Target } from '#shared/publishers/target.ts'
import type { Host } from '#shared/runtime/function.ts'
import type { HttpFunction } from '#shared/runtime/reply.ts'
import { createTickHandler } from '#shared/runtime/tick.ts'

type Deps = Pick<Publishers, 'find' | 'named' | 'prove' | 'reconciler'> &
  Pick<Host & Config, 'clock' | 'random' | 'pollConcurrency' | 'subscribeDeadlineMs'>

export type Mode = { readonly remove?: boolean; readonly dryRun?: boolean }

/** Called for a publisher that is not tried again, or for those that are after a pause. */
export type Progress = (now: {
  readonly settled?: Reconciled
  readonly waiting?: readonly Reconciled[]
  readonly done: number
  readonly total: number
}) => void

export type SubscribeOutcome = Awaited<ReturnType<typeof subscribeAll>>

/**
 * Tries all publishers once, then repeatedly those that are not ready, until the deadline. All are tried before any is
 * tried again, so that dead ones delay nobody. Returns one result each, in order; `withheld`: a message about
 * subscriptions that were not deleted, if any; `failure`: why publishers could not be listed.
 * @throws ConfigurationError if ingest rejects our token.
 */
export async function subscribeAll(
  deps: Deps,
  { remove = false, dryRun = false, tell, signal }: Mode & { tell?: Progress; signal?: AbortSignal },
) {
  const { reconciler, clock, random } = deps
  const found = await deps.find({ signal, marks: !remove && !dryRun })
  // Targets without a node name are asked for it at each try.
  const targets = [...found.targets, ...found.unnamed.map(({ target }) => target)]
  const limit = pLimit(deps.pollConcurrency)
  // A dry run shows the plan as of now.
  const until = clock.now() + (dryRun ? 0 : deps.subscribeDeadlineMs)
  const results = new Map<Target, Reconciled>()
  const resultsOf = (some: readonly Target[]) => some.flatMap((target) => results.get(target) ?? [])
  // --remove replaces nothing, so it needs no proof.
  let proof: Proof = remove ? { outcome: 'proven' } : { outcome: 'unreachable', reason: '' }
  let done = 0
  let pending = targets

  const tryOne = async (target: Target): Promise<Reconciled> => {
    try {
      const named = await deps.named(target, { signal })
      return await reconciler.reconcile(named, { remove, dryRun, proof: proof.outcome, signal })
    } catch (error) {
      // A node that the store cannot write is one failure, and the next may work again; or its name is not known yet.
      if (!(error instanceof PtpWatchError)) throw error
      const { retryable } = error
      return { ...unreconciled(target), outcome: 'failed', retryable, problems: [reasonOf(error)] }
    }
  }

  for (let round = 1; pending.length > 0; round += 1) {
    const waitMs = backoffMs(round, random)
    if (proof.outcome !== 'proven') proof = await deps.prove(found.targets, signal)
    if (proof.outcome === 'refused') throw proof.error
    const waiting: Target[] = []
    await limit.map(pending, async (target) => {
      const now = await tryOne(target)
      const one = { ...now, applied: together(results.get(target)?.applied, now.applied) }
      results.set(target, one)
      if (one.retryable && !signal?.aborted && clock.now() + waitMs <= until) waiting.push(target)
      else tell?.({ settled: one, done: ++done, total: targets.length })
    })
    pending = waiting
    if (pending.length === 0) break
    tell?.({ waiting: resultsOf(pending), done, total: targets.length })
    await pause(waitMs, signal)
  }
  const all = resultsOf(targets)
  const applied = all.flatMap((one) => one.applied ?? [])
  return { results: all, withheld: withheldText(applied, proof), failure: found.failure }
}

/**
 * `POST /` runs once: 202 if all publishers are in sync, else 500 with those that are not. Requests during a run share
 * it.
 */
export function createSubscribeHandler(
  run: (signal: AbortSignal) => Promise<readonly Reconciled[]>,
): HttpFunction {
  let running: Promise<readonly Reconciled[]> | undefined
  return createTickHandler(async (signal) => {
    running ??= run(signal).finally(() => {
      running = undefined
    })
    const failed = (await running).filter(({ outcome }) => outcome === 'failed')
    if (failed.length === 0) return
    const named = failed.map(({ node, problems }) => `${node}: ${problems.join('; ')}`)
    throw new PtpWatchError('subscriptions', `${failed.length} publishers failed: ${named.join(' | ')}`)
  }, '/')
}

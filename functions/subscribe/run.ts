import type { CallOptions } from '#shared/http/client.ts'
import pLimit from 'p-limit'
import { PtpWatchError, reasonOf } from '#shared/errors.ts'
import { backoffMs, pause } from '#shared/publishers/backoff.ts'
import { together } from '#shared/publishers/reconcile/apply.ts'
import { type Proof, withheldText } from '#shared/publishers/reconcile/proof.ts'
import {
  type Reconciled,
  type ReconcileOptions,
  type Reconciler,
  unreconciled,
} from '#shared/publishers/reconcile/reconciler.ts'
import type { Target } from '#shared/publishers/target.ts'
import type { Clock } from '#shared/time.ts'

export type SubscribeDeps = {
  readonly reconciler: Pick<Reconciler, 'reconcile'>
  readonly targets: readonly Target[]
  /** Gives a target the name of its node. @throws PublisherError while it is not known */
  readonly named: (target: Target, call?: CallOptions) => Promise<Target>
  /** Proves our callback, at the beginning of each round. */
  readonly prove: (signal?: AbortSignal) => Promise<Proof>
  /** How many publishers are worked on at once. */
  readonly concurrency: number
  /** How long the run goes on trying those that are not ready, in ms. */
  readonly deadlineMs: number
  readonly clock: Clock
  /** [0, 1), for jitter. */
  readonly random: () => number
}

export type Mode = { readonly remove: boolean; readonly dryRun: boolean }

/** Told as the run goes. */
export type Progress = {
  /** A publisher that needs no further try, or gets none. */
  settled(one: Reconciled, count: { readonly done: number; readonly total: number }): void
  /** Those that are tried again after a pause. */
  waiting(all: readonly Reconciled[]): void
}

/** `withheld`: what to tell people of subscriptions that were not deleted, if there are any. */
export type Outcome = { readonly results: readonly Reconciled[]; readonly withheld: string | undefined }

/**
 * Goes once over all publishers, and again over those that are not ready, until the deadline. All are tried before any
 * is tried again, so that dead ones keep nobody waiting. Gives one result for each, in their order.
 * @throws ConfigurationError where ingest rejects our token
 */
export async function subscribeAll(
  deps: SubscribeDeps,
  mode: Mode,
  progress: Progress,
  signal?: AbortSignal,
): Promise<Outcome> {
  const { targets, clock, random } = deps
  const limit = pLimit(deps.concurrency)
  // A plan is wanted now: it says what is so at this moment.
  const until = clock.now() + (mode.dryRun ? 0 : deps.deadlineMs)
  const results = new Map<Target, Reconciled>()
  // What --remove deletes is not to be replaced by anything.
  let proof: Proof = mode.remove ? { outcome: 'proven' } : { outcome: 'unreachable', reason: '' }
  let done = 0
  let pending = targets

  for (let round = 1; pending.length > 0; round += 1) {
    const waitMs = backoffMs(round, random)
    if (proof.outcome !== 'proven') proof = await deps.prove(signal)
    if (proof.outcome === 'refused') throw proof.error
    const options = { ...mode, proof: proof.outcome, signal }
    const isLast = () => signal?.aborted || clock.now() + waitMs > until
    const waiting: Target[] = []
    await limit.map(pending, async (target) => {
      const now = await tryOne(deps, target, options)
      const one = { ...now, applied: together(results.get(target)?.applied, now.applied) }
      results.set(target, one)
      if (one.retryable && !isLast()) {
        waiting.push(target)
        return
      }
      done += 1
      progress.settled(one, { done, total: targets.length })
    })
    pending = waiting
    if (pending.length === 0) break
    progress.waiting(resultsOf(pending, results))
    await pause(waitMs, signal)
  }
  const all = resultsOf(targets, results)
  const applied = all.flatMap((one) => one.applied ?? [])
  return { results: all, withheld: withheldText(applied, proof) }
}

function resultsOf(targets: readonly Target[], results: ReadonlyMap<Target, Reconciled>): Reconciled[] {
  return targets.flatMap((target) => results.get(target) ?? [])
}

async function tryOne(
  { reconciler, named }: SubscribeDeps,
  target: Target,
  options: Mode & Pick<ReconcileOptions, 'proof' | 'signal'>,
): Promise<Reconciled> {
  try {
    return await reconciler.reconcile(await named(target, { signal: options.signal }), options)
  } catch (error) {
    // The store: one node that cannot be written is one failure, and the next may work again. Or it has no name yet.
    if (!(error instanceof PtpWatchError)) throw error
    const { retryable } = error
    return { ...unreconciled(target), outcome: 'failed', retryable, problems: [reasonOf(error)] }
  }
}

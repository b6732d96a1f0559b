import pLimit from 'p-limit'
import { PtpWatchError, reasonOf } from '#shared/errors.ts'
import { together } from '#shared/publishers/reconcile/apply.ts'
import { backoffMs, pause } from '#shared/publishers/backoff.ts'
import type { Keeper, Kept } from '#shared/publishers/reconcile/reconciler.ts'
import { type Proof, withheldText } from '#shared/publishers/reconcile/proof.ts'
import { placeOf, type Target } from '#shared/publishers/target.ts'
import type { Clock } from '#shared/time.ts'

export type Deps = {
  readonly keeper: Keeper
  readonly targets: readonly Target[]
  /** Proves our callback, at the beginning of each round. @throws ConfigurationError where ingest refuses our token */
  readonly prove: (signal?: AbortSignal) => Promise<Proof>
  /** How many publishers are worked on at once. */
  readonly concurrency: number
  /** How long the run goes on trying those that are not ready, in ms. */
  readonly deadlineMs: number
  readonly clock: Clock
  /** [0, 1), for jitter. */
  readonly random: () => number
}

export type Mode = 'keep' | 'plan' | 'remove' | 'plan-removal'

/** Told as the run goes. */
export type Progress = {
  /** A publisher that needs no further try, or gets none. */
  settled(kept: Kept, count: { readonly done: number; readonly total: number }): void
  /** Those that are tried again after a pause. */
  waiting(kept: readonly Kept[]): void
}

/** `withheld`: what to tell people of subscriptions that were not deleted, if there are any. */
export type Outcome = { readonly results: Kept[]; readonly withheld: string | undefined }

/**
 * Goes once over all publishers, and again over those that are not ready, until the deadline. All are tried before any
 * is tried again, so that dead ones keep nobody waiting. Gives one result for each, in their order.
 */
export async function subscribeAll(
  deps: Deps,
  mode: Mode,
  progress: Progress,
  signal?: AbortSignal,
): Promise<Outcome> {
  const { targets, clock, random } = deps
  const limit = pLimit(deps.concurrency)
  // A plan is wanted now: it says what is so at this moment.
  const isPlan = mode === 'plan' || mode === 'plan-removal'
  const until = isPlan ? clock.now() : clock.now() + deps.deadlineMs
  const results = new Map<Target, Kept>()
  // What is deleted by --remove is not to be replaced by anything.
  const isRemoval = mode === 'remove' || mode === 'plan-removal'
  let proof: Proof | undefined = isRemoval ? { outcome: 'proven' } : undefined
  let done = 0
  let pending = targets

  for (let round = 1; pending.length > 0; round += 1) {
    const waitMs = backoffMs(round, random)
    if (proof?.outcome !== 'proven') proof = await deps.prove(signal)
    const { outcome } = proof
    const isLast = () => signal?.aborted || clock.now() + waitMs > until
    const waiting: { target: Target; kept: Kept }[] = []
    await limit.map(pending, async (target) => {
      const now = await tryOne(deps.keeper, target, mode, outcome, signal)
      const kept = { ...now, applied: together(results.get(target)?.applied, now.applied) }
      results.set(target, kept)
      if (kept.again && !isLast()) {
        waiting.push({ target, kept })
        return
      }
      done += 1
      progress.settled(kept, { done, total: targets.length })
    })
    pending = waiting.map(({ target }) => target)
    if (pending.length === 0) break
    progress.waiting(waiting.map(({ kept }) => kept))
    await pause(waitMs, signal)
  }
  const kept = targets.flatMap((target) => results.get(target) ?? [])
  const withheld = kept.reduce((sum, { applied }) => sum + (applied?.withheld ?? 0), 0)
  return {
    results: kept,
    withheld: withheld > 0 && proof !== undefined ? withheldText(withheld, proof) : undefined,
  }
}

async function tryOne(
  keeper: Keeper,
  target: Target,
  mode: Mode,
  proof: Proof['outcome'],
  signal?: AbortSignal,
): Promise<Kept> {
  const dryRun = mode === 'plan' || mode === 'plan-removal'
  const options = { dryRun, proof, ...(signal !== undefined && { signal }) }
  try {
    return mode === 'remove' || mode === 'plan-removal'
      ? await keeper.remove(target, options)
      : await keeper.keep(target, options)
  } catch (error) {
    // The store: one node that cannot be written is one failure, and the next may work again.
    if (!(error instanceof PtpWatchError)) throw error
    return failed(target, error)
  }
}

function failed(target: Target, error: PtpWatchError): Kept {
  return {
    node: target.node,
    url: placeOf(target.url).shown,
    dialect: undefined,
    outcome: 'failed',
    resources: [],
    plan: [],
    applied: undefined,
    reachable: undefined,
    lacking: [],
    notes: [],
    strangers: 0,
    again: error.retryable,
    problems: [reasonOf(error)],
  }
}

import { PublisherError } from '#shared/errors.ts'
import { type Applied, together } from './apply.ts'
import {
  type Attempt,
  type AttemptDeps,
  consequencesOf,
  createKeepAttempt,
  createRemoveAttempt,
  NOTHING_TRIED,
  type Tried,
} from './attempt.ts'
import { backoffMs, pause } from '#shared/publishers/backoff.ts'
import type { Dialect, Resource } from '#shared/publishers/dialects/client.ts'
import { flushSidecar } from './unstick.ts'
import type { Http } from '#shared/http/client.ts'
import type { Lacking } from './lacking.ts'
import type { KeeperMetrics } from './metrics.ts'
import type { Step } from './plan.ts'
import type { Proof } from './proof.ts'
import { type Closing, createRecord, type Record, type RecordDeps } from './journal.ts'
import { placeOf, type Target } from '#shared/publishers/target.ts'

/** How one run of the keeper at one publisher is bounded. */
export type KeepOptions = {
  /** How long to go on trying while it warms up or does not answer, in ms; 0 tries once. */
  readonly deadlineMs?: number
  readonly signal?: AbortSignal
  /**
   * What is known of our callback (proof.ts). Unless it is `proven`, nothing is deleted; if ingest `refused` our token,
   * nothing is created either.
   */
  readonly proof?: Proof['outcome'] | 'refused'
  /** Only find out what would be done: nothing is created, removed or written. */
  readonly dryRun?: boolean
  /** Whoever asked tells people of `problems`: they are not logged too. Notes are. */
  readonly quiet?: boolean
  /** Leaves the end of the record to the caller where nothing else is to be written: see {@link Kept.closing}. */
  readonly handOver?: boolean
}

/** What became of one publisher. */
export type Kept = {
  readonly node: string
  /** Redacted. */
  readonly url: string
  readonly dialect: Dialect | undefined
  /** `failed` also where only some of its subscriptions could not be made. */
  readonly outcome: 'kept' | 'planned' | 'failed'
  /** The wanted resources that it offers, for pulls; empty where that could not be learnt. */
  readonly resources: readonly Resource[]
  /** What was found to do by the last try. */
  readonly plan: readonly Step[]
  /** What was done; absent if nothing was. */
  readonly applied: Applied | undefined
  /** Whether it answered; undefined where it was given up before it could have. */
  readonly reachable: boolean | undefined
  /** The kinds that its host lacks. Those whose pulls are `answers` are among `resources`. */
  readonly lacking: readonly Lacking[]
  /** How many subscriptions of others it holds; they are left alone. */
  readonly strangers: number
  /** It failed or left old subscriptions, and a later try may succeed. */
  readonly again: boolean
  /** Why it failed, and what people should know; one line each, redacted. */
  readonly problems: readonly string[]
  /** What works but needs looking after; one line each, redacted. */
  readonly notes: readonly string[]
  /** Nobody has this name: the publisher gave another, and nothing is on record under it. */
  readonly isNobody?: boolean
  /** What the caller has to make of the document in a write of its own, if anything; only with `handOver`. */
  readonly closing?: Closing | undefined
}

export type Keeper = {
  /** Brings the subscriptions of one publisher to plan. Idempotent. Throws StoreError, never PublisherError. */
  keep(target: Target, options?: KeepOptions): Promise<Kept>
  /**
   * For a v1 sidecar that has fallen silent while its pulls show changes: makes it let go of what it holds back where
   * its transport address is configured, and posts all of ours again, which lifts the publisher's mark
   * (protocol.md §2.6). For other dialects the same as {@link Keeper.keep}.
   */
  cure(target: Target, options?: KeepOptions): Promise<Kept>
  /** Takes all of ours away from one publisher. Throws StoreError, never PublisherError. */
  remove(target: Target, options?: KeepOptions): Promise<Kept>
}

export type KeeperDeps = AttemptDeps &
  RecordDeps & {
    readonly http: Http
    readonly metrics: KeeperMetrics
    /** [0, 1), for jitter. */
    readonly random: () => number
  }

type FinishOptions = { readonly removed?: boolean; readonly handOver?: boolean }

/** Publishers answer from memory: whoever had so long could have answered. Milliseconds. */
const ENOUGH_MS = 1_000

/**
 * `kinds`: what to subscribe to. `configured`: every node of the configuration, also those of other shards; it may
 * change from run to run.
 */
export function createKeeper(
  deps: KeeperDeps,
  options: { kinds: readonly string[]; configured: ReadonlySet<string> },
): Keeper {
  const { http, metrics, registry, log, random, clock } = deps
  const { configured } = options
  const keepAttempt = createKeepAttempt(deps, { kinds: options.kinds, configured })
  const removeAttempt = createRemoveAttempt(deps, configured)
  /** By node: the problem last logged. */
  const told = new Map<string, string>()

  const run = async (
    target: Target,
    record: Record,
    { deadlineMs = 0, signal, dryRun = false, proof = 'unreachable' }: KeepOptions,
    one: Attempt,
  ): Promise<Tried> => {
    const until = clock.now() + deadlineMs
    let known = registry.knows(target)
    let earlier: Applied | undefined
    for (let tries = 1; ; tries += 1) {
      const now = await one(target, record, { signal }, { dryRun, proof }).catch((error: unknown) =>
        failure(target, error),
      )
      const tried = { ...now, earlier }
      earlier = together(earlier, now.applied)
      if (known && !registry.knows(target)) {
        // It does not answer as it did before: once more at once, with the dialect found out anew.
        known = false
        continue
      }
      const waitMs = backoffMs(tries, random)
      if (!tried.again || signal?.aborted || clock.now() + waitMs > until) return tried
      log.debug('Publisher is not ready', { node: target.node, tries, waitMs, problems: tried.problems })
      await record.flush()
      await pause(waitMs, signal)
    }
  }

  const failure = (target: Target, error: unknown): Tried => {
    if (!(error instanceof PublisherError)) throw error
    const { reason, again, reachable } = consequencesOf(registry, target, error)
    return { ...NOTHING_TRIED, problems: [reason], again, reachable }
  }

  const report = (target: Target, tried: Tried, dryRun: boolean): Kept => {
    const failed = tried.problems.length > 0
    return {
      node: target.node,
      url: shownUrl(target, tried),
      dialect: tried.client?.dialect,
      outcome: failed ? 'failed' : dryRun ? 'planned' : 'kept',
      resources: tried.resources,
      plan: tried.plan,
      applied: together(tried.earlier, tried.applied),
      reachable: tried.reachable,
      lacking: tried.lacking,
      strangers: tried.strangers,
      // Another try comes with another proof.
      again: (failed && tried.again) || (tried.applied?.withheld ?? 0) > 0,
      problems: tried.problems,
      notes: tried.notes,
    }
  }

  /**
   * Whether we gave it up before it could have answered: then what was known of it stands. One that had its time and
   * said nothing is silent, also where it is the end of a short run that it was silent to.
   */
  const wasCut = ({ reachable }: Tried, signal: AbortSignal | undefined, startedAt: number) =>
    signal?.aborted === true && !reachable && clock.now() - startedAt < ENOUGH_MS

  const finish = (target: Target, record: Record, tried: Tried, options: FinishOptions) => {
    const { removed = false, handOver = false } = options
    const wanted = new Set(tried.resources.map(({ kind }) => kind))
    return record.finish(
      {
        url: shownUrl(target, tried),
        dialect: tried.client?.dialect,
        reachable: tried.reachable,
        problem: linesOf(tried).length === 0 ? undefined : linesOf(tried).join('; '),
        labels: target.labels,
      },
      {
        confirmed: tried.applied?.held ?? new Set(),
        // What could not be looked at stays on record: so it is known as lost when it is found gone.
        keep: ({ kind }) => (removed ? tried.applied === undefined : wanted.size === 0 || wanted.has(kind)),
      },
      { handOver },
    )
  }

  /** Logged when it changes: a publisher that is down for a day is not told of at every poll. */
  const tell = (target: Target, tried: Tried, quiet: boolean) => {
    const problem = (quiet ? tried.notes : linesOf(tried)).join('; ')
    const before = told.get(target.node) ?? ''
    if (problem === before) return
    told.set(target.node, problem)
    const fields = { node: target.node, dialect: tried.client?.dialect, problem }
    if (problem === '') log.info('Subscriptions are as they should be again', fields)
    else if (tried.mismatch) log.error('The name of a node is not the one its publisher uses', fields)
    else log.warn('Subscriptions are not as they should be', fields)
  }

  const count = (kept: Kept) => {
    metrics.runs.inc({ outcome: kept.outcome === 'failed' ? 'failed' : 'kept' })
    const { created = [], adopted = [], restored = [], removed = 0 } = kept.applied ?? {}
    metrics.subscriptions.inc({ action: 'created' }, created.length)
    metrics.subscriptions.inc({ action: 'adopted' }, adopted.length)
    metrics.subscriptions.inc({ action: 'restored' }, restored.length)
    metrics.subscriptions.inc({ action: 'removed' }, removed)
    return kept
  }

  const keep = async (target: Target, keepOptions: KeepOptions = {}) => {
    const { dryRun = false, handOver = false, quiet = false, signal } = keepOptions
    const startedAt = clock.now()
    const record = createRecord(deps, target.node)
    const tried = await run(target, record, keepOptions, keepAttempt)
    const cut = wasCut(tried, signal, startedAt)
    if (!cut) tell(target, tried, quiet)
    if (dryRun) return report(target, tried, dryRun)
    const kept = count(report(target, tried, dryRun))
    if (tried.mismatch && (await record.discard())) return { ...kept, isNobody: true }
    if (!cut) return { ...kept, closing: await finish(target, record, tried, { handOver }) }
    await record.flush()
    return { ...kept, reachable: undefined }
  }

  return {
    keep,

    async cure(target, keepOptions = {}) {
      // Posting ours again lifts the publisher's mark; only then is there anything to let go of.
      const kept = await keep(target, { ...keepOptions, handOver: false })
      if (kept.dialect !== 'red-hat-v1') return kept
      const { transport } = target
      const flush =
        transport === undefined
          ? undefined
          : await flushSidecar(http, transport, { signal: keepOptions.signal })
      const problems = flush === undefined ? kept.problems : [...kept.problems, flush]
      const outcome = problems.length === 0 ? 'done' : 'failed'
      metrics.cures.inc({ outcome })
      log.warn('A silent sidecar was given its subscriptions again and asked to let go of what it holds', {
        node: target.node,
        outcome,
        asked: transport !== undefined,
        problems,
      })
      return { ...kept, problems, outcome: problems.length === 0 ? kept.outcome : 'failed' }
    },

    async remove(target, keepOptions = {}) {
      const { dryRun = false, signal } = keepOptions
      const startedAt = clock.now()
      const record = createRecord(deps, target.node)
      const tried = await run(target, record, keepOptions, removeAttempt)
      if (dryRun) return report(target, tried, dryRun)
      if (wasCut(tried, signal, startedAt)) await record.flush()
      else await finish(target, record, tried, { removed: true })
      return count(report(target, tried, dryRun))
    },
  }
}

function linesOf({ problems, notes }: Tried): readonly string[] {
  return [...problems, ...notes]
}

/** Where a publisher is, redacted. */
function shownUrl(target: Target, { client }: Tried): string {
  return client?.url ?? placeOf(target.url).shown
}

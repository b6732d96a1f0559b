import type { Callback } from '#shared/callback.ts'
import { PublisherError, reasonOf } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import { type Applied, applyPlan, blocked } from './apply.ts'
import { backoffMs, pause } from './backoff.ts'
import type { CallOptions, Client, Dialect, Resource } from './client.ts'
import { flushSidecar } from './cure.ts'
import type { Http } from './http.ts'
import type { KeeperMetrics } from './metrics.ts'
import { ownerOf, planOf, removalPlanOf, type Situation, type Step } from './plan.ts'
import { createRecord, type Record, type RecordDeps } from './record.ts'
import type { Registry } from './registry.ts'
import { nodesNamed } from './resources.ts'
import { placeOf, type Target } from './target.ts'

/** How one run of the keeper at one publisher is bounded. */
export type KeepOptions = {
  /** How long to go on trying while it warms up or does not answer, in ms; 0 tries once. */
  readonly deadlineMs?: number
  readonly signal?: AbortSignal
  /** Only find out what would be done: nothing is created, removed or written. */
  readonly dryRun?: boolean
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
  /** How many subscriptions of others it holds; they are left alone. */
  readonly strangers: number
  /** It failed, and a later try may succeed. */
  readonly again: boolean
  /** Why it failed, and what people should know; one line each, redacted. */
  readonly problems: readonly string[]
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

export type KeeperDeps = RecordDeps & {
  readonly http: Http
  readonly metrics: KeeperMetrics
  readonly registry: Registry
  readonly callback: Callback
  readonly log: Log
  /** [0, 1), for jitter. */
  readonly random: () => number
}

/** `kinds`: what to subscribe to. `configured`: every node of the configuration, also those of other shards. */
export function createKeeper(
  deps: KeeperDeps,
  options: { kinds: readonly string[]; configured: readonly string[] },
): Keeper {
  const { http, metrics, registry, callback, log, random, clock } = deps
  const configured = new Set(options.configured)
  /** By node: the problem last logged. */
  const told = new Map<string, string>()

  /** One try from the list to the end. */
  const attempt = async (target: Target, call: CallOptions, dryRun: boolean): Promise<Try> => {
    const client = await registry.client(target, call)
    const result = (part: Partial<Try>): Try => ({ ...EMPTY, client, ...part })
    const offer = await client.offer(options.kinds, call)
    if (offer.outcome === 'not-ready') return result({ problems: [offer.reason], again: true })
    if (offer.node !== undefined && offer.node !== target.node) {
      return result({ problems: [misnamed(target, offer.node)], mismatch: true })
    }
    const { resources, unpublished, node: ownName } = offer
    const situation: Situation = {
      node: target.node,
      facts: client,
      wanted: resources,
      unpublished,
      ownName,
      held: await client.list(call),
      callback,
      configured,
    }
    const plan = planOf(situation)
    const strangers = countStrangers(situation)
    if (dryRun)
      return result({
        resources,
        plan,
        strangers,
        problems: plan.flatMap((step) =>
          step.do === 'blocked' ? [blocked(step.resource, step.by.endpoint)] : [],
        ),
      })
    const record = createRecord(deps, target.node)
    const applied = await applyPlan({ client, record, callback, log }, plan, situation, call)
    const problems = [...applied.problems]
    const taken = resources.filter(({ kind }) => !applied.unsupported.includes(kind))
    const done = { resources: taken, plan, applied, problems, strangers }
    if (client.listProves) return result({ ...done, again: applied.again })
    const check = await checkName(client, resources, call)
    if (check.outcome === 'other') problems.push(misnamed(target, check.name))
    if (check.outcome === 'failed') problems.push(reasonOf(check.error))
    return result({
      ...done,
      again: applied.again || (check.outcome === 'failed' && check.error.retryable),
      reachable: check.outcome !== 'failed',
      mismatch: check.outcome === 'other',
    })
  }

  const removal = async (target: Target, call: CallOptions, dryRun: boolean): Promise<Try> => {
    const client = await registry.client(target, call)
    const held = await client.list(call)
    const situation = { node: target.node, ownName: undefined, callback, configured, held, facts: client }
    const plan = removalPlanOf(situation)
    const result: Try = { ...EMPTY, client, plan, strangers: countStrangers(situation) }
    if (dryRun) return result
    const record = createRecord(deps, target.node)
    const all: Situation = { ...situation, wanted: [], unpublished: [] }
    return { ...result, applied: await applyPlan({ client, record, callback, log }, plan, all, call) }
  }

  const run = async (
    target: Target,
    { deadlineMs = 0, signal, dryRun = false }: KeepOptions,
    one: typeof attempt,
  ): Promise<Tried> => {
    const until = clock.now() + deadlineMs
    let known = registry.knows(target)
    for (let tries = 1; ; tries += 1) {
      const tried = await one(target, { signal }, dryRun).catch((error: unknown) => failure(target, error))
      if (known && !registry.knows(target)) {
        // It does not answer as it did before: once more at once, with the dialect found out anew.
        known = false
        continue
      }
      const waitMs = backoffMs(tries, random)
      if (!tried.again || signal?.aborted || clock.now() + waitMs > until) return tried
      log.debug('Publisher is not ready', { node: target.node, tries, waitMs, problems: tried.problems })
      await pause(waitMs, signal)
    }
  }

  const failure = (target: Target, error: unknown): Tried => {
    if (!(error instanceof PublisherError)) throw error
    // Something answers, but not as its dialect does: it may have been upgraded.
    if (error.code === 'status' || error.code === 'body') registry.forget(target)
    const reachable = error.code === 'status' || error.code === 'body'
    return { ...EMPTY, client: undefined, problems: [reasonOf(error)], again: error.retryable, reachable }
  }

  const report = (target: Target, tried: Tried, dryRun: boolean): Kept => {
    const failed = tried.problems.length > 0
    return {
      node: target.node,
      url: placeOf(target.url).shown,
      dialect: tried.client?.dialect,
      outcome: failed ? 'failed' : dryRun ? 'planned' : 'kept',
      resources: tried.resources,
      plan: tried.plan,
      applied: tried.applied,
      strangers: tried.strangers,
      again: failed && tried.again,
      problems: tried.problems,
    }
  }

  const finish = async (record: Record, target: Target, tried: Tried, removed: boolean) => {
    const { shown } = placeOf(target.url)
    const wanted = new Set(tried.resources.map(({ kind }) => kind))
    await record.finish(
      {
        url: shown,
        dialect: tried.client?.dialect ?? target.dialect,
        reachable: tried.reachable,
        problem: tried.problems.length === 0 ? undefined : tried.problems.join('; '),
      },
      {
        confirmed: tried.applied?.held ?? new Set(),
        // What could not be looked at stays on record: so it is known as lost when it is found gone.
        keep: ({ kind }) => (removed ? tried.applied === undefined : wanted.size === 0 || wanted.has(kind)),
      },
    )
  }

  /** Logged when it changes: a publisher that is down for a day is not told of at every poll. */
  const tell = (target: Target, tried: Tried) => {
    const problem = tried.problems.join('; ')
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
    const { dryRun = false } = keepOptions
    const tried = await run(target, keepOptions, attempt)
    tell(target, tried)
    if (dryRun) return report(target, tried, dryRun)
    await finish(createRecord(deps, target.node), target, tried, false)
    return count(report(target, tried, dryRun))
  }

  return {
    keep,

    async cure(target, keepOptions = {}) {
      const flushed =
        target.transport === undefined
          ? undefined
          : await flushSidecar(http, target.transport, { signal: keepOptions.signal })
      const kept = await keep(target, keepOptions)
      if (kept.dialect !== 'red-hat-v1') return kept
      const outcome = kept.outcome === 'failed' || flushed !== undefined ? 'failed' : 'done'
      metrics.cures.inc({ outcome })
      log.warn('A silent sidecar was asked to report and given its subscriptions again', {
        node: target.node,
        outcome,
        flush: target.transport === undefined ? 'no transport address is configured' : (flushed ?? 'done'),
        problems: kept.problems,
      })
      return flushed === undefined ? kept : { ...kept, problems: [...kept.problems, flushed] }
    },

    async remove(target, keepOptions = {}) {
      const { dryRun = false } = keepOptions
      const tried = await run(target, keepOptions, removal)
      if (dryRun) return report(target, tried, dryRun)
      await finish(createRecord(deps, target.node), target, tried, true)
      return count(report(target, tried, dryRun))
    },
  }
}

type Tried = {
  readonly client: Client | undefined
  readonly resources: readonly Resource[]
  readonly plan: readonly Step[]
  readonly applied: Applied | undefined
  readonly problems: readonly string[]
  readonly strangers: number
  readonly again: boolean
  readonly reachable: boolean
  readonly mismatch: boolean
}
type Try = Tried & { readonly client: Client }

const EMPTY = {
  resources: [],
  plan: [],
  applied: undefined,
  problems: [],
  strangers: 0,
  again: false,
  reachable: true,
  mismatch: false,
} as const

/**
 * v1 answers pulls of a wrong node name with the real node's values, and never pushes (protocol.md §2.5). The same
 * pull shows whether the publisher behind the sidecar is there at all.
 */
async function checkName(
  client: Client,
  [first]: readonly Resource[],
  call: CallOptions,
): Promise<
  { outcome: 'fine' } | { outcome: 'other'; name: string } | { outcome: 'failed'; error: PublisherError }
> {
  if (first === undefined) return { outcome: 'fine' }
  try {
    const state = await client.currentState(first.address, call)
    const names = state.outcome === 'answered' ? nodesNamed(state.body) : []
    const [name] = names
    return name === undefined || names.includes(client.node)
      ? { outcome: 'fine' }
      : { outcome: 'other', name }
  } catch (error) {
    if (!(error instanceof PublisherError)) throw error
    return { outcome: 'failed', error }
  }
}

function countStrangers(situation: Parameters<typeof ownerOf>[1] & Pick<Situation, 'held'>): number {
  return situation.held.filter((held) => ownerOf(held, situation) === 'stranger').length
}

function misnamed(target: Target, name: string): string {
  return `the publisher at ${placeOf(target.url).shown} is that of node ${name}, configured as ${target.node}: set \`node\` to ${name}`
}

import type { Callback } from '#shared/callback.ts'
import { PublisherError, reasonOf } from '#shared/errors.ts'
import type { Http } from '#shared/http/client.ts'
import type { Log } from '#shared/log.ts'
import { nodesNamed } from '#shared/publishers/dialects/addresses.ts'
import type { CallOptions, Client, Dialect, Resource } from '#shared/publishers/dialects/client.ts'
import type { Registry } from '#shared/publishers/dialects/registry.ts'
import { placeOf, type Target } from '#shared/publishers/target.ts'
import type { NodeState } from '#shared/state/document.ts'
import { milliseconds } from '#shared/time.ts'
import { type Applied, applyPlan, blockedText, together } from './apply.ts'
import { type Change, createJournal, type Journal, type JournalDeps, type Lacking } from './journal.ts'
import type { ReconcilerMetrics } from './metrics.ts'
import { foreignIn, ownerOf, planOf, removalPlanOf, type Situation, type Step } from './plan.ts'
import type { Proof } from './proof.ts'
import { flushSidecar, isInMemory, unlistedNote } from './unstick.ts'

export type ReconcileOptions = {
  readonly signal?: AbortSignal
  /** Unless it is `proven`, nothing is deleted; where it is `refused`, nothing is created either. */
  readonly proof?: Proof['outcome']
  /** Only find out what would be done: nothing is created, removed or written. */
  readonly dryRun?: boolean
  /** The caller tells people of `problems`: they are not logged too. Notes are. */
  readonly quiet?: boolean
  /** Leaves the end of the run to a write of the caller's: see {@link Reconciled.closing}. */
  readonly handOver?: boolean
}

/** What became of one publisher. */
export type Reconciled = {
  readonly node: string
  /** Redacted. */
  readonly url: string
  readonly dialect: Dialect | undefined
  /** `failed` also where only some of its subscriptions could not be made. */
  readonly outcome: 'ok' | 'planned' | 'failed'
  /** The wanted resources that it offers, for pulls; empty where that could not be learnt. */
  readonly resources: readonly Resource[]
  readonly plan: readonly Step[]
  /** What was done; absent if nothing was. */
  readonly applied: Applied | undefined
  /** Whether it answered; undefined where it was given up before it could have. */
  readonly reachable: boolean | undefined
  /** The kinds that its host lacks. Those whose pulls are `answers` are among `resources`. */
  readonly lacking: readonly Lacking[]
  /** How many subscriptions of other consumers it holds; they are left alone. */
  readonly foreign: number
  /** It failed or left old subscriptions, and a later try may succeed. */
  readonly retryable: boolean
  /** Why it failed; one line each, redacted. */
  readonly problems: readonly string[]
  /** What works but needs looking after; one line each, redacted. */
  readonly notes: readonly string[]
  /** The publisher gave another name than the configured one. */
  readonly isMisnamed?: boolean
  /** No node has this name: the publisher gave another, and nothing is on record under it. */
  readonly isNobody?: boolean
  /** What the caller is to make of the document in a write of its own; only with `handOver`. */
  readonly closing?: Change
}

export type Reconciler = {
  /** Creates, repairs and removes our subscriptions at one publisher. Idempotent. Throws StoreError, never PublisherError. */
  reconcile(target: Target, options?: ReconcileOptions): Promise<Reconciled>
  /**
   * For a v1 sidecar that has fallen silent while its pulls show changes: posts all subscriptions of ours again, which
   * lifts the publisher's mark, and flushes what it holds back where its transport address is configured
   * (protocol.md §2.6). For other dialects the same as {@link Reconciler.reconcile}.
   */
  unstick(target: Target, options?: ReconcileOptions): Promise<Reconciled>
  /** Removes all of ours from one publisher. Throws StoreError, never PublisherError. */
  remove(target: Target, options?: ReconcileOptions): Promise<Reconciled>
}

export type ReconcilerDeps = JournalDeps & {
  readonly http: Http
  readonly registry: Registry
  readonly callback: Callback
  readonly log: Log
  readonly metrics: ReconcilerMetrics
}

/** One try at one publisher, and how it is bounded. */
type Try = {
  readonly target: Target
  readonly journal: Journal
  readonly call: CallOptions
  readonly dryRun: boolean
  readonly proof: Proof['outcome']
}

/** Publishers answer from memory: one that had so long could have answered. Milliseconds. */
const ENOUGH_MS = 1_000

/** A lacking kind is asked for again after this, in ms: publishers are upgraded, hosts get hardware. */
const ASK_AGAIN_MS = 3_600_000

const STILL_DELIVERED =
  'the sidecar still holds deleted subscriptions in memory and delivers them until it restarts: restart it (its pod)'

/** What is known of a publisher before it was asked anything. */
export function unreconciled(target: Target): Reconciled {
  return {
    node: target.node,
    url: placeOf(target.url).shown,
    dialect: undefined,
    outcome: 'ok',
    resources: [],
    plan: [],
    applied: undefined,
    reachable: undefined,
    lacking: [],
    foreign: 0,
    retryable: false,
    problems: [],
    notes: [],
  }
}

/**
 * `kinds`: what to subscribe to. `configured`: every node of the configuration, also those of other shards; it may
 * change from run to run.
 */
export function createReconciler(
  deps: ReconcilerDeps,
  { kinds, configured }: { kinds: readonly string[]; configured: ReadonlySet<string> },
): Reconciler {
  const { http, metrics, registry, callback, log, clock } = deps
  /** By node: the problem last logged. */
  const logged = new Map<string, string>()

  const reconcileOnce = async ({ target, journal, call, dryRun, proof }: Try): Promise<Reconciled> => {
    const client = await registry.client(target, call)
    const answered = { ...unreconciled(target), dialect: client.dialect, reachable: true }
    const offer = await client.offer(kinds, call)
    if (offer.outcome === 'not-ready') return { ...answered, problems: [offer.reason], retryable: true }
    if (offer.node !== undefined && offer.node !== target.node) return misnamed(answered, offer.node)

    const held = await client.list(call)
    const before = await journal.document()
    const known = stillLacking(before, client, clock.now())
    const isKnown = (kind: string) => known.some((one) => one.kind === kind)
    const wanted = offer.resources.filter(({ kind }) => !isKnown(kind))
    const situation: Situation = {
      node: target.node,
      facts: client,
      wanted,
      unpublished: [...offer.unpublished, ...known.map(({ kind }) => kind)],
      ownName: offer.node,
      held,
      callback,
      configured,
    }
    const plan = planOf(situation)
    const foreign = foreignIn(situation).length
    const looked = { ...answered, resources: wanted, plan, foreign, lacking: known }
    // Where it holds subscriptions it can tell its name before anything is done under a wrong one.
    const early = client.listProves || held.length === 0 ? undefined : await ownNameOf(client, wanted, call)
    if (isOther(early, target)) return misnamed(looked, early)
    if (dryRun) {
      const blocked = plan.flatMap((step) => (step.do === 'blocked' ? [step] : []))
      return { ...looked, problems: blocked.map(({ resource, by }) => blockedText(resource, by.endpoint)) }
    }
    // A publisher is asked for nothing with a token that ingest does not take; what is there may well work.
    if (proof === 'refused') return looked

    const isProven = proof === 'proven'
    const applied = await applyPlan({ client, journal, situation, before, isProven, call, log, clock }, plan)
    if (applied.failure !== undefined) {
      // What it offers is known: that it takes no subscription just now must not keep it from being pulled.
      const failed = failedBy(target, applied.failure)
      return { ...looked, applied, ...failed, problems: [...applied.problems, ...failed.problems] }
    }
    const lacking = [...known, ...applied.lacking]
    if (applied.lacking.length > 0) journal.lacking(lacking)
    for (const { kind } of applied.lacking) {
      if (before?.lacking?.some((one) => one.kind === kind)) continue
      log.info('kind not offered by the host; not subscribed', { node: target.node, kind })
    }
    // Those that answer are pulled all the same: that they have no clock is worth knowing, and so is their first one.
    const resources = offer.resources.filter(({ kind }) =>
      lacking.every((one) => one.kind !== kind || one.answers),
    )
    const made = plan.flatMap((step) => (step.do === 'create' ? [step.resource] : []))
    const heldNow = made.filter(({ kind }) => applied.held.has(kind))
    const notes = await unlistedNote(client, heldNow, call)
    const { problems, retryable } = applied
    const done = { ...looked, resources, lacking, applied, problems, notes, retryable }
    if (client.listProves) return done

    const name = early ?? (await ownNameOf(client, wanted, call))
    if (name instanceof PublisherError) {
      const retry = retryable || name.retryable
      return { ...done, problems: [...problems, reasonOf(name)], retryable: retry, reachable: false }
    }
    // What it says is that node's: it is not pulled.
    if (isOther(name, target)) return misnamed(done, name)
    // That the sidecar took our endpoint is as good a proof.
    if (name !== undefined && applied.held.size > 0) await removeStale(client, situation, applied, call)
    return done
  }

  const removeOnce = async ({ target, journal, call, dryRun }: Try): Promise<Reconciled> => {
    const client = await registry.client(target, call)
    const situation: Situation = {
      node: target.node,
      facts: client,
      wanted: [],
      unpublished: [],
      ownName: undefined,
      held: await client.list(call),
      callback,
      configured,
    }
    const plan = removalPlanOf(situation)
    const looked = {
      ...unreconciled(target),
      dialect: client.dialect,
      reachable: true,
      plan,
      foreign: foreignIn(situation).length,
    }
    if (dryRun) return looked
    const before = await journal.document()
    const attempt = { client, journal, situation, before, isProven: true, call, log, clock }
    const applied = await applyPlan(attempt, plan)
    if (applied.failure !== undefined) throw applied.failure
    const [first] = plan.flatMap((step) => (step.do === 'remove' ? [step.subscription.address] : []))
    const mayDeliver = client.uniqueBy === 'resource' && applied.removed > 0 && first !== undefined
    const notes = mayDeliver && (await isInMemory(client, first, call)) ? [STILL_DELIVERED] : []
    return { ...looked, applied, problems: applied.problems, notes, retryable: applied.retryable }
  }

  /** What follows from a publisher that did not answer as it should. One that answers otherwise may have been upgraded. */
  const failedBy = (target: Target, error: PublisherError) => {
    const reachable = error.code === 'status' || error.code === 'body'
    if (reachable) registry.forget(target)
    return { problems: [reasonOf(error)], retryable: error.retryable, reachable }
  }

  const tryTwice = async (one: (attempt: Try) => Promise<Reconciled>, attempt: Try): Promise<Reconciled> => {
    const { target } = attempt
    const once = () =>
      one(attempt).catch((error: unknown) => {
        if (!(error instanceof PublisherError)) throw error
        return { ...unreconciled(target), ...failedBy(target, error) }
      })
    const wasKnown = registry.knows(target)
    const first = await once()
    if (!wasKnown || registry.knows(target)) return first
    // It does not answer as it did before: again at once, with its dialect detected again.
    const second = await once()
    return { ...second, applied: together(first.applied, second.applied) }
  }

  /** Logged when it changes: a publisher that is down for a day is not reported at every poll. */
  const report = ({ node, dialect, notes, problems, isMisnamed }: Reconciled, quiet: boolean) => {
    const problem = [...(quiet ? [] : problems), ...notes].join('; ')
    if (problem === (logged.get(node) ?? '')) return
    logged.set(node, problem)
    const fields = { node, dialect, problem }
    if (problem === '') log.info('subscriptions in sync again', fields)
    else if (isMisnamed) log.error('wrong node name: its publisher gives another', fields)
    else log.warn('subscriptions out of sync', fields)
  }

  const count = ({ outcome, applied }: Reconciled) => {
    metrics.reconciles.inc({ outcome: outcome === 'failed' ? 'failed' : 'ok' })
    const { created = [], adopted = [], restored = [], removed = 0 } = applied ?? {}
    metrics.subscriptions.inc({ action: 'created' }, created.length)
    metrics.subscriptions.inc({ action: 'adopted' }, adopted.length)
    metrics.subscriptions.inc({ action: 'restored' }, restored.length)
    metrics.subscriptions.inc({ action: 'removed' }, removed)
  }

  const run = async (target: Target, options: ReconcileOptions, isRemoval: boolean): Promise<Reconciled> => {
    const { dryRun = false, proof = 'unreachable', quiet = false, handOver = false, signal } = options
    const startedAt = clock.now()
    const journal = createJournal(deps, target.node)
    const attempt = { target, journal, call: { signal }, dryRun, proof }
    const tried = await tryTwice(isRemoval ? removeOnce : reconcileOnce, attempt)
    const { applied, problems, notes, resources } = tried
    const isFailed = problems.length > 0
    const found: Reconciled = {
      ...tried,
      outcome: isFailed ? 'failed' : dryRun ? 'planned' : 'ok',
      // Another try comes with another proof.
      retryable: (isFailed && tried.retryable) || (applied?.withheld ?? 0) > 0,
    }
    // We gave it up before it could have answered: what was known of it stands. One that had its time is silent.
    const isCut = signal?.aborted === true && !found.reachable && clock.now() - startedAt < ENOUGH_MS
    if (!isCut && !isRemoval) report(found, quiet)
    if (dryRun) return found
    count(found)
    if (isCut) {
      await journal.flush()
      return { ...found, reachable: undefined }
    }
    if (found.isMisnamed && (await journal.discard())) return { ...found, isNobody: true }
    const wanted = new Set(resources.map(({ kind }) => kind))
    const closing = await journal.finish({
      url: found.url,
      dialect: found.dialect,
      reachable: found.reachable === true,
      problem: isFailed || notes.length > 0 ? [...problems, ...notes].join('; ') : undefined,
      labels: target.labels,
      held: applied?.held ?? new Set(),
      // What could not be looked at stays on record: so it is known as lost when it is found gone.
      keeps: ({ kind }) => (isRemoval ? applied === undefined : wanted.size === 0 || wanted.has(kind)),
    })
    if (handOver) return { ...found, closing }
    await journal.write(closing)
    return found
  }

  return {
    reconcile: (target, options = {}) => run(target, options, false),
    remove: (target, options = {}) => run(target, options, true),

    async unstick(target, options = {}) {
      // Posting ours again lifts the publisher's mark; only then is there anything to release.
      const found = await run(target, { ...options, handOver: false }, false)
      if (found.dialect !== 'red-hat-v1') return found
      const { node, transport } = target
      const { signal } = options
      const problem = transport === undefined ? undefined : await flushSidecar(http, transport, { signal })
      const problems = problem === undefined ? found.problems : [...found.problems, problem]
      const outcome = problems.length === 0 ? 'ok' : 'failed'
      metrics.unsticks.inc({ outcome })
      const done = transport === undefined ? 're-subscribed' : 're-subscribed and flushed'
      log.warn(`${done} stuck sidecar`, { node, outcome, problems })
      return { ...found, problems, outcome: outcome === 'ok' ? found.outcome : 'failed' }
    },
  }
}

/** The kinds on record that are not to be asked for yet. What one dialect refused says nothing of another. */
function stillLacking(state: NodeState | undefined, client: Client, now: number): readonly Lacking[] {
  if (state?.publisher?.dialect !== client.dialect) return []
  const isRecent = ({ refusedAt }: Lacking) => Math.abs(now - milliseconds(refusedAt)) < ASK_AGAIN_MS
  return state.lacking?.filter(isRecent) ?? []
}

/**
 * The name of its node that a v1 publisher gives in a pull, that of `client` if it is among several: it answers pulls
 * of a wrong name with the real node's values, and never pushes (protocol.md §2.5). Undefined where it names none; an
 * error shows that the publisher behind the sidecar is not there.
 */
async function ownNameOf(
  client: Client,
  [first]: readonly Resource[],
  call: CallOptions,
): Promise<string | PublisherError | undefined> {
  if (first === undefined) return undefined
  try {
    const state = await client.currentState(first.address, call)
    const names = state.outcome === 'answered' ? nodesNamed(state.body) : []
    return names.includes(client.node) ? client.node : names[0]
  } catch (error) {
    if (error instanceof PublisherError) return error
    throw error
  }
}

function isOther(name: string | PublisherError | undefined, { node }: Target): name is string {
  return typeof name === 'string' && name !== node
}

/** What a wrong node name left at a sidecar can be told only now that the publisher's own name is certain. */
async function removeStale(
  client: Client,
  situation: Situation,
  applied: Applied,
  call: CallOptions,
): Promise<void> {
  const certain = { ...situation, ownName: situation.node }
  for (const held of situation.held) {
    if (ownerOf(held, situation) !== 'foreign' || ownerOf(held, certain) !== 'stale') continue
    if (await client.remove(held.id, call)) applied.removed += 1
  }
}

function misnamed(found: Reconciled, name: string): Reconciled {
  const problem = `the publisher at ${found.url} is that of node ${name}, configured as ${found.node}: set \`node\` to ${name}`
  return { ...found, resources: [], problems: [problem], isMisnamed: true }
}

import type { Callback } from '#shared/callback.ts'
import { PublisherError, reasonOf, tried } from '#shared/errors.ts'
import type { CallOptions, Http } from '#shared/http/client.ts'
import type { Log } from '#shared/log.ts'
import type { Metrics } from '#shared/metrics.ts'
import { nodesNamed } from '#shared/publishers/dialects/addresses.ts'
import type { Client, Dialect, Offer, Resource } from '#shared/publishers/dialects/client.ts'
import type { Registry } from '#shared/publishers/dialects/registry.ts'
import { placeOf, type Target } from '#shared/publishers/target.ts'
import type { NodeState } from '#shared/state/document.ts'
import { milliseconds } from '#shared/time.ts'
import { type Applied, applyPlan, blockedText, together } from './apply.ts'
import {
  type DocumentChange,
  createJournal,
  type Journal,
  type JournalDeps,
  type Lacking,
} from './journal.ts'
import { foreignIn, ownerOf, planOf, type Situation, type Step } from './plan.ts'
import type { Proof } from './proof.ts'
import { deliveredNote, flushSidecar, unlistedNote } from './unstick.ts'

export type ReconcileOptions = {
  readonly signal?: AbortSignal | undefined
  /** Unless it is `proven`, nothing is deleted; where it is `refused`, nothing is created either. */
  readonly proof?: Proof['outcome']
  /** Delete all of ours instead, whatever the proof. */
  readonly remove?: boolean
  /** Only find out what would be done: nothing is created, removed or written. */
  readonly dryRun?: boolean
  /** The caller reports `problems`, so they are not logged. Notes are. */
  readonly quiet?: boolean
  /** The caller writes the end of the run itself: see {@link Reconciled.closing}. */
  readonly handOver?: boolean
}

/** What became of one publisher. What is for people is one line each, redacted. */
export type Reconciled = {
  readonly node: string
  /** Redacted. */
  readonly url: string
  readonly dialect: Dialect | undefined
  /** `failed` also where only some of its subscriptions could not be made. */
  readonly outcome: 'ok' | 'planned' | 'failed'
  /** The wanted resources that it offers, for pulls; empty if unknown. */
  readonly resources: readonly Resource[]
  readonly plan: readonly Step[]
  /** What was done; undefined if nothing was. */
  readonly applied: Applied | undefined
  /** Whether it answered; undefined if the run was cut short before it could. */
  readonly reachable: boolean | undefined
  /** The kinds that its host lacks. Those whose pulls are `answers` are among `resources`. */
  readonly lacking: readonly Lacking[]
  /** How many subscriptions of other consumers it holds; they are left alone. */
  readonly foreign: number
  /** It failed or left old subscriptions, and a later try may succeed. */
  readonly retryable: boolean
  /** Why it failed. */
  readonly problems: readonly string[]
  /** What works but needs looking after. */
  readonly notes: readonly string[]
  /** The publisher gave another name than the configured one. */
  readonly isMisnamed?: boolean
  /** No node has this name: the publisher gave another, and nothing is on record under it. */
  readonly isNobody?: boolean
  /** The change that the caller has to write; only with `handOver`. */
  readonly closing?: DocumentChange
}

export type Reconciler = ReturnType<typeof createReconciler>

/** Publishers answer from memory: one that does not answer within this time is silent. Milliseconds. */
const ENOUGH_MS = 1_000

/** A kind that the host lacks is tried again after this: hosts get hardware, publishers upgrades. Milliseconds. */
const ASK_AGAIN_MS = 3_600_000

const NOTHING_WANTED: Offer = { outcome: 'offered', resources: [], unpublished: [], node: undefined }

/** The result for a publisher before anything was asked. */
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
 * change from run to run. Once in a process.
 */
export function createReconciler(
  deps: JournalDeps & { http: Http; registry: Registry; callback: Callback; log: Log; metrics: Metrics },
  { kinds, configured }: { kinds: readonly string[]; configured: ReadonlySet<string> },
) {
  const { http, registry, callback, log, clock } = deps
  const subscriptions = deps.metrics.counter({
    name: 'ptp_watch_subscriptions_total',
    help: 'Subscriptions of PTP Watch that were created, adopted, restored after a loss, or removed.',
    labels: { action: ['created', 'adopted', 'restored', 'removed'] },
  })
  const unsticks = deps.metrics.counter({
    name: 'ptp_watch_sidecar_unsticks_total',
    help: 'Stuck v1 sidecars that were re-subscribed and flushed.',
    labels: { outcome: ['ok', 'failed'] },
  })
  const reconciles = deps.metrics.counter({
    name: 'ptp_watch_reconciles_total',
    help: 'Reconciliations of the subscriptions at one publisher.',
    labels: { outcome: ['ok', 'failed'] },
  })
  /** By node: the problem last logged. */
  const logged = new Map<string, string>()

  /** One try at one publisher. Throws PublisherError where it does not answer as it should. */
  const tryOnce = async (target: Target, journal: Journal, options: ReconcileOptions) => {
    const { node } = target
    const { signal, proof, remove = false, dryRun = false } = options
    const call = { signal }
    const client = await registry.client(target, call)
    let found: Reconciled = { ...unreconciled(target), dialect: client.dialect, reachable: true }
    const [offer, held] = await Promise.all([
      remove ? NOTHING_WANTED : client.offer(kinds, call),
      client.list(call),
    ])
    if (offer.outcome === 'not-ready') return { ...found, problems: [offer.reason], retryable: true }
    if (isOther(offer.node, target)) return misnamed(found, offer.node)

    const before = await journal.document()
    const known = remove ? [] : stillLacking(before, client, clock.now())
    const resources = offer.resources.filter(({ kind }) => !known.some((one) => one.kind === kind))
    const situation: Situation = {
      ...{ node, facts: client, ownName: offer.node, callback, configured, held, wanted: resources },
      unpublished: [...offer.unpublished, ...known.map(({ kind }) => kind)],
    }
    const plan = planOf(situation)
    found = { ...found, resources, plan, lacking: known, foreign: foreignIn(situation).length }
    // A sidecar with subscriptions answers pulls: check the name of its node before changing anything.
    const early =
      client.listProves || held.length === 0 ? undefined : await ownNameOf(client, resources, call)
    if (isOther(early, target)) return misnamed(found, early)
    if (dryRun) {
      const blocked = plan.filter((step) => step.do === 'blocked')
      return { ...found, problems: blocked.map(({ resource, by }) => blockedText(resource, by.endpoint)) }
    }
    // Ingest would reject the token of anything created now; what is there may well work.
    if (proof === 'refused' && !remove) return found

    const isProven = remove || proof === 'proven'
    const applied = await applyPlan({ client, journal, situation, isProven, call, log, clock }, plan)
    const { failure, problems, retryable } = applied
    // It can still be pulled: `resources` stay.
    if (failure !== undefined) return failed({ ...found, applied, problems }, target, failure)
    found = { ...found, applied, problems, retryable }
    if (remove) return { ...found, notes: await deliveredNote(client, plan, applied.removed, call) }

    const lacking = [...known, ...applied.lacking]
    if (applied.lacking.length > 0) journal.note((state) => ({ ...state, lacking }))
    const made = plan.flatMap((step) =>
      step.do === 'create' && applied.held.has(step.resource.kind) ? [step.resource] : [],
    )
    found = {
      ...found,
      // Lacking kinds that answer pulls are still pulled: that shows when the host gets its first such clock.
      resources: offer.resources.filter(({ kind }) =>
        lacking.every((one) => one.kind !== kind || one.answers),
      ),
      lacking,
      notes: await unlistedNote(client, made, call),
    }
    if (client.listProves) return found

    const name = early ?? (await ownNameOf(client, situation.wanted, call))
    if (name instanceof PublisherError) {
      const isRetryable = retryable || name.retryable
      return { ...found, problems: [...problems, reasonOf(name)], retryable: isRetryable, reachable: false }
    }
    // Its readings are those of another node: it is not pulled.
    if (isOther(name, target)) return misnamed(found, name)
    // The sidecar has just checked our endpoint, which proves our callback.
    if (name !== undefined && applied.held.size > 0) await removeStale(client, situation, applied, call)
    return found
  }

  /** A publisher that did not answer as it should. One that answers otherwise may have been upgraded. */
  const failed = (found: Reconciled, target: Target, error: PublisherError): Reconciled => {
    const reachable = error.code === 'status' || error.code === 'body'
    if (reachable) registry.forget(target)
    const problems = [...found.problems, reasonOf(error)]
    return { ...found, problems, retryable: error.retryable, reachable }
  }

  const tryTwice = async (target: Target, journal: Journal, options: ReconcileOptions) => {
    const once = async () => {
      const one = await tried(tryOnce(target, journal, options))
      return one instanceof PublisherError ? failed(unreconciled(target), target, one) : one
    }
    const wasKnown = registry.knows(target)
    const first = await once()
    if (!wasKnown || registry.knows(target)) return first
    // It no longer answers as before: try again at once, and detect its dialect again.
    const second = await once()
    return { ...second, applied: together(first.applied, second.applied) }
  }

  /** Logs only changes: a publisher that is down for a day is not reported at every poll. */
  const report = ({ node, dialect, notes, problems, isMisnamed }: Reconciled, quiet: boolean) => {
    const problem = [...(quiet ? [] : problems), ...notes].join('; ')
    if (problem === (logged.get(node) ?? '')) return
    logged.set(node, problem)
    const fields = { node, dialect, problem }
    if (problem === '') log.info('subscriptions in sync again', fields)
    else if (isMisnamed) log.error('wrong node name: the publisher reports another', fields)
    else log.warn('subscriptions out of sync', fields)
  }

  /**
   * Creates, repairs and removes our subscriptions at one publisher. Idempotent. Throws StoreError, never
   * PublisherError.
   */
  const reconcile = async (target: Target, options: ReconcileOptions = {}): Promise<Reconciled> => {
    const { remove = false, dryRun = false, quiet = false, handOver = false, signal } = options
    const startedAt = clock.now()
    const journal = createJournal(deps, target.node, target.labels)
    const attempted = await tryTwice(target, journal, options)
    const { applied, problems, notes, resources } = attempted
    const isFailed = problems.length > 0
    const found: Reconciled = {
      ...attempted,
      outcome: isFailed ? 'failed' : dryRun ? 'planned' : 'ok',
      // The next try may find our callback proven.
      retryable: (isFailed && attempted.retryable) || (applied?.withheld ?? 0) > 0,
    }
    // The run was cut short before the publisher could have answered: what was known of it stands.
    const isCut = signal?.aborted === true && !found.reachable && clock.now() - startedAt < ENOUGH_MS
    if (!isCut && !remove) report(found, quiet)
    if (dryRun) return found
    reconciles.inc({ outcome: isFailed ? 'failed' : 'ok' })
    for (const action of ['created', 'adopted', 'restored'] as const) {
      subscriptions.inc({ action }, applied?.[action].length ?? 0)
    }
    subscriptions.inc({ action: 'removed' }, applied?.removed ?? 0)
    if (isCut) {
      await journal.flush()
      return { ...found, reachable: undefined }
    }
    if (found.isMisnamed && (await journal.discard())) return { ...found, isNobody: true }
    const wanted = new Set(resources.map(({ kind }) => kind))
    // What could not be checked stays on record, so that a later run can tell that it was lost.
    const isUnknown = remove ? applied === undefined || applied.failure !== undefined : wanted.size === 0
    const closing = journal.closing({
      url: found.url,
      dialect: found.dialect,
      reachable: found.reachable === true,
      problem: isFailed || notes.length > 0 ? [...problems, ...notes].join('; ') : undefined,
      labels: target.labels,
      held: applied?.held ?? new Set(),
      keeps: ({ kind }) => isUnknown || wanted.has(kind),
    })
    if (!handOver) journal.note(closing)
    await journal.flush()
    return handOver ? { ...found, closing } : found
  }

  return {
    reconcile,

    /**
     * For a v1 sidecar that has fallen silent while its pulls show changes: posts all subscriptions of ours again,
     * which lifts the publisher's mark, and flushes what it holds back where its transport address is configured
     * (protocol.md §2.6). For other dialects the same as `reconcile`.
     */
    async unstick(target: Target, options: ReconcileOptions = {}): Promise<Reconciled> {
      const found = await reconcile(target, { ...options, handOver: false })
      if (found.dialect !== 'red-hat-v1') return found
      const { node, transport } = target
      const { signal } = options
      const problem = transport === undefined ? undefined : await flushSidecar(http, transport, { signal })
      const problems = problem === undefined ? found.problems : [...found.problems, problem]
      const outcome = problems.length === 0 ? 'ok' : 'failed'
      unsticks.inc({ outcome })
      const done = transport === undefined ? 're-subscribed' : 're-subscribed and flushed'
      log.warn(`${done} stuck sidecar`, { node, outcome, problems })
      return { ...found, problems, outcome: outcome === 'ok' ? found.outcome : 'failed' }
    },
  }
}

/** The recorded kinds that are not to be tried yet; they count for the dialect that refused them only. */
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
  const state = await tried(client.currentState(first.address, call))
  if (state instanceof PublisherError) return state
  const names = state.outcome === 'answered' ? nodesNamed(state.body) : []
  return names.includes(client.node) ? client.node : names[0]
}

function isOther(name: string | PublisherError | undefined, { node }: Target): name is string {
  return typeof name === 'string' && name !== node
}

/** Removes what a wrong node name left behind: the publisher's own name must be certain for that. */
async function removeStale(client: Client, situation: Situation, applied: Applied, call: CallOptions) {
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

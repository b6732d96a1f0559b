import { PublisherError, reasonOf } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import type { NodeState } from '#shared/state/document.ts'
import { type Clock, isoTime } from '#shared/time.ts'
import type { CallOptions, Client, HeldSubscription, Resource } from '#shared/publishers/dialects/client.ts'
import { emptinessOf, type Lacking, type Refusal } from './lacking.ts'
import type { Situation, Step } from './plan.ts'
import type { Record } from './journal.ts'
import { redact } from '#shared/redact.ts'
import { requestOne } from './request-one.ts'
import type { Proof } from './proof.ts'
import { isSyncE } from '#shared/publishers/dialects/addresses.ts'

/** What applying a plan has done, by kinds, and what went wrong. */
export type Applied = {
  readonly created: string[]
  readonly adopted: string[]
  readonly refreshed: string[]
  readonly restored: string[]
  /** Kinds that are there for certain now. */
  readonly held: Set<string>
  /** Kinds that the publisher refused while it took others, and that its host turned out to lack. */
  readonly lacking: Lacking[]
  /** Subscriptions taken away. */
  removed: number
  /** Subscriptions that were to be taken away, and stay until our callback is proven. */
  withheld: number
  /** For people, redacted. */
  readonly problems: string[]
  /** The publisher is warming up or our endpoint is not up yet: a later try may succeed. */
  again: boolean
  /** Why it was given up before the end. */
  failure?: PublisherError
}

/** What two tries of one run have done; what holds now is what the later one found. */
export function together(earlier: Applied | undefined, later: Applied | undefined): Applied | undefined {
  if (earlier === undefined || later === undefined) return later ?? earlier
  const union = (list: 'created' | 'adopted' | 'refreshed' | 'restored') => [
    ...new Set([...earlier[list], ...later[list]]),
  ]
  const created = union('created')
  return {
    ...later,
    created,
    adopted: union('adopted').filter((kind) => !created.includes(kind)),
    refreshed: union('refreshed'),
    restored: union('restored'),
    removed: earlier.removed + later.removed,
  }
}

export type ApplyDeps = {
  readonly client: Client
  readonly record: Record
  readonly log: Log
  readonly clock: Clock
  /** The node's document, and whether it was read just now or is only remembered. */
  readonly before: NodeState | undefined
  readonly isFresh: boolean
  /** Whether our callback answers. Without that nothing is deleted (design.md §5). */
  readonly proof: Proof['outcome']
}

/** Steps in a row that failed and together took this long: the next would too (an endpoint that nobody reaches). */
const LOST_MS = 10_000

/**
 * Carries out a plan. Creates go one after another: each makes the publisher post to us before it answers. What it
 * refuses of one kind says nothing of the others, so they are asked for all the same. It ends with `failure` if the
 * publisher stops answering, or took nothing at all; what was done until then is on record with `record`'s next write.
 */
export async function applyPlan(
  deps: ApplyDeps,
  plan: readonly Step[],
  situation: Situation,
  call: CallOptions,
): Promise<Applied> {
  const { client, record, log, clock, before: document } = deps
  let known = idsOn(document)
  let certain = deps.isFresh
  const applied: Applied = {
    created: [],
    adopted: [],
    refreshed: [],
    restored: [],
    held: new Set(),
    lacking: [],
    removed: 0,
    withheld: 0,
    problems: [],
    again: false,
  }

  let isProven = deps.proof === 'proven'
  /** A v1 sidecar tries the endpoint itself, from where it matters, and wants the same 204 before it answers 201. */
  const onTaken = () => {
    if (client.uniqueBy === 'resource') isProven = true
  }

  /** False where it was withheld. */
  const remove = async (subscription: HeldSubscription, why: string): Promise<boolean> => {
    if (!isProven) {
      applied.withheld += 1
      return false
    }
    if (!(await client.remove(subscription.id, call))) return true
    applied.removed += 1
    const { id, address } = subscription
    log.info('Subscription removed', {
      node: client.node,
      id,
      address,
      endpoint: redact(subscription.endpoint),
      why,
    })
    return true
  }

  /** True if it is the one on record. */
  const hold = async ({ kind, address }: Resource, id: string, endpoint: string): Promise<boolean> => {
    applied.held.add(kind)
    if (known.get(kind) === id) return true
    if (!certain) {
      // Another keeper may have put it on record since.
      known = idsOn(await record.read())
      certain = true
    }
    const before = known.get(kind)
    if (before === id) return true
    const gone = before !== undefined && !situation.held.some((held) => held.id === before)
    record.held({ kind, address, id, endpoint }, { restored: gone })
    if (gone) {
      applied.restored.push(kind)
      log.warn('The publisher had lost a subscription of ours; it was made anew', { node: client.node, kind })
    }
    return false
  }

  const refusals: Refusal[] = []

  const withoutLacking = async (all: readonly Refusal[]): Promise<Refusal[]> => {
    const others: Refusal[] = []
    for (const refusal of all) {
      const { kind } = refusal.resource
      const isTaking = [applied.created, applied.adopted, applied.refreshed].some(({ length }) => length > 0)
      const isKnown = isSyncE(kind) || (document?.lacking?.some((one) => one.kind === kind) ?? false)
      const found =
        applied.held.size === 0 ? undefined : await emptinessOf(client, refusal, isTaking || isKnown, call)
      if (found === undefined) others.push(refusal)
      else applied.lacking.push({ kind, refusedAt: isoTime(clock.now()), answers: found.answers })
    }
    return others
  }

  let isTried = false
  /**
   * Lets a v1 sidecar try the endpoint before anything goes. By a resource of its own: a second POST for ours would
   * leave the old one in its memory for good (protocol.md §2.4).
   */
  const tryEndpoint = async (endpoint: string): Promise<void> => {
    if (isTried) return
    const probe = await client.create({ address: `/cluster/node/${client.node}/ptp-watch`, endpoint }, call)
    if (probe.outcome === 'created' || probe.outcome === 'foreign') await client.remove(probe.id, call)
    isTried = true
    onTaken()
  }

  const create = async (resource: Resource, endpoint: string, replaces?: HeldSubscription): Promise<void> => {
    const { kind } = resource
    if (replaces !== undefined) {
      await tryEndpoint(endpoint)
      if (!(await remove(replaces, 'replaced'))) return
    }
    const asked = await requestOne({ client, record, situation, remove, onTaken }, resource, endpoint, call)
    switch (asked.outcome) {
      case 'created':
        if (!(await hold(resource, asked.id, endpoint))) {
          applied.created.push(kind)
          return
        }
        applied.refreshed.push(kind)
        return
      case 'adopted':
        await hold(resource, asked.id, endpoint)
        applied.adopted.push(kind)
        return
      case 'blocked':
        applied.problems.push(blocked(resource, asked.endpoint))
        return
      case 'withheld':
        return
      case 'refused':
        refusals.push({ resource, reason: asked.reason })
        return
      case 'not-ready':
        refusals.push({ resource, reason: asked.reason, isNotTaken: true })
        return
    }
  }

  const take = async (step: Step): Promise<void> => {
    switch (step.do) {
      case 'remove':
        await remove(step.subscription, step.why)
        return
      case 'keep':
        if (step.refresh) return await create(step.resource, step.endpoint)
        if (!(await hold(step.resource, step.id, step.endpoint))) applied.adopted.push(step.resource.kind)
        return
      case 'create':
        return await create(step.resource, step.endpoint, step.replaces)
      case 'blocked':
        applied.problems.push(blocked(step.resource, step.by.endpoint))
        return
      case 'retire':
        if (applied.held.has(step.successor.kind)) await remove(step.subscription, 'replaced')
        return
    }
  }

  let inRow = 0
  let sinceMs = clock.now()
  for (const step of inOrder(plan, isProven)) {
    try {
      await take(step)
      inRow = 0
      sinceMs = clock.now()
    } catch (error) {
      if (!(error instanceof PublisherError)) throw error
      inRow += 1
      if (step.do === 'create' || step.do === 'keep')
        refusals.push({ ...step, reason: reasonOf(error), error })
      else if (step.do !== 'blocked') {
        applied.problems.push(`${step.subscription.address} could not be removed: ${reasonOf(error)}`)
        applied.again ||= error.retryable
      }
      const isSilent = error.status === undefined && (inRow > 1 || call.signal?.aborted === true)
      if (isSilent) applied.failure = error
      if (isSilent || (inRow > 1 && clock.now() - sinceMs >= LOST_MS)) break
    }
  }

  // What comes from now on is a push: the last create is answered, and no other one follows to write it.
  if (applied.created.length + applied.refreshed.length > 0) await record.flush()
  if (applied.failure !== undefined) return applied
  const others = await withoutLacking(refusals)
  const hard = others.find(({ error }) => error !== undefined && error.status !== 400)
  if (applied.held.size === 0 && hard?.error !== undefined) return { ...applied, failure: hard.error }
  applied.problems.push(...linesOf(others))
  applied.again ||= others.some(
    ({ error, isNotTaken }) => isNotTaken === true || error?.retryable === true || error?.status === 400,
  )
  return applied
}

/** The ids of the subscriptions on record, by kind. */
function idsOn(state: NodeState | undefined): ReadonlyMap<string, string> {
  return new Map(state?.subscriptions.map((held) => [held.kind, held.id]))
}

/**
 * SyncE after the other creates: by then it is known whether the publisher takes any. Deletions that are not allowed
 * yet after all creates, which may prove our callback.
 */
function inOrder(plan: readonly Step[], isProven: boolean): Step[] {
  const rank = (step: Step) => {
    if (step.do === 'remove') return isProven ? 0 : 3
    if (step.do === 'retire') return 3
    return isSyncE(step.resource.kind) ? 2 : 1
  }
  return plan.toSorted((a, b) => rank(a) - rank(b))
}

/** One line for all that were refused alike; a refusal with 400 is mostly of our endpoint. */
function linesOf(refusals: readonly Refusal[]): string[] {
  const alike = Map.groupBy(refusals, ({ error, reason }) => error?.status ?? error?.code ?? reason)
  return [...alike.values()].flatMap((same) => {
    const [first] = same
    if (first === undefined) return []
    const { reason, error, endpoint = '' } = first
    const hint =
      error?.status === 400 ? ` – it must reach ${redact(endpoint)} and get 204 from it in time` : ''
    return [`${same.map(({ resource }) => resource.kind).join(' ')}: ${reason}${hint}`]
  })
}

/** What to tell people of a resource that a stranger has taken (v1). */
export function blocked({ kind }: Resource, endpoint: string): string {
  const whose =
    endpoint === '' ? 'without an endpoint (its events are only logged)' : `of ${redact(endpoint)}`
  return `${kind}: the sidecar holds a subscription ${whose}, and has one for each resource: remove it there, or use a sidecar of our own`
}

import { PublisherError, reasonOf } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import type { NodeState } from '#shared/state/node-state.ts'
import type { CallOptions, Client, HeldSubscription, Resource } from './client.ts'
import type { Situation, Step } from './plan.ts'
import type { Record } from './record.ts'
import { redact } from './redact.ts'
import { requestOne } from './request-one.ts'
import { isSyncE } from './resources.ts'

/** What applying a plan has done, by kinds, and what went wrong. */
export type Applied = {
  readonly created: string[]
  readonly adopted: string[]
  readonly refreshed: string[]
  readonly restored: string[]
  /** Kinds that are there for certain now. */
  readonly held: Set<string>
  /** SyncE of a release that publishes it but takes no subscription to it. */
  readonly unsupported: string[]
  /** Subscriptions taken away. */
  removed: number
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
}

/**
 * Carries out a plan. Creates go one after another: each makes the publisher post to us before it answers. It ends
 * with `failure` if the publisher stops answering as it should; what was done until then is on record with `record`'s
 * next write.
 */
export async function applyPlan(
  deps: ApplyDeps,
  plan: readonly Step[],
  situation: Situation,
  call: CallOptions,
): Promise<Applied> {
  const { client, record, log } = deps
  const remembered = record.remembered()
  let known = idsOn(remembered ?? (await record.read()))
  let certain = remembered === undefined
  const applied: Applied = {
    created: [],
    adopted: [],
    refreshed: [],
    restored: [],
    held: new Set(),
    unsupported: [],
    removed: 0,
    problems: [],
    again: false,
  }

  const remove = async (subscription: HeldSubscription, why: string) => {
    if (!(await client.remove(subscription.id, call))) return
    applied.removed += 1
    const { id, address } = subscription
    log.info('Subscription removed', {
      node: client.node,
      id,
      address,
      endpoint: redact(subscription.endpoint),
      why,
    })
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

  const create = async (resource: Resource, endpoint: string): Promise<void> => {
    const { kind } = resource
    const asked = await requestOne({ client, record, situation, remove }, resource, endpoint, call)
    switch (asked.outcome) {
      case 'created':
        if (!(await hold(resource, asked.id, endpoint))) {
          applied.created.push(kind)
          return
        }
        applied.refreshed.push(kind)
        if (client.sendsInitial) record.answered(kind)
        return
      case 'adopted':
        await hold(resource, asked.id, endpoint)
        applied.adopted.push(kind)
        return
      case 'blocked':
        applied.problems.push(blocked(resource, asked.endpoint))
        return
      case 'refused':
        applied.problems.push(`${kind}: ${asked.reason}`)
        return
      case 'not-ready':
        // That others are taken shows that the publisher is not just warming up.
        if (isSyncE(kind) && applied.held.size > 0) {
          applied.unsupported.push(kind)
          return
        }
        applied.problems.push(`${kind}: ${asked.reason}`)
        applied.again = true
        return
    }
  }

  /** False if the steps after it would come to nothing either. */
  const take = async (step: Step): Promise<boolean> => {
    switch (step.do) {
      case 'remove':
        await remove(step.subscription, step.why)
        return true
      case 'keep':
        if (step.refresh)
          return !(await refused(() => create(step.resource, step.endpoint), step.endpoint, applied))
        if (!(await hold(step.resource, step.id, step.endpoint))) applied.adopted.push(step.resource.kind)
        return true
      case 'create':
        return !(await refused(() => create(step.resource, step.endpoint), step.endpoint, applied))
      case 'blocked':
        applied.problems.push(blocked(step.resource, step.by.endpoint))
        return true
      case 'retire':
        if (applied.held.has(step.successor.kind)) await remove(step.subscription, 'replaced')
        return true
    }
  }

  try {
    for (const step of inOrder(plan)) if (!(await take(step))) break
  } catch (error) {
    if (!(error instanceof PublisherError)) throw error
    applied.failure = error
  }
  return applied
}

/** The ids of the subscriptions on record, by kind. */
function idsOn(state: NodeState | undefined): ReadonlyMap<string, string> {
  return new Map(state?.subscriptions.map((held) => [held.kind, held.id]))
}

/** SyncE after the other creates: by then it is known whether the publisher takes any. */
function inOrder(plan: readonly Step[]): Step[] {
  const rank = (step: Step) => {
    if (step.do === 'remove') return 0
    if (step.do === 'retire') return 3
    return isSyncE(step.resource.kind) ? 2 : 1
  }
  return plan.toSorted((a, b) => rank(a) - rank(b))
}

/**
 * A create that was refused (400): the publisher could not post to our endpoint, and could not for the next resource
 * either. Anything else that fails goes on to the caller.
 */
async function refused(create: () => Promise<void>, endpoint: string, applied: Applied): Promise<boolean> {
  try {
    await create()
    return false
  } catch (error) {
    if (!(error instanceof PublisherError) || error.status !== 400) throw error
    applied.problems.push(
      `${reasonOf(error)} – it must reach ${redact(endpoint)} and get 204 from it in time`,
    )
    applied.again = true
    return true
  }
}

/** What to tell people of a resource that a stranger has taken (v1). */
export function blocked({ kind }: Resource, endpoint: string): string {
  const whose =
    endpoint === '' ? 'without an endpoint (its events are only logged)' : `of ${redact(endpoint)}`
  return `${kind}: the sidecar holds a subscription ${whose}, and has one for each resource: remove it there, or use a sidecar of our own`
}

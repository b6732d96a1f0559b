import { PublisherError, reasonOf } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import type { CallOptions, Client, HeldSubscription, Resource } from './client.ts'
import { ownerOf, type Situation, type Step } from './plan.ts'
import type { Record } from './record.ts'
import { redact } from './redact.ts'
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
}

export type ApplyDeps = {
  readonly client: Client
  readonly record: Record
  readonly log: Log
}

/**
 * Carries out a plan. Creates go one after another: each makes the publisher post to us before it answers.
 * @throws PublisherError if the publisher stops answering; what was done until then is on record.
 */
export async function applyPlan(
  deps: ApplyDeps,
  plan: readonly Step[],
  situation: Situation,
  call: CallOptions,
): Promise<Applied> {
  const { client, record, log } = deps
  const known = new Map((await record.read())?.subscriptions.map((held) => [held.kind, held.id]))
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

  const hold = async ({ kind, address }: Resource, id: string, endpoint: string) => {
    const before = known.get(kind)
    const gone = before !== undefined && before !== id && !situation.held.some((held) => held.id === before)
    if (before !== id || gone) await record.held({ kind, address, id, endpoint }, { restored: gone })
    applied.held.add(kind)
    if (gone) {
      applied.restored.push(kind)
      log.warn('The publisher had lost a subscription of ours; it was made anew', { node: client.node, kind })
    }
    return before === id
  }

  const post = async ({ kind, address }: Resource, endpoint: string) => {
    const requestedAt = client.sendsInitial ? await record.pending(kind) : undefined
    try {
      const created = await client.create({ address, endpoint }, call)
      if (requestedAt !== undefined) await record.answered(kind, requestedAt)
      return created
    } catch (error) {
      // Without an answer the publisher may still be creating: the entry stands until it dies of age.
      const answered = error instanceof PublisherError && error.status !== undefined
      if (answered && requestedAt !== undefined) await record.answered(kind, requestedAt)
      throw error
    }
  }

  const create = async (resource: Resource, endpoint: string, tries = 2): Promise<void> => {
    const created = await post(resource, endpoint)
    switch (created.outcome) {
      case 'created': {
        const same = await hold(resource, created.id, endpoint)
        if (same) applied.refreshed.push(resource.kind)
        else applied.created.push(resource.kind)
        return
      }
      case 'exists': {
        const equal = (await client.list(call)).find(
          (held) => held.address === resource.address && held.endpoint === endpoint,
        )
        if (equal === undefined) {
          const said = created.reason === '' ? '' : `: ${created.reason}`
          applied.problems.push(
            `${resource.kind}: it says that there is one already (409) but lists none${said}`,
          )
          return
        }
        await hold(resource, equal.id, endpoint)
        applied.adopted.push(resource.kind)
        return
      }
      case 'foreign': {
        const other = { ...created, address: resource.address }
        if (ownerOf(other, situation) !== 'stranger' && tries > 1) {
          await remove(other, 'replaced')
          return await create(resource, endpoint, tries - 1)
        }
        applied.problems.push(blocked(resource, created.endpoint))
        return
      }
      case 'not-ready':
        if (isSyncE(resource.kind) && applied.held.size > 0) applied.unsupported.push(resource.kind)
        else {
          applied.problems.push(`${resource.kind}: ${created.reason}`)
          applied.again = true
        }
        return
    }
  }

  for (const step of inOrder(plan)) {
    switch (step.do) {
      case 'remove':
        await remove(step.subscription, step.why)
        break
      case 'keep':
        if (step.refresh) {
          if (await refused(() => create(step.resource, step.endpoint), step.endpoint, applied))
            return applied
        } else if (!(await hold(step.resource, step.id, step.endpoint)))
          applied.adopted.push(step.resource.kind)
        break
      case 'create':
        if (await refused(() => create(step.resource, step.endpoint), step.endpoint, applied)) return applied
        break
      case 'blocked':
        applied.problems.push(blocked(step.resource, step.by.endpoint))
        break
      case 'retire':
        if (applied.held.has(step.successor.kind)) await remove(step.subscription, 'replaced')
        break
    }
  }
  return applied
}

/** SyncE last: that other resources are taken shows that its 404 is not the publisher's warming up. */
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

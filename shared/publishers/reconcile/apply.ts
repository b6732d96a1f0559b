import { PublisherError, reasonOf, tried } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import { isSyncE } from '#shared/publishers/dialects/addresses.ts'
import type { CallOptions } from '#shared/http/client.ts'
import type {
  Client,
  Created,
  CurrentState,
  HeldSubscription,
  Resource,
} from '#shared/publishers/dialects/client.ts'
import { redact } from '#shared/redact.ts'
import { type Clock, isoTime } from '#shared/time.ts'
import type { Journal, Lacking } from './journal.ts'
import { ownerOf, type Situation, type Step } from './plan.ts'

/** What applying a plan did, by kind, and what went wrong. */
export type Applied = {
  readonly created: string[]
  readonly adopted: string[]
  readonly refreshed: string[]
  readonly restored: string[]
  /** Kinds whose subscriptions are certainly there now. */
  readonly held: Set<string>
  /** Kinds that the publisher refused while it accepted others: its host does not have them. */
  readonly lacking: Lacking[]
  removed: number
  /** Subscriptions not deleted because our callback is not proven. */
  withheld: number
  /** For people, redacted. */
  readonly problems: string[]
  /** The publisher is still starting, or our endpoint is not up yet: a later try may succeed. */
  retryable: boolean
  /** Why it was abandoned. */
  failure?: PublisherError
}

/** The results of two tries in one run together; the later one says what is there now. */
export function together(earlier: Applied | undefined, later: Applied | undefined): Applied | undefined {
  if (earlier === undefined || later === undefined) return later ?? earlier
  const union = (list: 'created' | 'adopted' | 'refreshed' | 'restored') => [
    ...new Set([...earlier[list], ...later[list]]),
  ]
  const created = union('created')
  const adopted = union('adopted').filter((kind) => !created.includes(kind))
  const removed = earlier.removed + later.removed
  return { ...later, created, adopted, refreshed: union('refreshed'), restored: union('restored'), removed }
}

/** One try at one publisher. */
type Attempt = {
  readonly client: Client
  readonly journal: Journal
  readonly situation: Situation
  /** Our callback answers. Otherwise nothing is deleted (design.md §5). */
  readonly isProven: boolean
  readonly call: CallOptions
  readonly log: Log
  readonly clock: Clock
}

/** A create that came to nothing. `reason` is for people, redacted. `isNotTaken`: it was answered 404. */
type Refusal = {
  readonly resource: Resource
  readonly reason: string
  readonly error?: PublisherError
  readonly isNotTaken?: boolean
}

/** The publisher is given up after several failed steps in a row that took this long together. Milliseconds. */
const LOST_MS = 10_000

/** A v1 sidecar that has a subscription in memory twice delivers to it until it restarts (protocol.md §2.4). */
const STUCK =
  'the sidecar has deleted our previous subscription but still delivers to its endpoint from memory: restart the sidecar (its pod); the next poll or subscribe then creates the new one. Keep the previous CALLBACK_SECRET as the second value until then'

/**
 * Carries out a plan. Creates go one after another: each makes the publisher post to us before it answers. One refused
 * kind does not stop the others. Ends with `failure` if the publisher stops answering or accepts nothing at all; what
 * was done until then is recorded with the next write.
 */
export async function applyPlan(attempt: Attempt, plan: readonly Step[]): Promise<Applied> {
  const { client, journal, situation, call, log, clock } = attempt
  const { node } = client
  const endpoint = situation.callback.endpointFor(node)
  let { isProven } = attempt
  let isEndpointTried = false
  const refusals: Refusal[] = []
  const applied: Applied = {
    ...{ created: [], adopted: [], refreshed: [], restored: [], held: new Set(), lacking: [] },
    ...{ removed: 0, withheld: 0, problems: [], retryable: false },
  }

  /** False if it was withheld. */
  const remove = async (subscription: HeldSubscription, why: string): Promise<boolean> => {
    if (!isProven) {
      applied.withheld += 1
      return false
    }
    const { id, address, endpoint: theirs } = subscription
    if (await client.remove(id, call)) {
      applied.removed += 1
      log.info('subscription removed', { node, id, address, endpoint: redact(theirs), why })
    }
    return true
  }

  /** True if it is the one on record. */
  const hold = async ({ kind, address }: Resource, id: string): Promise<boolean> => {
    applied.held.add(kind)
    const before = await journal.idOnRecord(kind, id)
    if (before === id) return true
    const restored = before !== undefined && !situation.held.some((held) => held.id === before)
    journal.held({ kind, address, id, endpoint }, { restored })
    if (restored) {
      applied.restored.push(kind)
      log.warn('publisher had lost our subscription; recreated', { node, kind })
    }
    return false
  }

  /** A v1 sidecar answers 201 only after our endpoint gave it a 204, which proves our callback. */
  const taken = (created: Created) => {
    if ('id' in created && client.uniqueBy === 'resource') isProven = true
  }

  /**
   * Asks for one subscription. While the publisher may be posting its initial notification, the node has the kind as
   * pending (design.md §3, rule 9).
   */
  const post = async ({ kind, address }: Resource): Promise<Created> => {
    if (client.sendsInitial) await journal.pending(kind, client.queryTime)
    const created = await tried(client.create({ address, endpoint }, call))
    const isFailed = created instanceof PublisherError
    // Without an answer the publisher may still be creating: the entry stands until it expires.
    if (client.sendsInitial && !(isFailed && created.status === undefined)) {
      journal.answered(kind, { sentInitial: !isFailed && created.outcome === 'created' })
    }
    if (isFailed) throw created
    taken(created)
    return created
  }

  /**
   * Makes a v1 sidecar try the endpoint before anything is removed, by a resource made up for it: a second POST for a
   * real one would leave the old subscription in its memory for good (protocol.md §2.4).
   */
  const tryEndpoint = async () => {
    if (isEndpointTried) return
    const probe = await client.create({ address: `/cluster/node/${node}/ptp-watch`, endpoint }, call)
    if ('id' in probe) await client.remove(probe.id, call)
    isEndpointTried = true
    taken(probe)
  }

  const create = async (resource: Resource, replaces?: HeldSubscription): Promise<unknown> => {
    const { kind, address } = resource
    if (replaces !== undefined) {
      await tryEndpoint()
      if (!(await remove(replaces, 'replaced'))) return
    }
    const isOldOne = (created: Created) =>
      created.outcome === 'foreign' && ownerOf({ ...created, address }, situation) !== 'foreign'
    let created = await post(resource)
    if (created.outcome === 'foreign' && isOldOne(created)) {
      if (!(await remove({ ...created, address }, 'replaced'))) return
      created = await post(resource)
      if (isOldOne(created)) return refusals.push({ resource, reason: STUCK })
    }
    switch (created.outcome) {
      case 'created':
        return applied[(await hold(resource, created.id)) ? 'refreshed' : 'created'].push(kind)
      case 'foreign':
        return applied.problems.push(blockedText(resource, created.endpoint))
      case 'not-ready':
        return refusals.push({ resource, reason: created.reason, isNotTaken: true })
      case 'exists': {
        const list = await client.list(call)
        const equal = list.find((held) => held.address === address && held.endpoint === endpoint)
        if (equal === undefined) {
          const said = created.reason === '' ? '' : `: ${created.reason}`
          const reason = `it says that there is one already (409) but lists none${said}`
          return refusals.push({ resource, reason })
        }
        await hold(resource, equal.id)
        return applied.adopted.push(kind)
      }
    }
  }

  const take = async (step: Step): Promise<unknown> => {
    switch (step.do) {
      case 'remove':
        if (step.after !== undefined && !applied.held.has(step.after.kind)) return
        return await remove(step.subscription, step.why)
      case 'keep':
        if (step.refresh) return await create(step.resource)
        return (await hold(step.resource, step.id)) || applied.adopted.push(step.resource.kind)
      case 'create':
        return await create(step.resource, step.replaces)
      case 'blocked':
        return applied.problems.push(blockedText(step.resource, step.by.endpoint))
    }
  }

  let inRow = 0
  let sinceMs = clock.now()
  for (const step of inOrder(plan, isProven)) {
    const error = await tried(take(step))
    if (!(error instanceof PublisherError)) {
      inRow = 0
      sinceMs = clock.now()
      continue
    }
    inRow += 1
    if ('resource' in step) refusals.push({ resource: step.resource, reason: reasonOf(error), error })
    else {
      applied.problems.push(`${step.subscription.address} could not be removed: ${reasonOf(error)}`)
      applied.retryable ||= error.retryable
    }
    const isSilent = error.status === undefined && (inRow > 1 || call.signal?.aborted === true)
    if (isSilent) applied.failure = error
    if (isSilent || (inRow > 1 && clock.now() - sinceMs >= LOST_MS)) break
  }

  // From now on its notifications are ordinary pushes: no later create writes that the last one was answered.
  if (applied.created.length + applied.refreshed.length > 0) await journal.flush()
  if (applied.failure === undefined) await judge(attempt, applied, refusals)
  return applied
}

/** Sorts the failed creates of one try into kinds that the host does not have, problems, or a failed publisher. */
async function judge(attempt: Attempt, applied: Applied, refusals: readonly Refusal[]): Promise<void> {
  const { client, journal, situation, call, log, clock } = attempt
  const { node } = client
  const before = await journal.document()
  const isTaking = applied.created.length + applied.adopted.length + applied.refreshed.length > 0
  const others: Refusal[] = []
  for (const refusal of refusals) {
    const { kind, address } = refusal.resource
    const wasLacking = before?.lacking?.some((one) => one.kind === kind) === true
    const state = applied.held.size === 0 ? undefined : await tried(client.currentState(address, call))
    const isEmpty = state !== undefined && !(state instanceof PublisherError) && isNothing(state)
    // Some publishers answer pulls only for what is subscribed to, so a refused pull proves nothing by itself: the
    // create must have been answered 404, too, by a publisher that accepts other kinds now.
    const answers = isEmpty && state.outcome === 'answered'
    const isLacking =
      answers || (isEmpty && refusal.isNotTaken === true && (isTaking || isSyncE(kind) || wasLacking))
    if (isLacking) applied.lacking.push({ kind, refusedAt: isoTime(clock.now()), answers })
    else others.push(refusal)
    if (isLacking && !wasLacking) log.info('kind not offered by the host; not subscribed', { node, kind })
  }
  const hard = others.find(({ error }) => error !== undefined && error.status !== 400)?.error
  if (applied.held.size === 0 && hard !== undefined) {
    applied.failure = hard
    return
  }
  applied.problems.push(...linesOf(others, situation.callback.endpointFor(node)))
  applied.retryable ||= others.some(
    ({ error, isNotTaken }) => isNotTaken === true || error?.retryable === true || error?.status === 400,
  )
}

/** Whether a pull has nothing to show: it was answered with nothing in it, or refused without a cause. */
function isNothing(state: CurrentState): boolean {
  if (state.outcome === 'none') return state.cause === 'unknown'
  if (state.readings === undefined) return state.body.trim() === ''
  const { observations, named, placeholders, problems } = state.readings
  return observations.length + named.length + placeholders.length + problems.length === 0
}

/**
 * SyncE last of the creates: by then it is known whether the publisher accepts any. Removals that are not allowed yet
 * come after all creates, which may prove our callback.
 */
function inOrder(plan: readonly Step[], isProven: boolean): Step[] {
  const rank = (step: Step) => {
    if (step.do === 'remove') return isProven && step.after === undefined ? 0 : 3
    return isSyncE(step.resource.kind) ? 2 : 1
  }
  return plan.toSorted((a, b) => rank(a) - rank(b))
}

/** One line for all refused for the same reason; a 400 is mostly about our endpoint. */
function linesOf(refusals: readonly Refusal[], endpoint: string): string[] {
  const alike = Map.groupBy(refusals, ({ error, reason }) => error?.status ?? error?.code ?? reason)
  return Array.from(alike.values(), (same) => {
    const kinds = same.map(({ resource }) => resource.kind).join(' ')
    const isOurs = same[0]?.error?.status === 400
    const hint = isOurs ? ` – it must reach ${redact(endpoint)} and get 204 from it in time` : ''
    return `${kinds}: ${same[0]?.reason ?? ''}${hint}`
  })
}

/** Tells people that a foreign subscription holds a resource (v1). */
export function blockedText({ kind }: Resource, endpoint: string): string {
  const whose =
    endpoint === '' ? 'without an endpoint (its events are only logged)' : `of ${redact(endpoint)}`
  return `${kind}: the sidecar holds a subscription ${whose}, and has one for each resource: remove it there, or use a sidecar of our own`
}

import type { Callback } from '#shared/callback.ts'
import type { Client, HeldSubscription, Resource } from '#shared/publishers/dialects/client.ts'
import { kindOfAddress } from '#shared/events/kind.ts'
import { nodeOfAddress } from '#shared/publishers/dialects/addresses.ts'

/** One thing to do at a publisher. */
export type Step =
  | {
      readonly do: 'remove'
      readonly subscription: HeldSubscription
      readonly why: 'not-wanted' | 'stale-node' | 'replaced'
      /** Only once a subscription to this one is held. */
      readonly after?: Resource
    }
  | {
      readonly do: 'create'
      readonly resource: Resource
      readonly endpoint: string
      /** One of ours in its place: the publisher tries the new endpoint first, then this one is removed (v1). */
      readonly replaces?: HeldSubscription
    }
  /** It exists. `refresh`: post it again anyway, since being listed proves nothing (v1). */
  | {
      readonly do: 'keep'
      readonly resource: Resource
      readonly id: string
      readonly endpoint: string
      readonly refresh: boolean
    }
  /** A foreign subscription occupies the resource (v1 allows one for each). It is left alone. */
  | { readonly do: 'blocked'; readonly resource: Resource; readonly by: HeldSubscription }

export type Situation = {
  readonly node: string
  readonly facts: Pick<Client, 'uniqueBy' | 'listProves'>
  /** The resources to subscribe to. */
  readonly wanted: readonly Resource[]
  /** Wanted kinds that the publisher does not publish now: their subscriptions are kept. */
  readonly unpublished: readonly string[]
  /** The publisher's own name for its node, if it gives one. */
  readonly ownName: string | undefined
  readonly held: readonly HeldSubscription[]
  readonly callback: Pick<Callback, 'endpointFor' | 'read'>
  /** The nodes of every configured publisher, other shards' too. */
  readonly configured: ReadonlySet<string>
}

/**
 * Who owns a subscription, from the point of view of one node's publisher entry:
 * - `ours`: its endpoint is under our callback and for this node, or is the bare `/event` and its address names no
 * other node;
 * - `stale`: its endpoint is under our callback, but for a node that no entry has (renamed, or misnamed before), and
 * its address or the publisher itself names this node: a leftover, since our endpoints and addresses always name the
 * same node;
 * - `foreign`: anything else, including what another configured entry wants from the same publisher.
 */
export function ownerOf(
  held: HeldSubscription,
  { node, ownName, callback, configured }: Pick<Situation, 'node' | 'ownName' | 'callback' | 'configured'>,
): 'ours' | 'stale' | 'foreign' {
  const endpoint = callback.read(held.endpoint)
  if (endpoint === undefined) return 'foreign'
  if (endpoint.node === node) return 'ours'
  const named = nodeOfAddress(held.address)
  if (endpoint.node === undefined) return named === undefined || named === node ? 'ours' : 'foreign'
  if (configured.has(endpoint.node)) return 'foreign'
  return named === node || ownName === node ? 'stale' : 'foreign'
}

/** Other consumers' subscriptions: those outside our callback. A StarlingX sidecar serves several nodes of ours. */
export function foreignIn({ held, callback }: Pick<Situation, 'held' | 'callback'>): HeldSubscription[] {
  return held.filter(({ endpoint }) => callback.read(endpoint) === undefined)
}

/** The steps after which the publisher holds exactly the wanted subscriptions of ours. Pure. */
export function planOf(situation: Situation): Step[] {
  const { node, facts, wanted, unpublished, held, callback } = situation
  const endpoint = callback.endpointFor(node)
  const isUnique = facts.uniqueBy === 'resource'
  const removals = held.flatMap((subscription): Step[] => {
    const { address } = subscription
    const owner = ownerOf(subscription, situation)
    if (owner === 'stale') return [{ do: 'remove', subscription, why: 'stale-node' }]
    const isWanted = wanted.some((resource) => resource.address === address)
    const mayComeBack = unpublished.includes(kindOfAddress(address) ?? '') && nodeOfAddress(address) === node
    if (owner === 'foreign' || isWanted || mayComeBack) return []
    return [{ do: 'remove', subscription, why: 'not-wanted' }]
  })
  const replaced: Step[] = []
  const steps = wanted.map((resource): Step => {
    const there = held.filter(({ address }) => address === resource.address)
    // Two simultaneous creates can both succeed. Every reconciler keeps the same one.
    const [equal] = there
      .filter((subscription) => subscription.endpoint === endpoint)
      .toSorted((a, b) => (a.id < b.id ? -1 : 1))
    const older = there.filter((one) => one !== equal && ownerOf(one, situation) === 'ours')
    const replaces = isUnique && equal === undefined ? older.shift() : undefined
    for (const subscription of older) {
      replaced.push({ do: 'remove', subscription, why: 'replaced', after: resource })
    }
    if (equal !== undefined)
      return { do: 'keep', resource, id: equal.id, endpoint, refresh: !facts.listProves }
    const by = isUnique ? there.find((one) => ownerOf(one, situation) === 'foreign') : undefined
    if (by !== undefined) return { do: 'blocked', resource, by }
    return { do: 'create', resource, endpoint, ...(replaces !== undefined && { replaces }) }
  })
  return [...removals, ...steps, ...replaced]
}

import type { Callback } from '#shared/callback.ts'
import type { DialectFacts, HeldSubscription, Resource } from '#shared/publishers/dialects/client.ts'
import { kindOfAddress, nodeOfAddress } from '#shared/publishers/dialects/addresses.ts'

/** Why one of ours is taken away. */
export type Unwanted = 'not-wanted' | 'replaced' | 'stale-node'

/** One thing to do at a publisher. */
export type Step =
  | { readonly do: 'remove'; readonly subscription: HeldSubscription; readonly why: Unwanted }
  | {
      readonly do: 'create'
      readonly resource: Resource
      readonly endpoint: string
      /** One of ours that stands in its place. The publisher tries the new endpoint first, then it goes (v1). */
      readonly replaces?: HeldSubscription
    }
  /** It is there. `refresh`: post it again all the same, since the list proves nothing (v1). */
  | {
      readonly do: 'keep'
      readonly resource: Resource
      readonly id: string
      readonly endpoint: string
      readonly refresh: boolean
    }
  /** A stranger's subscription stands where ours would (v1 has one for a resource). It is left alone. */
  | { readonly do: 'blocked'; readonly resource: Resource; readonly by: HeldSubscription }
  /** After the create of its successor, and only if that came about. */
  | { readonly do: 'retire'; readonly subscription: HeldSubscription; readonly successor: Resource }

export type Situation = {
  readonly node: string
  readonly facts: Pick<DialectFacts, 'uniqueBy' | 'listProves'>
  /** The resources to be subscribed to. */
  readonly wanted: readonly Resource[]
  /** Kinds that are wanted but that the publisher does not publish just now: of these nothing is taken away. */
  readonly unpublished: readonly string[]
  /** What the publisher calls its node, where it says so. */
  readonly ownName: string | undefined
  readonly held: readonly HeldSubscription[]
  readonly callback: Pick<Callback, 'endpointFor' | 'read'>
  /** The nodes of every configured publisher, also of those that another shard looks after. */
  readonly configured: ReadonlySet<string>
}

/**
 * Whose a subscription is, seen from the publisher entry of one node:
 * - `ours`: its endpoint is under our callback and of this node, or is the bare `/event` and its address does not
 *   name another node;
 * - `stale`: its endpoint is under our callback but of a node that no configured entry has (a node that was renamed
 *   or misnamed before), and either its address names this node, or the publisher itself says that it is this node.
 *   Both can only be left over: our endpoints and addresses always name the same node;
 * - `stranger`: anything else, also what another configured entry wants of the same publisher.
 */
export function ownerOf(
  held: HeldSubscription,
  situation: Pick<Situation, 'node' | 'ownName' | 'callback' | 'configured'>,
): 'ours' | 'stale' | 'stranger' {
  const { node, ownName, callback, configured } = situation
  const endpoint = callback.read(held.endpoint)
  if (endpoint === undefined) return 'stranger'
  if (endpoint.node === node) return 'ours'
  const named = nodeOfAddress(held.address)
  if (endpoint.node === undefined) return named === undefined || named === node ? 'ours' : 'stranger'
  if (configured.has(endpoint.node)) return 'stranger'
  return named === node || ownName === node ? 'stale' : 'stranger'
}

/**
 * The subscriptions of others. What stands under our callback is none of theirs, also where it is of another node:
 * one sidecar of StarlingX serves several.
 */
export function othersIn({
  held,
  callback,
}: Pick<Situation, 'held' | 'callback'>): readonly HeldSubscription[] {
  return held.filter(({ endpoint }) => callback.read(endpoint) === undefined)
}

/** What to do so that the publisher holds exactly the wanted subscriptions of ours, in this order. Pure. */
export function planOf(situation: Situation): Step[] {
  const { node, facts, wanted, unpublished, held, callback } = situation
  const endpoint = callback.endpointFor(node)
  const before: Step[] = []
  const after: Step[] = []

  const isWanted = (address: string) => wanted.some((resource) => resource.address === address)
  const mayComeBack = ({ address }: HeldSubscription) =>
    unpublished.includes(kindOfAddress(address) ?? '') && nodeOfAddress(address) === node

  for (const subscription of held) {
    const owner = ownerOf(subscription, situation)
    if (owner === 'stale') before.push({ do: 'remove', subscription, why: 'stale-node' })
    if (owner === 'ours' && !isWanted(subscription.address) && !mayComeBack(subscription)) {
      before.push({ do: 'remove', subscription, why: 'not-wanted' })
    }
  }

  const steps = wanted.map((resource): Step => {
    const there = held.filter(({ address }) => address === resource.address)
    // Two creates at the same moment can both succeed. Every keeper leaves the same one of the two.
    const equal = there
      .filter((subscription) => subscription.endpoint === endpoint)
      .toSorted((a, b) => (a.id < b.id ? -1 : 1))[0]
    const others = there.filter((other) => other !== equal)
    const older = others.filter((subscription) => ownerOf(subscription, situation) === 'ours')
    const replaces = facts.uniqueBy === 'resource' && equal === undefined ? older.shift() : undefined
    for (const subscription of older) after.push({ do: 'retire', subscription, successor: resource })
    if (equal !== undefined) {
      return { do: 'keep', resource, id: equal.id, endpoint, refresh: !facts.listProves }
    }
    const stranger = others.find((subscription) => ownerOf(subscription, situation) === 'stranger')
    if (facts.uniqueBy === 'resource' && stranger !== undefined)
      return { do: 'blocked', resource, by: stranger }
    return { do: 'create', resource, endpoint, ...(replaces !== undefined && { replaces }) }
  })
  return [...before, ...steps, ...after]
}

/** What to do so that nothing of ours is left. Pure. */
export function removalPlanOf(
  situation: Pick<Situation, 'node' | 'ownName' | 'callback' | 'configured' | 'held'>,
): Step[] {
  return situation.held
    .filter((subscription) => ownerOf(subscription, situation) !== 'stranger')
    .map((subscription) => ({ do: 'remove', subscription, why: 'not-wanted' }))
}

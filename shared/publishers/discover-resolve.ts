import { hash } from 'node:crypto'
import { reasonOf } from '#shared/errors.ts'
import type { KnownNode } from './discover-gone.ts'
import type { Named } from './discover-name.ts'
import { isNamedAfter, type PublisherService } from './discover-services.ts'

/** A Service, and what the publisher behind it says of itself. */
export type Asked = { readonly service: PublisherService; readonly named: Named }

export type Resolved = {
  readonly service: PublisherService
  readonly node: string | undefined
  /** Why the node is not known; absent too where nobody is behind the Service and never was. */
  readonly reason: string | undefined
}

/** Which node is behind each Service, by its own word, or else by the store's. Pure. */
export function resolve(asked: readonly Asked[], known: readonly KnownNode[]): Resolved[] {
  const claims = Map.groupBy(
    asked.filter(({ named }) => named.outcome === 'named'),
    ({ named }) => (named.outcome === 'named' ? named.node : ''),
  )
  return asked.map(({ service, named }): Resolved => {
    if (named.outcome !== 'named') {
      const node = lastKnown(service, known)?.node
      const taken = node !== undefined && claims.has(node)
      const reason = named.outcome === 'unknown' ? reasonOf(named.error) : undefined
      return { service, node: taken ? undefined : node, reason }
    }
    const { node } = named
    const rivals = claims.get(node) ?? []
    const [first] = rivals
    const owner = rivals.find((rival) => isNamedAfter(rival.service.name, node)) ?? first
    if (owner === undefined || owner.service === service) return { service, node, reason: undefined }
    return {
      service,
      node: undefined,
      reason: `behind ${service.name} is node ${node}, as behind ${owner.service.name}: remove one of the two Services`,
    }
  })
}

/** The node that was last behind a Service, as far as it is still there. */
function lastKnown({ name }: PublisherService, known: readonly KnownNode[]): KnownNode | undefined {
  const candidates = known.filter((each) => each.service === name && isThere(each))
  return candidates.toSorted((a, b) => (a.checkedAt < b.checkedAt ? 1 : -1))[0]
}

export const isThere = ({ goneSince }: KnownNode) => goneSince === undefined

/**
 * The known nodes that are gone: nobody has their Service any more, or its publisher says that it is another node.
 * Where a publisher does not say who it is, only those are gone that were before. Pure.
 */
export function goneOf(known: readonly KnownNode[], asked: readonly Asked[]): KnownNode[] {
  const names = new Set(asked.map(({ named }) => (named.outcome === 'named' ? named.node : undefined)))
  const outcomes = new Map(asked.map(({ service, named }) => [service.name, named.outcome]))
  return known.filter(({ node, service, goneSince }) => {
    if (names.has(node)) return false
    const outcome = outcomes.get(service)
    return outcome === undefined || outcome === 'named' || goneSince !== undefined
  })
}

/** The part, from 0, that a Service belongs to: the same in every process, whoever else is listed. */
export function shardOf(service: string, count: number): number {
  return Number.parseInt(hash('sha256', service).slice(0, 8), 16) % count
}

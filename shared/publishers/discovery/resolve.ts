import { reasonOf } from '#shared/errors.ts'
import type { KnownNode } from './gone.ts'
import type { OwnName } from './names.ts'
import { isNamedAfter, type PublisherService } from './services.ts'

/** A node whose publisher is, or was, behind a Service of the namespace. */
export type NodeBehind = KnownNode & { readonly service: string }

/** A Service, and what the publisher behind it says of itself. */
export type Asked = { readonly service: PublisherService; readonly name: OwnName }

export type Resolved = {
  readonly service: PublisherService
  readonly node: string | undefined
  /** Why the node is not known; absent too where nobody is behind the Service and never was. */
  readonly reason: string | undefined
}

/** Which node is behind each Service, by its own word, or else by the store's. Pure. */
export function resolve(asked: readonly Asked[], known: readonly NodeBehind[]): Resolved[] {
  return asked.map(({ service, name }) => ({
    service,
    node: name.outcome === 'named' ? name.node : lastKnown(service, known)?.node,
    reason: name.outcome === 'unknown' ? reasonOf(name.error) : undefined,
  }))
}

/** The node that was last behind a Service, as far as it is still there. */
function lastKnown({ name }: PublisherService, known: readonly NodeBehind[]): NodeBehind | undefined {
  const candidates = known.filter((each) => each.service === name && isThere(each))
  return candidates.toSorted((a, b) => (a.checkedAt < b.checkedAt ? 1 : -1))[0]
}

/** A node under a name that its Service does not have was listed wrongly: it is nobody's. */
export function isThere({ node, service, goneSince }: NodeBehind): boolean {
  return goneSince === undefined && isNamedAfter(service, node)
}

/**
 * The known nodes that are gone: nobody has their Service any more, or its publisher says that it is another node.
 * Where a publisher does not say who it is, only those are gone that were before. Pure.
 */
export function goneOf(known: readonly NodeBehind[], asked: readonly Asked[]): NodeBehind[] {
  const byService = new Map(asked.map(({ service, name }) => [service.name, name]))
  return known.filter(({ node, service, goneSince }) => {
    const name = byService.get(service)
    if (name?.outcome === 'named') return name.node !== node
    return name === undefined || goneSince !== undefined
  })
}

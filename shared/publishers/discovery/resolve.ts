import { PublisherError, reasonOf } from '#shared/errors.ts'
import type { KnownNode } from './gone.ts'
import { isNamedAfter, type PublisherService } from './services.ts'

/** A node whose publisher is, or was, behind a Service of the namespace. */
export type NodeBehind = KnownNode & { readonly service: string }

/** A Service, and the node that the publisher behind it says to be: undefined where nobody is, or why it does not say. */
export type Asked = PublisherService & { readonly says: string | undefined | PublisherError }

/**
 * Which node is behind each Service, by its own word, or else by the store's. Without a `node`, `reason` says why it is
 * not known; neither is there where nobody is behind the Service and never was. Pure.
 */
export function resolve(asked: readonly Asked[], known: readonly NodeBehind[]) {
  return asked.map(({ says, name, url }) => {
    const silent = says instanceof PublisherError
    const node = typeof says === 'string' ? says : lastKnown(name, known)
    return { name, url, node, reason: silent ? reasonOf(says) : undefined }
  })
}

/** The node that was last behind a Service, as far as it is still there. */
function lastKnown(service: string, known: readonly NodeBehind[]): string | undefined {
  const candidates = known.filter((each) => each.service === service && isThere(each))
  return candidates.toSorted((a, b) => (a.checkedAt < b.checkedAt ? 1 : -1))[0]?.node
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
  const byService = new Map(asked.map(({ name, says }) => [name, says]))
  return known.filter(({ node, service, goneSince }) => {
    const says = byService.get(service)
    if (typeof says === 'string') return says !== node
    return !byService.has(service) || goneSince !== undefined
  })
}

import { PublisherError, reasonOf } from '#shared/errors.ts'
import type { KnownNode } from './gone.ts'
import { isNamedAfter, type PublisherService } from './services.ts'

/** A node whose publisher is or was behind a Service of the namespace. */
export type NodeBehind = KnownNode & { readonly service: string }

/**
 * A Service and the node name that the publisher behind it gives: undefined if nobody is there, or the reason if it
 * does not say.
 */
export type Asked = PublisherService & { readonly says: string | undefined | PublisherError }

/**
 * Finds the node behind each Service: by its publisher's word, else by the store. Without a `node`, `reason` says why
 * it is not known; both are absent if nobody is behind the Service and never was. Pure.
 */
export function resolve(asked: readonly Asked[], known: readonly NodeBehind[]) {
  return asked.map(({ says, name, url }) => {
    const silent = says instanceof PublisherError
    const node = typeof says === 'string' ? says : lastKnown(name, known)
    return { name, url, node, reason: silent ? reasonOf(says) : undefined }
  })
}

/** The node that was last behind a Service, if it is still there. */
function lastKnown(service: string, known: readonly NodeBehind[]): string | undefined {
  const candidates = known.filter((each) => each.service === service && isThere(each))
  return candidates.toSorted((a, b) => (a.checkedAt < b.checkedAt ? 1 : -1))[0]?.node
}

/** A node whose Service is named after another node was stored by mistake: it does not count. */
export function isThere({ node, service, goneSince }: NodeBehind): boolean {
  return goneSince === undefined && isNamedAfter(service, node)
}

/**
 * The known nodes that are gone: their Service is gone, or its publisher says that it is another node. If a publisher
 * does not say who it is, only those already gone count. Pure.
 */
export function goneOf(known: readonly NodeBehind[], asked: readonly Asked[]): NodeBehind[] {
  const byService = new Map(asked.map(({ name, says }) => [name, says]))
  return known.filter(({ node, service, goneSince }) => {
    const says = byService.get(service)
    if (typeof says === 'string') return says !== node
    return !byService.has(service) || goneSince !== undefined
  })
}

import { INFO } from '#shared/kinds.ts'
import type { Offer } from './client.ts'

/** Listed by 4.17 to 4.19, but only 4.20 and later can be subscribed to it (protocol.md §5). */
export function isSyncE(kind: string): boolean {
  return kind.startsWith('synce-')
}

/** Offers each of these kinds that has an address. `node`: what the publisher calls its node, where it says so. */
export function offerOf(
  kinds: readonly string[],
  addressOf: (kind: string) => string | undefined,
  node?: string,
): Offer {
  const found = kinds.map((kind) => ({ kind, address: addressOf(kind) ?? '' }))
  const resources = found.filter(({ address }) => address !== '')
  const unpublished = found.filter(({ address }) => address === '').map(({ kind }) => kind)
  return { outcome: 'offered', resources, unpublished, node }
}

/**
 * What a publisher offers that lists nothing: the addresses that every release has, after the `path` of its node.
 * Whether the host has such a clock, a create or a pull shows. v1 calls the clock class by another name, and the v2 name
 * would be accepted there and never deliver; over v1 the states of SyncE arrive as `0`, and pulls do not know it
 * (protocol.md §2.6, §5).
 */
export function wellKnown(kinds: readonly string[], api: 'v1' | 'v2', path: string): Offer {
  return offerOf(kinds, (kind) => {
    const info = INFO.get(kind)
    if (info === undefined || (api === 'v1' && isSyncE(kind))) return undefined
    const resource = api === 'v1' ? (info.v1Resource ?? info.resource) : info.resource
    return `${path}/sync/${resource}`
  })
}

/** The node that an address names; undefined for one that names none (`/././…`, `/./*` …). */
export function nodeOfAddress(address: string): string | undefined {
  const segments = address.split('/').filter((segment) => segment !== '')
  const name = segments[0] === 'cluster' ? segments[2] : segments[0] === '.' ? segments[1] : undefined
  return name === '.' || name === '*' ? undefined : name
}

/** The nodes that the addresses in a body name: what the publisher calls the node that it speaks of. */
export function nodesNamed(body: string): string[] {
  const names = Array.from(body.matchAll(/"\/+cluster\/+node\/+([^/"\\]+)/g), ([, name]) => name ?? '')
  return [...new Set(names)]
}

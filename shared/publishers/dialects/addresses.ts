import { INFO } from '#shared/kinds.ts'
import type { Offer } from './client.ts'

/** 4.17 to 4.19 list these, but only 4.20 and later accept subscriptions to them (protocol.md §5). */
export function isSyncE(kind: string): boolean {
  return kind.startsWith('synce-')
}

/**
 * The offer for those of these kinds that have an address. `node`: the publisher's own name for its node, if it says.
 */
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
 * The offer of a publisher that lists nothing: the addresses of every release, under the `path` of its node. Only a
 * create or a pull shows whether the host has such a clock. v1 names the clock class differently: it would accept the
 * v2 name and never deliver. Over v1, SyncE states arrive as `0` and cannot be pulled (protocol.md §2.6, §5).
 */
export function wellKnown(kinds: readonly string[], api: 'v1' | 'v2', path: string): Offer {
  return offerOf(kinds, (kind) => {
    const info = INFO.get(kind)
    if (info === undefined || (api === 'v1' && isSyncE(kind))) return undefined
    const resource = api === 'v1' ? (info.v1Resource ?? info.resource) : info.resource
    return `${path}/sync/${resource}`
  })
}

/** The node that an address names, if any (`/././…` and `/./*` name none). */
export function nodeOfAddress(address: string): string | undefined {
  const segments = address.split('/').filter((segment) => segment !== '')
  const name = segments[0] === 'cluster' ? segments[2] : segments[0] === '.' ? segments[1] : undefined
  return name === '.' || name === '*' ? undefined : name
}

/** The nodes named in the addresses of a body: the publisher's own name for its node. */
export function nodesNamed(body: string): string[] {
  const names = Array.from(body.matchAll(/"\/+cluster\/+node\/+([^/"\\]+)/g), ([, name]) => name ?? '')
  return [...new Set(names)]
}

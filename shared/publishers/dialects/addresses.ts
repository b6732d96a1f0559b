import { INFO, KIND_NAMES } from '#shared/kinds.ts'

export const ALL_KINDS = KIND_NAMES

/** Without SyncE: over v1 its states arrive as `0`, and pulls do not know it (protocol.md §2.6, §5). */
export const V1_KINDS: readonly string[] = ALL_KINDS.filter((kind) => !isSyncE(kind))

/** Listed by 4.17 to 4.19, but only 4.20 and later can be subscribed to it (protocol.md §5). */
export function isSyncE(kind: string): boolean {
  return kind.startsWith('synce-')
}

/**
 * What follows the node in the address of a kind, without a leading slash; undefined for a kind that we don't know. v1
 * calls the clock class by another name; the v2 name would be accepted there and never deliver (protocol.md §5).
 */
export function resourceOf(kind: string, api: 'v1' | 'v2'): string | undefined {
  const info = INFO.get(kind)
  const resource = api === 'v1' ? (info?.v1Resource ?? info?.resource) : info?.resource
  return resource && `sync/${resource}`
}

/** How addresses end, and the kind that each has. */
const ENDINGS = [...INFO].flatMap(([kind, { resource, v1Resource = resource }]) =>
  [v1Resource, resource].map((path) => [`/sync/${path}`, kind] as const),
)

/** The kind that an address belongs to, in whichever API's spelling; undefined if it is none of ours. */
export function kindOfAddress(address: string): string | undefined {
  const path = address.replace(/\/+/g, '/').replace(/\/$/, '')
  return ENDINGS.find(([ending]) => path.endsWith(ending))?.[1]
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

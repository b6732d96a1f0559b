import { INFO } from '../kinds.ts'

const BY_TYPE: ReadonlyMap<string, string> = new Map(
  [...INFO].flatMap(([kind, { types }]) => types.map((type) => [`event.sync.${type}`, kind] as const)),
)
const BY_RESOURCE: ReadonlyMap<string, string> = new Map(
  [...INFO].flatMap(([kind, { resource, v1Resource = resource }]) =>
    [resource, v1Resource].map((path) => [path, kind] as const),
  ),
)

const LONGEST_NAME = 200

/**
 * The kind of an event: by its type, since the resource of a kind was renamed between releases, else by its resource.
 * An unknown one is kept under its own name. Undefined where the event names neither.
 */
export function kindOf(type: string | undefined, ...resources: (string | undefined)[]): string | undefined {
  const name = type?.trim().toLowerCase().replaceAll('_', '-') ?? ''
  const known = BY_TYPE.get(name)
  if (known !== undefined) return known
  const paths = resources.flatMap((resource) => resourceIn(resource) ?? [])
  const [found] = paths.flatMap((path) => BY_RESOURCE.get(path) ?? [])
  return found ?? ((name || paths[0])?.slice(0, LONGEST_NAME).toWellFormed() || undefined)
}

/** The kind that an address belongs to, in whichever API's spelling; undefined if it is none of ours. */
export function kindOfAddress(address: string): string | undefined {
  return BY_RESOURCE.get(resourceIn(address) ?? '')
}

/** `ptp-status/lock-state` of `/cluster/node/N/sync/ptp-status/lock-state/`; undefined where there is no `/sync/`. */
function resourceIn(address: string | undefined): string | undefined {
  const path = address?.replace(/\/+/g, '/').replace(/\/$/, '').toLowerCase() ?? ''
  return /(?:^|\/)sync\/([^/]+\/[^/]+)$/.exec(path)?.[1]
}

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
 * The kind of an event: by its type, since a kind's resource was renamed between releases, else by its resource. An
 * unknown kind keeps its own name. Undefined if the event names neither.
 */
export function kindOf(type: string | undefined, ...resources: (string | undefined)[]): string | undefined {
  const name = type?.trim().toLowerCase().replaceAll('_', '-') ?? ''
  const known = BY_TYPE.get(name)
  if (known !== undefined) return known
  const paths = resources.flatMap((resource) => resourceIn(resource) ?? [])
  const [found] = paths.flatMap((path) => BY_RESOURCE.get(path) ?? [])
  return found ?? ((name || paths[0])?.slice(0, LONGEST_NAME).toWellFormed() || undefined)
}

/** The kind that an address belongs to, in the spelling of any API; undefined if it is unknown. */
export function kindOfAddress(address: string): string | undefined {
  return BY_RESOURCE.get(resourceIn(address) ?? '')
}

/** `ptp-status/lock-state` for `/cluster/node/N/sync/ptp-status/lock-state/`; undefined without a `/sync/`. */
function resourceIn(address: string | undefined): string | undefined {
  const path = address?.replace(/\/+/g, '/').replace(/\/$/, '').toLowerCase() ?? ''
  return /(?:^|\/)sync\/([^/]+\/[^/]+)$/.exec(path)?.[1]
}

/**
 * Kinds by event type, all spellings of all releases (protocol.md §5). The type is preferred: the resource of a
 * kind was renamed between releases, its type was not.
 */
const BY_TYPE: ReadonlyMap<string, string> = new Map(
  Object.entries({
    'event.sync.ptp-status.ptp-state-change': 'lock-state',
    'event.sync.sync-status.os-clock-sync-state-change': 'os-clock-sync-state',
    'event.sync.ptp-status.ptp-clock-class-change': 'clock-class',
    'event.sync.gnss-status.gnss-state-change': 'gnss-sync-status',
    'event.sync.sync-status.synchronization-state-change': 'sync-state',
    'event.sync.synce-status.synce-state-change': 'synce-lock-state',
    'event.sync.sync-status.synce-state-change': 'synce-lock-state',
    'event.sync.synce-status.synce-clock-quality-change': 'synce-clock-quality',
    'event.sync.synce-status.sync-clock-quality-change': 'synce-clock-quality',
    'event.sync.sync-status.sync-clock-quality-change': 'synce-clock-quality',
    'event.sync.sync-status.synce-clock-quality-change': 'synce-clock-quality',
  }),
)

const BY_RESOURCE: ReadonlyMap<string, string> = new Map(
  Object.entries({
    'ptp-status/lock-state': 'lock-state',
    'sync-status/os-clock-sync-state': 'os-clock-sync-state',
    'ptp-status/clock-class': 'clock-class',
    'ptp-status/ptp-clock-class-change': 'clock-class',
    'gnss-status/gnss-sync-status': 'gnss-sync-status',
    'sync-status/sync-state': 'sync-state',
    'synce-status/lock-state': 'synce-lock-state',
    'synce-status/clock-quality': 'synce-clock-quality',
  }),
)

const LONGEST_NAME = 200

/**
 * The kind of an event. An unknown one is kept under its own name: its type, else its resource. Undefined where
 * the event names neither.
 */
export function kindOf(type: string | undefined, ...resources: (string | undefined)[]): string | undefined {
  const known = type === undefined ? undefined : BY_TYPE.get(type)
  if (known !== undefined) return known
  const name = type?.trim().toLowerCase().replaceAll('_', '-')
  const respelled = name === undefined ? undefined : BY_TYPE.get(name)
  if (respelled !== undefined) return respelled
  const paths = resources.map((resource) => resourceOf(resource)).filter((path) => path !== undefined)
  for (const path of paths) {
    const found = BY_RESOURCE.get(path)
    if (found !== undefined) return found
  }
  const own = name || paths[0]
  return own === undefined || own === '' ? undefined : own.slice(0, LONGEST_NAME).toWellFormed()
}

/** `ptp-status/lock-state` of `/cluster/node/N/sync/ptp-status/lock-state/`; undefined where there is no `/sync/`. */
function resourceOf(address: string | undefined): string | undefined {
  if (address === undefined) return undefined
  const match = /(?:^|\/)sync\/([^/]+\/[^/]+)$/.exec(
    address.replace(/\/+/g, '/').replace(/\/$/, '').toLowerCase(),
  )
  return match?.[1]
}

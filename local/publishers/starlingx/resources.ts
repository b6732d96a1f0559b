import type { Kind } from '../clocks/clock.ts'

export interface Resource {
  readonly kind: Kind
  readonly path: string
  readonly type: string
  /** The key of a legacy push. */
  readonly legacyKey: string
}

const of = (kind: Kind, path: string, type: string, legacyKey: string): Resource => ({
  kind,
  path: `/sync/${path}`,
  type: `event.sync.${type}`,
  legacyKey,
})

/** Leaves of the resource tree in the order in which a read of the whole tree gives them (starlingx.md). */
export const resources: readonly Resource[] = [
  of('gnss-sync-status', 'gnss-status/gnss-sync-status', 'gnss-status.gnss-state-change', 'gnss_sync_state'),
  of('synce-lock-state', 'synce-status/lock-state', 'synce-status.synce-state-change', 'synce_lock_state'),
  of(
    'synce-clock-quality',
    'synce-status/clock-quality',
    'synce-status.synce-clock-quality-change',
    'synce_clock_quality',
  ),
  of('clock-class', 'ptp-status/clock-class', 'ptp-status.ptp-clock-class-change', 'ptp_clock_class'),
  of('lock-state', 'ptp-status/lock-state', 'ptp-status.ptp-state-change', 'ptp_lock_state'),
  of(
    'os-clock-sync-state',
    'sync-status/os-clock-sync-state',
    'sync-status.os-clock-sync-state-change',
    'os_clock_sync_state',
  ),
  of('sync-state', 'sync-status/sync-state', 'sync-status.synchronization-state-change', 'sync_state'),
]

export interface Address {
  /** `.`, `*` or a node's name. */
  readonly node: string
  readonly instance: string | undefined
  /** A leaf or an inner node of the tree: `/sync`, `/sync/ptp-status`, … or what is none. */
  readonly path: string
}

/** Reads `/<cluster>/<node>[/<instance>]/sync…`; undefined for anything else. */
export function readAddress(text: string): Address | undefined {
  // Red Hat's `/cluster/node/<node>/sync…` reads as the instance of a node that is called `node`.
  const match = /^\/[^/]+\/([^/]+)(?:\/([^/]+))?(\/sync(?:\/[^/]+)*)$/i.exec(text)
  const [, node, instance, path] = match ?? []
  return node && path ? { node, instance, path: path.toLowerCase() } : undefined
}

/** Whether it stands for a leaf, or for several. */
export const isKnown = ({ path }: Address) => resources.some((resource) => isAt(resource.path, path))

/** Whether `path` is `top` or below it. */
export const isAt = (path: string, top: string) => path === top || path.startsWith(`${top}/`)

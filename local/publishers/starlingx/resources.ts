import type { Kind } from '../publisher.ts'

export interface Resource {
  readonly kind: Kind
  readonly path: string
  readonly type: string
  /** The key of a legacy push. */
  readonly legacyKey: string
}

const of = (kind: Kind, path: string, type: string, legacyKey: string): Resource => ({
  kind,
  path,
  type: `event.sync.${type}`,
  legacyKey,
})

/** Leaves of the resource tree, with their event types and legacy names (starlingx.md). */
export const resources: readonly Resource[] = [
  of(
    'gnss-sync-status',
    '/sync/gnss-status/gnss-sync-status',
    'gnss-status.gnss-state-change',
    'gnss_sync_state',
  ),
  of('lock-state', '/sync/ptp-status/lock-state', 'ptp-status.ptp-state-change', 'ptp_lock_state'),
  of('clock-class', '/sync/ptp-status/clock-class', 'ptp-status.ptp-clock-class-change', 'ptp_clock_class'),
  of(
    'os-clock-sync-state',
    '/sync/sync-status/os-clock-sync-state',
    'sync-status.os-clock-sync-state-change',
    'os_clock_sync_state',
  ),
  of('sync-state', '/sync/sync-status/sync-state', 'sync-status.synchronization-state-change', 'sync_state'),
  of(
    'synce-lock-state',
    '/sync/synce-status/lock-state',
    'synce-status.synce-state-change',
    'synce_lock_state',
  ),
  of(
    'synce-clock-quality',
    '/sync/synce-status/clock-quality',
    'synce-status.synce-clock-quality-change',
    'synce_clock_quality',
  ),
]

export interface Address {
  /** `.`, `*` or a node's name. */
  readonly node: string
  readonly instance: string | undefined
  /** A leaf or an inner node of the tree: `/sync`, `/sync/ptp-status`, … */
  readonly path: string
}

/** Reads `/./<node>[/<instance>]/sync…`; undefined for anything else, as when `/./` was folded away. */
export function readAddress(text: string): Address | undefined {
  const match = /^\/\.\/([^/]+)(?:\/([^/]+))?(\/sync(?:\/[^/]+)*)$/i.exec(text)
  const [, node, instance, path] = match ?? []
  if (!node || !path) return undefined
  const isKnown = resources.some((resource) => isAt(resource.path, path.toLowerCase()))
  return isKnown ? { node, instance, path: path.toLowerCase() } : undefined
}

/** Whether `path` is `top` or below it. */
export const isAt = (path: string, top: string) => path === top || path.startsWith(`${top}/`)

/** Whether two subscriptions of one endpoint overlap; instances are not looked at (starlingx.md). */
export function overlaps(a: Address, b: Address, ownNode: string): boolean {
  const name = (node: string) => (node === '.' ? ownNode : node)
  const isSameNode = a.node === '*' || b.node === '*' || name(a.node) === name(b.node)
  return isSameNode && (isAt(a.path, b.path) || isAt(b.path, a.path))
}

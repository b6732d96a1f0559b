import type { Kind } from '../clocks/clock.ts'

export type Release = 'main' | '4.18' | '4.14'

export interface Resource {
  readonly kind: Kind
  readonly suffix: string
  readonly type: string
}

const of = (kind: Kind, suffix: string, type: string): Resource => ({ kind, suffix, type: `event.${type}` })

/** Resources and event types of protocol.md §5, in the order in which a publisher announces them. */
export const resources: readonly Resource[] = [
  of('sync-state', '/sync/sync-status/sync-state', 'sync.sync-status.synchronization-state-change'),
  of(
    'os-clock-sync-state',
    '/sync/sync-status/os-clock-sync-state',
    'sync.sync-status.os-clock-sync-state-change',
  ),
  of('clock-class', '/sync/ptp-status/clock-class', 'sync.ptp-status.ptp-clock-class-change'),
  of('lock-state', '/sync/ptp-status/lock-state', 'sync.ptp-status.ptp-state-change'),
  of('gnss-sync-status', '/sync/gnss-status/gnss-sync-status', 'sync.gnss-status.gnss-state-change'),
  of('synce-lock-state', '/sync/synce-status/lock-state', 'sync.synce-status.synce-state-change'),
  of(
    'synce-clock-quality',
    '/sync/synce-status/clock-quality',
    'sync.synce-status.synce-clock-quality-change',
  ),
]

/** The v1 name of the clock class, which every release knows (protocol.md §5). */
export const classChangeResource = of(
  'clock-class',
  '/sync/ptp-status/ptp-clock-class-change',
  'sync.ptp-status.ptp-clock-class-change',
)

/** Looks a resource up as the plugin does: does the address contain a known suffix (protocol.md §3.5)? */
export function resourceIn(address: string, known: readonly Resource[]): Resource | undefined {
  return known.find((resource) => address.includes(resource.suffix))
}

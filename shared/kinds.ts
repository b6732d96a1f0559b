/** What the project knows about a kind of clock (protocol.md §5). */
type KindInfo = {
  /** Event types in all releases, after `event.sync.`. */
  readonly types: readonly string[]
  /** The resource, after `/sync/`. */
  readonly resource: string
  /** The resource in version 1, if different. */
  readonly v1Resource?: string
  /** Its states: the words of a lock, those of GNSS, or numbers only. */
  readonly says: 'lock' | 'gnss' | 'numbers'
  /** The metric that a number stands for, unless its address says otherwise. */
  readonly metric: string
  /** The instance of a kind that exists once per node, whatever address it comes under. */
  readonly instance?: string
}

/** The known kinds; any other is kept under its own name. */
const KINDS = {
  'lock-state': {
    types: ['ptp-status.ptp-state-change'],
    resource: 'ptp-status/lock-state',
    says: 'lock',
    metric: 'offset',
  },
  'os-clock-sync-state': {
    types: ['sync-status.os-clock-sync-state-change'],
    resource: 'sync-status/os-clock-sync-state',
    says: 'lock',
    metric: 'offset',
    instance: 'CLOCK_REALTIME',
  },
  'clock-class': {
    types: ['ptp-status.ptp-clock-class-change'],
    resource: 'ptp-status/clock-class',
    v1Resource: 'ptp-status/ptp-clock-class-change',
    says: 'numbers',
    metric: 'clockClass',
  },
  'gnss-sync-status': {
    types: ['gnss-status.gnss-state-change'],
    resource: 'gnss-status/gnss-sync-status',
    says: 'gnss',
    metric: 'offset',
  },
  'sync-state': {
    types: ['sync-status.synchronization-state-change'],
    resource: 'sync-status/sync-state',
    says: 'lock',
    metric: 'offset',
    instance: 'node',
  },
  'synce-lock-state': {
    types: ['synce-status.synce-state-change', 'sync-status.synce-state-change'],
    resource: 'synce-status/lock-state',
    says: 'lock',
    metric: 'offset',
  },
  'synce-clock-quality': {
    types: [
      'synce-status.synce-clock-quality-change',
      'synce-status.sync-clock-quality-change',
      'sync-status.sync-clock-quality-change',
      'sync-status.synce-clock-quality-change',
    ],
    resource: 'synce-status/clock-quality',
    says: 'numbers',
    metric: 'ql',
  },
} satisfies Readonly<Record<string, KindInfo>>

/** The kinds whose clocks decide the overall state of a node. */
export const DECIDING_KINDS = ['lock-state', 'os-clock-sync-state'] as const

export const INFO: ReadonlyMap<string, KindInfo> = new Map(Object.entries(KINDS))

/** The names of all known kinds. */
export const KIND_NAMES: readonly string[] = [...INFO.keys()]

/** Whether a kind has numbers only; every other kind, even an unknown one, has a state word. */
export function isNumeric(kind: string): boolean {
  return INFO.get(kind)?.says === 'numbers'
}

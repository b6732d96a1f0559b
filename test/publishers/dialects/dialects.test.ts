import { createRedHatV1, createRedHatV2, createStarlingX } from '#local/publishers/index.ts'
import { dialectContract } from './contract.ts'

const NODE = 'worker-0.site-a.example.com'
const LOCKED = { kind: 'lock-state', state: 'LOCKED', offset: -2 } as const
const of = (prefix: string, resources: Readonly<Record<string, string>>) =>
  Object.fromEntries(
    Object.entries(resources).map(([kind, resource]) => [kind, `${prefix}/sync/${resource}`]),
  )

const COMMON = {
  'lock-state': 'ptp-status/lock-state',
  'os-clock-sync-state': 'sync-status/os-clock-sync-state',
}
const REST = {
  'gnss-sync-status': 'gnss-status/gnss-sync-status',
  'sync-state': 'sync-status/sync-state',
}
const SYNCE = {
  'synce-lock-state': 'synce-status/lock-state',
  'synce-clock-quality': 'synce-status/clock-quality',
}
const V1 = { ...COMMON, 'clock-class': 'ptp-status/ptp-clock-class-change', ...REST }
const V2 = { ...COMMON, 'clock-class': 'ptp-status/clock-class', ...REST, ...SYNCE }

for (const release of ['main', '4.18'] as const) {
  dialectContract(`red-hat-v2, ${release}`, {
    dialect: 'red-hat-v2',
    node: NODE,
    make: ({ warmUpMs = 0 } = {}) => createRedHatV2({ node: NODE, release, warmUpMs }),
    addresses: of(`/cluster/node/${NODE}`, V2),
    unpublished: [],
    clock: LOCKED,
    warmUp: 'offer',
    knowsUnknownIds: true,
  })
}

for (const release of ['4.14', '4.18'] as const) {
  dialectContract(`red-hat-v1, ${release}`, {
    dialect: 'red-hat-v1',
    node: NODE,
    make: ({ warmUpMs = 0 } = {}) => createRedHatV1({ node: NODE, release, warmUpMs }),
    addresses: of(`/cluster/node/${NODE}`, V1),
    unpublished: Object.keys(SYNCE),
    clock: LOCKED,
    warmUp: 'pull',
    knowsUnknownIds: release === '4.18',
  })
}

for (const notificationFormat of ['standard', 'legacy'] as const) {
  dialectContract(`starlingx-v2, ${notificationFormat}`, {
    dialect: 'starlingx-v2',
    node: 'controller-0',
    make: ({ warmUpMs = 0 } = {}) => createStarlingX({ node: 'controller-0', notificationFormat, warmUpMs }),
    addresses: of('/./controller-0', V2),
    unpublished: [],
    clock: { ...LOCKED, instance: 'ptp-inst1' },
    warmUp: 'start-values',
    knowsUnknownIds: true,
  })
}

import { describe, expect, test } from 'vitest'
import { readAddress } from '#shared/events/address.ts'
import { normalise } from '#shared/events/normalise.ts'
import { context, event, NODE, read } from './builders.ts'

describe('the node and the clock of an address', () => {
  test.each([
    ['/cluster/node/n1/ens5fx/master', 'n1', 'ens5fx/master'],
    ['//cluster//node//n1//ens5fx//master', 'n1', 'ens5fx/master'],
    ['cluster/node/n1/ens5fx/master', 'n1', 'ens5fx/master'],
    ['/cluster/node/n1/ptp/ens2fx/master', 'n1', 'ens2fx/master'],
    ['/cluster/n1/ptp/ens2fx/master', 'n1', 'ens2fx/master'],
    ['/cluster/n1/ptp/CLOCK_REALTIME', 'n1', 'CLOCK_REALTIME'],
    ['/cluster/node/n1/sync/ptp-status/lock-state', 'n1', ''],
    ['/./n1/ptp-inst1/sync/ptp-status/lock-state', 'n1', 'ptp-inst1'],
    ['/././ptp-inst1/sync/ptp-status/lock-state', undefined, 'ptp-inst1'],
    ['/./*/sync/ptp-status/lock-state', undefined, ''],
    ['/east-edge-10/n1/sync/sync-status/sync-state', 'n1', ''],
    ['/ims-1/dms-2/site-3/n1/sync/ptp-status/lock-state/', 'n1', ''],
    ['east-edge-10/n1/sync/sync-status/sync-state', 'n1', ''],
    ['/n1/sync/ptp-status/lock-state', 'n1', ''],
    ['/sync/ptp-status/lock-state', undefined, ''],
    ['sync/ptp-status/lock-state', undefined, ''],
    ['synce1/ens7f0', undefined, 'synce1/ens7f0'],
    ['ens5fx/master', undefined, 'ens5fx/master'],
  ])('%s', (address, node, instance) => {
    expect(readAddress(address)).toEqual({ node, instance, metric: undefined, placeholder: undefined })
  })

  test.each(['/east-edge-10/n1/ens5fx/master', '/n1/ens5fx'])(
    '%s does not say which name is the node',
    (address) => {
      expect(readAddress(address)).toMatchObject({ node: undefined, unknown: true })
    },
  )
})

test.each([
  ['ens1/master/CLOCK_CLASS', 'clockClass'],
  ['ens1/master/clock-class', 'clockClass'],
  ['ens1/master/Clock_Class', 'clockClass'],
  ['ens1/master/gpsFix', 'gpsFix'],
  ['ens1/master/gps-fix', 'gpsFix'],
  ['ens1/master/GPS_FIX', 'gpsFix'],
  ['ens1/master/Ql', 'ql'],
  ['ens1/master/extQl', 'extQl'],
  ['ens1/master/ExtQL', 'extQl'],
  ['ens1/master/ext-ql', 'extQl'],
])('%s is the metric %s of its clock', (address, metric) => {
  expect(readAddress(`/cluster/node/n1/${address}`)).toMatchObject({ instance: 'ens1/master', metric })
})

describe('an address of another node', () => {
  test.each([
    '/cluster/node/n2/ens5fx/master',
    '/cluster/n2/ptp/ens5fx/master',
    '/./n2/ptp-inst1/sync/ptp-status/lock-state',
    '/east-edge-10/n2/sync/ptp-status/lock-state',
    `/${NODE}/n2/sync/ptp-status/lock-state`,
    `/cluster/${NODE}-b/ptp/ens5fx/master`,
  ])('%s sets the event aside, in the value and in the source', (address) => {
    const value = { ResourceAddress: address, value: 'LOCKED' }
    expect(read(event('lock-state', [value]))).toEqual({ problems: ['other-node'] })
    const own = { ResourceAddress: `/cluster/node/${NODE}/ens5fx/master`, value: 'LOCKED' }
    expect(read(event('lock-state', [own], { source: address }))).toEqual({ problems: ['other-node'] })
  })

  test('that cannot be told from a site is no address', () => {
    const value = { ResourceAddress: '/east-edge-10/n2/ens5fx/master', value: 'LOCKED' }
    expect(read(event('lock-state', [value]))).toEqual({ problems: ['no-address'] })
  })
})

test('where the address of a value names no clock, the source does', () => {
  const lock = (iface: string, word: string) =>
    event('lock-state', [{ ResourceAddress: '/sync/ptp-status/lock-state', value: word }], {
      source: `/cluster/node/${NODE}/ptp/${iface}/master`,
    })
  const found = normalise([lock('ens2fx', 'FREERUN'), lock('ens3fx', 'LOCKED')], context)
  expect(found.observations).toMatchObject([
    { instance: 'ens2fx/master', state: 'FREERUN' },
    { instance: 'ens3fx/master', state: 'LOCKED' },
  ])
})

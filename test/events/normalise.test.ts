import { describe, expect, test } from 'vitest'
import { normalise } from '#shared/events/normalise.ts'
import { context, event, NODE, read, TIME, TYPES, value } from './builders.ts'

describe('Red Hat v2', () => {
  test('a push becomes one observation with all that it says', () => {
    const body = event('lock-state', [value('ens5fx/master', 'LOCKED'), value('ens5fx/master', '-2')])
    expect(normalise(body, context)).toEqual({
      observations: [
        {
          node: NODE,
          kind: 'lock-state',
          instance: 'ens5fx/master',
          state: 'LOCKED',
          metrics: { offset: '-2' },
          at: TIME,
          receivedAt: context.receivedAt,
          via: 'push',
          eventId: '53d580b0-95d5-4795-a634-ca6e94cf259b',
        },
      ],
      named: [],
      placeholders: [],
      problems: [],
    })
  })

  test('a pull of two interfaces gives one observation each', () => {
    const body = event('lock-state', [
      value('ens5fx/master', 'FREERUN'),
      value('ens5fx/master', '5'),
      value('ens7fx/master', 'LOCKED'),
      value('ens7fx/master', '0'),
    ])
    expect(read(body)).toEqual({
      read: ['lock-state ens5fx/master FREERUN offset=5', 'lock-state ens7fx/master LOCKED offset=0'],
    })
  })

  test('two configs that contradict each other on one clock give two observations of it', () => {
    const body = event('os-clock-sync-state', [
      value('CLOCK_REALTIME', 'FREERUN'),
      value('CLOCK_REALTIME', '-6'),
      value('CLOCK_REALTIME', 'LOCKED'),
      value('CLOCK_REALTIME', '7'),
    ])
    expect(read(body)).toEqual({
      read: [
        'os-clock-sync-state CLOCK_REALTIME FREERUN offset=-6',
        'os-clock-sync-state CLOCK_REALTIME LOCKED offset=7',
      ],
    })
  })

  test('two configs that agree on one clock give two observations too', () => {
    const same = [value('CLOCK_REALTIME', 'LOCKED'), value('CLOCK_REALTIME', '-6')]
    const found = normalise(event('os-clock-sync-state', [...same, ...same]), context)
    expect(found.observations).toHaveLength(2)
  })

  test('a clock class that two configs of one port repeat is one observation', () => {
    const twice = [value('ens5fx/master/CLOCK_CLASS', '6'), value('ens5fx/master/CLOCK_CLASS', '6')]
    expect(read(event('clock-class', twice))).toEqual({ read: ['clock-class ens5fx/master clockClass=6'] })
  })

  test('two clock classes of one port are two observations', () => {
    const two = [value('ens5fx/master/CLOCK_CLASS', '6'), value('ens5fx/master/CLOCK_CLASS', '248')]
    expect(read(event('clock-class', two))).toEqual({
      read: ['clock-class ens5fx/master clockClass=6', 'clock-class ens5fx/master clockClass=248'],
    })
  })

  test('an initial notification is read like a pull', () => {
    const body = event('synce-clock-quality', [
      value('synce1/ens7f0/Ql', '1'),
      { ...value('x', '255'), ResourceAddress: 'synce1/ens7f0/ExtQL' },
    ])
    expect(read(body, { ...context, via: 'initial' })).toEqual({
      read: ['synce-clock-quality synce1/ens7f0 ql=1 extQl=255'],
    })
  })

  test.each(['ptp-not-set', 'event-not-found'])('the placeholder %s is no FREERUN', (name) => {
    const body = event('lock-state', [value(name, 'FREERUN'), value(name, '0')])
    expect(read(body)).toEqual({ placeholders: [name] })
  })

  test('a placeholder of numbers is no clock class', () => {
    expect(read(event('clock-class', [value('event-not-found', '0')]))).toEqual({
      placeholders: ['event-not-found'],
    })
  })

  test('a placeholder beside a reading does not hide it', () => {
    const body = event('lock-state', [value('ptp-not-set', 'LOCKED'), value('ens5fx/master', 'FREERUN')])
    expect(read(body)).toEqual({
      read: ['lock-state ens5fx/master FREERUN'],
      placeholders: ['ptp-not-set'],
    })
  })
})

describe('Red Hat v1', () => {
  const envelope = (values: readonly unknown[], version: string) => ({
    id: 'a3f3a1ff-0822-40ec-8407-28683c919e0d',
    type: TYPES['lock-state'],
    source: `/cluster/node/${NODE}/sync/ptp-status/lock-state`,
    dataContentType: 'application/json',
    time: '2026-11-23T03:55:09.737827169Z',
    data: { version, values },
  })
  const address = `/cluster/node/${NODE}/ens5fx/master`

  test('a push of 4.14 has inner names of its own', () => {
    const values = [
      { resource: address, dataType: 'notification', valueType: 'enumeration', value: 'FREERUN' },
      { resource: address, dataType: 'metric', valueType: 'decimal64.3', value: '-2.16213e+06' },
    ]
    expect(read(envelope(values, 'v1'))).toEqual({
      read: ['lock-state ens5fx/master FREERUN offset=-2.16213e+06'],
    })
  })

  test('a push of 4.16 to 4.18 has the envelope of v1 and the inner names of v2', () => {
    const values = [value('ens5fx/master', 'FREERUN'), value('ens5fx/master', '-1e+16')]
    expect(read(envelope(values, '1.0'))).toEqual({ read: ['lock-state ens5fx/master FREERUN'] })
  })

  test('a pull is a CloudEvent 0.3 whose subject names the node', () => {
    const body = {
      specversion: '0.3',
      id: '71050b25-047a-4b45-bde9-fc1312043bc6',
      source: '/sync/ptp-status/lock-state',
      type: TYPES['lock-state'],
      subject: `/cluster/node/${NODE}/sync/ptp-status/lock-state`,
      datacontenttype: 'application/json',
      time: TIME,
      data: { version: 'v1', values: [{ resource: address, value: 'LOCKED' }] },
    }
    expect(read(body, { receivedAt: context.receivedAt, via: 'poll' })).toEqual({
      read: ['lock-state ens5fx/master LOCKED'],
    })
  })

  test('the clock class goes by the name that its resource had', () => {
    const body = {
      source: `/cluster/node/${NODE}/sync/ptp-status/ptp-clock-class-change`,
      time: TIME,
      data: { values: [{ resource: address, value: '6' }] },
    }
    expect(read(body)).toEqual({ read: ['clock-class ens5fx/master clockClass=6'] })
  })

  test('a pushed sync-state is of the node, whatever clock it came under', () => {
    for (const under of ['ens5fx/master', 'CLOCK_REALTIME', 'sync/sync-status/sync-state']) {
      expect(read(event('sync-state', [value(under, 'FREERUN')]))).toEqual({
        read: ['sync-state node FREERUN'],
      })
    }
  })

  test('a SyncE state of "0" is no reading, for the word was lost on the way', () => {
    expect(read(event('synce-lock-state', [value('synce1/ens7f0', '0')]))).toEqual({
      named: ['synce-lock-state synce1/ens7f0'],
    })
  })
})

describe('StarlingX', () => {
  const starlingx = { node: 'controller-0', receivedAt: '2024-11-15T15:22:34.000Z', via: 'push' } as const
  const lock = (address: string, word = 'LOCKED') => ({
    id: 'db9308a5-f030-4a9c-b535-164f836cfd60',
    specversion: '1.0',
    source: '/sync/ptp-status/lock-state',
    type: TYPES['lock-state'],
    time: '2024-11-15T15:22:33868726Z',
    data: {
      version: '1.0',
      values: [
        { data_type: 'notification', ResourceAddress: address, value_type: 'enumeration', value: word },
      ],
    },
  })
  const INST1 = '/./controller-0/ptp-inst1/sync/ptp-status/lock-state'

  test.each([
    ['a push', lock(INST1)],
    ['a pull, an array whose addresses echo the dot', [lock('/././ptp-inst1/sync/ptp-status/lock-state')]],
    ['an address to all nodes', lock('/./*/ptp-inst1/sync/ptp-status/lock-state')],
  ])('%s names the same clock', (_, body) => {
    expect(read(body, starlingx)).toEqual({ read: ['lock-state ptp-inst1 LOCKED'] })
  })

  test('the dot that its time lacks is put in', () => {
    const [reading] = normalise(lock(INST1), starlingx).observations
    expect(reading?.at).toBe('2024-11-15T15:22:33.868726Z')
  })

  test('an array gives one observation each', () => {
    const body = [lock(INST1), lock('/././ptp-inst2/sync/ptp-status/lock-state', 'Holdover')]
    expect(read(body, starlingx)).toEqual({
      read: ['lock-state ptp-inst1 LOCKED', 'lock-state ptp-inst2 HOLDOVER'],
    })
  })

  test.each([
    ['a push, a map of kinds', { ptp_lock_state: [lock(INST1)] }],
    ['a pull, a map of instances', { 'ptp-inst1': lock(INST1) }],
    ['a pull of old images, by the key', { 'ptp-inst1': lock('/././sync/ptp-status/lock-state') }],
  ])('in the legacy format %s names the instance', (_, body) => {
    expect(read(body, starlingx)).toEqual({ read: ['lock-state ptp-inst1 LOCKED'] })
  })

  test.each([
    ['a push', { ptp_lock_state: [lock('/./controller-0/sync/ptp-status/lock-state')] }],
    ['a push without a list', { ptp_lock_state: lock('/./controller-0/sync/ptp-status/lock-state') }],
  ])('in the legacy format %s without an instance is of the node, not of its kind', (_, body) => {
    expect(read(body, starlingx)).toEqual({ read: ['lock-state node LOCKED'] })
  })

  test('a legacy pull of two instances is two clocks: one must not hide the other', () => {
    for (const address of [
      (name: string) => `/./controller-0/${name}/sync/ptp-status/lock-state`,
      () => '/././sync/ptp-status/lock-state',
    ]) {
      const body = {
        'ptp-inst1': lock(address('ptp-inst1')),
        'ptp-inst2': lock(address('ptp-inst2'), 'Holdover'),
      }
      expect(read(body, starlingx)).toEqual({
        read: ['lock-state ptp-inst1 LOCKED', 'lock-state ptp-inst2 HOLDOVER'],
      })
    }
  })

  test.each([
    ['of this release', '/./controller-0/ts1/sync/gnss-status/gnss-sync-status', 'ts1'],
    ['of old images, which name no instance in pushes', '/././sync/gnss-status/gnss-sync-status', 'node'],
  ])('GNSS %s is one clock by push, initial notification and pull', (_, address, instance) => {
    const event = { ...lock(address, 'SYNCHRONIZED'), type: TYPES['gnss-sync-status'] }
    for (const body of [event, { gnss_sync_state: [event] }, { ts1: event }]) {
      expect(read(body, starlingx)).toEqual({ read: [`gnss-sync-status ${instance} SYNCHRONIZED`] })
    }
  })

  test('its OS clock has no instance, and is the one that Red Hat names', () => {
    const body = { ...lock('/././sync/sync-status/os-clock-sync-state'), type: TYPES['os-clock-sync-state'] }
    expect(read(body, starlingx)).toEqual({ read: ['os-clock-sync-state CLOCK_REALTIME LOCKED'] })
  })

  test('a clock class that is pushed as a notification is a number all the same', () => {
    const body = {
      ...lock('/./controller-0/ptp-inst1/sync/ptp-status/clock-class', '6'),
      type: TYPES['clock-class'],
    }
    expect(read(body, starlingx)).toEqual({ read: ['clock-class ptp-inst1 clockClass=6'] })
  })

  test('UNKNOWN, at its start, is a word', () => {
    expect(read(lock(INST1, 'Unknown'), starlingx)).toEqual({ read: ['lock-state ptp-inst1 UNKNOWN'] })
  })

  const status = (stamp: unknown, qualifier: unknown = { NodeName: 'controller-0' }) => ({
    ResourceType: 'PTP',
    EventData: { State: 'Freerun' },
    ResourceQualifier: qualifier,
    EventTimestamp: stamp,
  })

  test.each([
    ['seconds', 1_731_684_153.868726, '2024-11-15T15:22:33.868Z'],
    ['seconds in digits', '1731684153.868726', '2024-11-15T15:22:33.868Z'],
    ['words', '2024-11-15T15:22:33868726Z', '2024-11-15T15:22:33.868726Z'],
  ])('a version-1 status has its time in %s', (_, stamp, at) => {
    const found = normalise(status(stamp), starlingx)
    expect(found.observations).toMatchObject([{ kind: 'lock-state', instance: 'node', state: 'FREERUN', at }])
  })

  test.each([null, undefined, ''])('a version-1 status stamped %j is dated by its receipt', (stamp) => {
    expect(normalise(status(stamp), starlingx).observations).toMatchObject([
      { state: 'FREERUN', at: starlingx.receivedAt, timeFrom: 'receipt' },
    ])
  })

  test.each([true, [1], {}, -1, 1e300, '1e9'])(
    'a version-1 status stamped %j has no time, and none is made up',
    (stamp) => {
      expect(read(status(stamp), starlingx)).toEqual({ problems: ['no-time'] })
    },
  )

  test.each([null, {}, { NodeName: '' }, { NodeName: 7 }])(
    'a version-1 status of node %j is of the node that was asked',
    (qualifier) => {
      expect(read(status(1e9, qualifier), starlingx)).toEqual({ read: ['lock-state node FREERUN'] })
    },
  )

  test('a version-1 status of another node is refused', () => {
    expect(read(status(1e9, { NodeName: 'controller-1' }), starlingx)).toEqual({ problems: ['other-node'] })
  })
})

describe('values', () => {
  test.each([
    ['-9999999999999999', undefined],
    ['-1e+16', undefined],
    ['-1e309', undefined],
    [-1e16, undefined],
    ['-9.98e15', '-9.98e15'],
    ['-2162130', '-2162130'],
    ['-2.16213e+06', '-2.16213e+06'],
    ['9.9999999e+07', '9.9999999e+07'],
    ['+5', '+5'],
    ['.5', '.5'],
    ['5.', '5.'],
    [100.3, '100.3'],
    [' 7 ', '7'],
    ['NaN', undefined],
    ['-Inf', undefined],
    ['+infinity', undefined],
    ['', undefined],
    ['0'.repeat(64), '0'.repeat(64)],
    ['0'.repeat(65), undefined],
  ])('the offset %j is kept as %j', (offset, kept) => {
    const body = event('lock-state', [value('ens5fx/master', 'FREERUN'), value('ens5fx/master', offset)])
    expect(normalise(body, context).observations).toMatchObject([{ state: 'FREERUN' }])
    expect(normalise(body, context).observations[0]?.metrics).toEqual(
      kept === undefined ? {} : { offset: kept },
    )
  })

  test('the sentinel of a clock class or a fix is a number like any other', () => {
    expect(read(event('clock-class', [value('a/master', '-1e+16')]))).toEqual({
      read: ['clock-class a/master clockClass=-1e+16'],
    })
  })

  test.each([
    ['LOCKED', 'LOCKED'],
    ['Locked', 'LOCKED'],
    [' locked\n', 'LOCKED'],
    ['HOLDOVER', 'HOLDOVER'],
    ['FREERUN', 'FREERUN'],
    ['UNLOCKED', 'FREERUN'],
    ['Unlocked', 'FREERUN'],
    ['SYNCHRONIZED', 'UNKNOWN'],
    ['LOCKED.', 'UNKNOWN'],
    ['NOT_LOCKED', 'UNKNOWN'],
    ['LOC\u212AED', 'UNKNOWN'],
    ['ＬＯＣＫＥＤ', 'UNKNOWN'],
    ['constructor', 'UNKNOWN'],
  ])('the word %j of a lock state is %s', (word, state) => {
    for (const kind of ['lock-state', 'os-clock-sync-state', 'sync-state', 'synce-lock-state'] as const) {
      expect(normalise(event(kind, [value('a', word)]), context).observations).toMatchObject([{ state }])
    }
  })

  test.each([
    ['FAILURE-NOFIX', 'FAILURE-NOFIX'],
    ['FAULURE-MULTIPATH', 'FAULURE-MULTIPATH'],
    ['acquiring_sync', 'ACQUIRING-SYNC'],
    ['HOLDOVER', 'HOLDOVER'],
    ['x'.repeat(100_000), 'X'.repeat(64)],
  ])('the word of GNSS is kept, listed or not', (word, state) => {
    expect(normalise(event('gnss-sync-status', [value('a', word)]), context).observations).toMatchObject([
      { state },
    ])
  })

  test('GNSS has its word, its offset and its fix', () => {
    const body = event('gnss-sync-status', [
      value('ens7fx/master', 'FAILURE-NOFIX'),
      value('ens7fx/master', '99999999'),
      value('ens7fx/master/gpsFix', '0'),
    ])
    expect(read(body)).toEqual({
      read: ['gnss-sync-status ens7fx/master FAILURE-NOFIX offset=99999999 gpsFix=0'],
    })
  })

  test('the word of SyncE is a state, also where data_type says metric', () => {
    const body = event('synce-lock-state', [
      { ...value('synce1/ens7f0', 'HOLDOVER'), data_type: 'metric', value_type: 'decimal64.3' },
    ])
    expect(read(body)).toEqual({ read: ['synce-lock-state synce1/ens7f0 HOLDOVER'] })
  })

  test.each([
    'lock-state',
    'os-clock-sync-state',
    'gnss-sync-status',
    'sync-state',
    'synce-lock-state',
  ] as const)('a number alone is no reading of %s', (kind) => {
    const found = normalise(event(kind, [value('a', '0')]), context)
    expect(found.observations).toEqual([])
    expect(found.named).toHaveLength(1)
  })

  test.each(['clock-class', 'synce-clock-quality'] as const)('a word alone is no reading of %s', (kind) => {
    expect(read(event(kind, [value('a', 'LOCKED')]))).toEqual({ named: [`${kind} a`] })
  })

  test('numbers may stand before the word that they belong to', () => {
    const body = event('lock-state', [value('a/master', '5'), value('a/master', 'LOCKED')])
    expect(read(body)).toEqual({ read: ['lock-state a/master LOCKED offset=5'] })
  })
})

describe('addresses', () => {
  test.each([
    [`/cluster/node/${NODE}/ens5fx/master`, 'ens5fx/master'],
    [`//cluster//node/${NODE}//ens5fx///master/`, 'ens5fx/master'],
    [`/cluster/node/${NODE}/ens1fx.100/master`, 'ens1fx.100/master'],
    [`/cluster/node/${NODE}/master`, 'master'],
    [`/cluster/node/${NODE}/enP2s2f0np0/master`, 'enP2s2f0np0/master'],
    ['/cluster/node/./ens5fx/master', 'ens5fx/master'],
    ['/cluster/node/*/ens5fx/master', 'ens5fx/master'],
    ['/././ens5fx/master', 'ens5fx/master'],
    ['ens5fx/master', 'ens5fx/master'],
    ['', 'node'],
    [`/cluster/node/${NODE}`, 'node'],
    [`/cluster/node/${NODE}/__proto__`, '__proto__'],
    [`/cluster/node/${NODE}/\ud800`, '\ufffd'],
  ])('%j is the clock %j', (address, instance) => {
    const body = event('lock-state', [{ ...value('x', 'LOCKED'), ResourceAddress: address }])
    expect(normalise(body, context).observations).toMatchObject([{ node: NODE, instance }])
  })

  test.each([
    ['clock-class', 'ens5fx/master/CLOCK_CLASS', 'ens5fx/master', { clockClass: '6' }],
    ['clock-class', 'master/CLOCK_CLASS', 'master', { clockClass: '6' }],
    ['clock-class', 'ens5fx/master', 'ens5fx/master', { clockClass: '6' }],
    ['synce-clock-quality', 'synce1/ens7f0/Ql', 'synce1/ens7f0', { ql: '6' }],
    ['synce-clock-quality', 'synce1/ens7f0/extQl', 'synce1/ens7f0', { extQl: '6' }],
    ['synce-clock-quality', 'synce1/ens7f0/ExtQL', 'synce1/ens7f0', { extQl: '6' }],
  ] as const)('of %s, %s is a metric of %s', (kind, address, instance, metrics) => {
    expect(normalise(event(kind, [value(address, '6')]), context).observations).toMatchObject([
      { instance, metrics },
    ])
  })

  test('of a node that is not the one expected nothing is taken', () => {
    const body = event('lock-state', [
      value('a/master', 'LOCKED'),
      value('/cluster/node/other/b/master', 'LOCKED'),
    ])
    expect(read(body)).toEqual({ problems: ['other-node'] })
  })

  test.each(['source', 'subject'])('a %s of another node is enough to refuse', (name) => {
    const body = event('lock-state', [value('/././a/master', 'LOCKED')], {
      [name]: '/cluster/node/other/sync/ptp-status/lock-state',
    })
    expect(read(body)).toEqual({ problems: ['other-node'] })
  })

  test('without a node to expect, the event names it', () => {
    const open = { receivedAt: context.receivedAt, via: 'broker' } as const
    expect(normalise(event('lock-state', [value('a/master', 'LOCKED')]), open).observations).toMatchObject([
      { node: NODE, via: 'broker' },
    ])
    expect(read(event('lock-state', [value('/././a/master', 'LOCKED')]), open)).toEqual({
      problems: ['no-node'],
    })
    const two = [value('a', 'LOCKED'), value('/cluster/node/other/b', 'LOCKED')]
    expect(read(event('lock-state', two), open)).toEqual({ problems: ['other-node'] })
  })
})

describe('kinds', () => {
  test.each([
    ['event.sync.sync-status.synce-state-change', 'synce-lock-state'],
    ['event.sync.sync-status.synce-clock-quality-change', 'synce-clock-quality'],
    ['event.sync.synce-status.sync-clock-quality-change', 'synce-clock-quality'],
    ['EVENT.SYNC.PTP_STATUS.PTP_STATE_CHANGE', 'lock-state'],
  ])('the type %s is %s', (type, kind) => {
    const body = event('lock-state', [value('a', 'LOCKED'), value('a', '1')], { type })
    const { observations } = normalise(body, context)
    expect(observations).toMatchObject([{ kind }])
  })

  test.each([
    ['/sync/ptp-status/lock-state', 'lock-state'],
    ['/sync/ptp-status/clock-class/', 'clock-class'],
    [`/cluster/node/${NODE}//sync/gnss-status/gnss-sync-status`, 'gnss-sync-status'],
    ['/sync/synce-status/clock-quality', 'synce-clock-quality'],
  ])('without a type, the source %s is %s', (source, kind) => {
    const body = event('lock-state', [value('a', 'LOCKED'), value('a', '1')], { type: undefined, source })
    expect(normalise(body, context).observations).toMatchObject([{ kind }])
  })

  test('without a type and a source, the address says it', () => {
    const body = event('lock-state', [value('sync/sync-status/sync-state', 'LOCKED')], { type: undefined })
    expect(read(body)).toEqual({ read: ['sync-state node LOCKED'] })
  })

  test('an unknown kind is kept under the name of its type', () => {
    const body = event('lock-state', [value('a', 'ON'), value('a', '5')], { type: 'mock' })
    expect(read(body)).toEqual({ read: ['mock a ON value=5'] })
  })

  test('an unknown kind without a type is kept under the name of its resource', () => {
    const body = event('lock-state', [value('a', '5')], {
      type: undefined,
      source: '/sync/other-status/thing',
    })
    expect(read(body)).toEqual({ read: ['other-status/thing a value=5'] })
  })

  test('LOCKED of an unknown kind is no lock state', () => {
    const body = event('lock-state', [value('a', 'LOCKED')], { type: `${TYPES['lock-state']}-extended` })
    expect(read(body)).toEqual({ read: [`${TYPES['lock-state']}-extended a LOCKED`] })
  })
})

describe('times', () => {
  test.each([
    '2026-11-23T03:48:28Z',
    '2026-11-23T03:48:28.5Z',
    '2026-11-23T03:48:28.123456789Z',
    '2026-11-23T04:48:28.489302008+01:00',
    '2016-12-31T23:59:60Z',
    '2026-11-23t03:48:28z',
  ])('%s is kept as received', (time) => {
    const body = event('lock-state', [value('a', 'LOCKED')], { time })
    expect(normalise(body, context).observations[0]?.at).toBe(time)
  })

  test.each([
    undefined,
    null,
    '',
    ' ',
    '0001-01-01T00:00:00Z',
    '0001-01-01T00:00:00.000000000Z',
    '0001-01-01T00:00:00+00:00',
    '0001-01-01 00:00:00 +0000 UTC',
  ])('an event whose time is %j is dated by its receipt, and marked so', (time) => {
    expect(
      normalise(event('lock-state', [value('a', 'LOCKED')], { time }), context).observations,
    ).toMatchObject([{ state: 'LOCKED', at: context.receivedAt, timeFrom: 'receipt' }])
  })

  test.each([
    'yesterday',
    '0001-01-01T00:00:01Z',
    '2026-02-30T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-11-23T24:00:00Z',
    '2026-11-23T03:48:28',
    '2026-11-23 03:48:28Z',
    '2026-11-23T03:48:28+24:00',
    '2026-11-23T03:48:28+01:60',
    `2026-11-23T03:48:28.${'1'.repeat(1000)}Z`,
    1732333708,
    { $date: 1 },
  ])('%j is no time, and the event no reading', (time) => {
    expect(read(event('lock-state', [value('a', 'LOCKED')], { time }))).toEqual({ problems: ['no-time'] })
  })
})

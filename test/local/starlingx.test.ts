import { describe, expect, onTestFinished, test } from 'vitest'
import { createStarlingX, type StarlingXOptions } from '#local/publishers/index.ts'
import { postJson, startEndpoint } from './endpoint.ts'
import { send } from './replay/wire.ts'

async function start(options: Partial<StarlingXOptions> = {}) {
  const publisher = createStarlingX({
    node: 'controller-0',
    warmUpMs: 0,
    deliveryTimeoutMs: 100,
    instances: { ptp: ['ptp-inst1', 'ptp-inst2'], ts: ['ts1'] },
    ...options,
  })
  onTestFinished(() => publisher.close())
  await publisher.listen()
  const base = `${publisher.url}/ocloudNotifications/v2`
  const subscribe = (EndpointUri: string, ResourceAddress: string) =>
    postJson(`${base}/subscriptions`, { EndpointUri, ResourceAddress })
  const pull = (address: string) =>
    send(publisher.url, {
      method: 'GET',
      path: `/ocloudNotifications/v2${address}/CurrentState`,
      headers: {},
      body: null,
    })
  return { publisher, base, subscribe, pull }
}

const addressesIn = (body = '') => [...body.matchAll(/"ResourceAddress":"([^"]+)"/g)].map(([, a]) => a)

describe('subscriptions', () => {
  test('a subscription to the root is told every current item, one value at a time, before the 201', async () => {
    const { subscribe, publisher } = await start()
    const endpoint = await startEndpoint()
    const { status, body } = await subscribe(endpoint.url, '/././sync')
    expect(status).toBe(201)
    expect(Object.keys(JSON.parse(body))).toEqual([
      'EndpointUri',
      'ResourceAddress',
      'SubscriptionId',
      'UriLocation',
    ])
    expect(endpoint.bodies.flatMap(addressesIn)).toEqual([
      '/./controller-0/ts1/sync/gnss-status/gnss-sync-status',
      '/./controller-0/ptp-inst1/sync/ptp-status/lock-state',
      '/./controller-0/ptp-inst2/sync/ptp-status/lock-state',
      '/./controller-0/ptp-inst1/sync/ptp-status/clock-class',
      '/./controller-0/ptp-inst2/sync/ptp-status/clock-class',
      '/./controller-0/sync/sync-status/os-clock-sync-state',
      '/./controller-0/sync/sync-status/sync-state',
    ])
    expect(publisher.subscriptions()).toHaveLength(1)
  })

  test.each([
    ['/././sync', '/././sync/ptp-status/lock-state'],
    ['/././sync/ptp-status/lock-state', '/././sync/ptp-status'],
    ['/./*/sync/ptp-status/lock-state', '/./controller-0/sync/ptp-status/lock-state'],
    ['/././sync/ptp-status/lock-state', '/./controller-0/ptp-inst1/sync/ptp-status/lock-state'],
  ])('%s and %s overlap for one endpoint', async (first, second) => {
    const { subscribe } = await start()
    const endpoint = await startEndpoint()
    expect((await subscribe(endpoint.url, first)).status).toBe(201)
    expect(await subscribe(endpoint.url, second)).toMatchObject({
      status: 409,
      body: expect.stringContaining(first),
    })
    expect((await subscribe(`${endpoint.url}/other`, second)).status).toBe(201)
  })

  test('siblings do not overlap', async () => {
    const { subscribe } = await start()
    const { url } = await startEndpoint()
    expect((await subscribe(url, '/././sync/ptp-status/lock-state')).status).toBe(201)
    expect((await subscribe(url, '/././sync/ptp-status/clock-class')).status).toBe(201)
  })

  test.each([
    ['/./controller-7/sync', 404],
    ['/cluster/node/controller-0/sync', 404],
    ['/././sync/unknown', 404],
  ])('%s is refused with %i', async (address, status) => {
    const { subscribe } = await start()
    const endpoint = await startEndpoint()
    expect((await subscribe(endpoint.url, address)).status).toBe(status)
  })

  test('an endpoint may answer anything below 400', async () => {
    const { subscribe } = await start()
    const lenient = await startEndpoint(() => 200)
    const failing = await startEndpoint(() => 400)
    expect((await subscribe(lenient.url, '/././sync/sync-status/sync-state')).status).toBe(201)
    expect((await subscribe(failing.url, '/././sync/sync-status/sync-state')).status).toBe(400)
  })

  test('a subscription is shown, listed and deleted by its id', async () => {
    const { subscribe, base } = await start()
    const endpoint = await startEndpoint()
    const created = JSON.parse((await subscribe(endpoint.url, '/././sync/sync-status/sync-state')).body)
    const one = `${base}/subscriptions/${created.SubscriptionId}`
    expect(await (await fetch(one)).json()).toEqual(created)
    expect(await (await fetch(`${base}/subscriptions`)).json()).toEqual([created])
    expect((await fetch(one, { method: 'DELETE' })).status).toBe(204)
    expect((await fetch(one)).status).toBe(404)
  })
})

describe('CurrentState', () => {
  test('is an array by instance and echoes how the node was named', async () => {
    const { pull } = await start()
    const reply = await pull('/././sync/ptp-status/lock-state')
    expect(addressesIn(reply?.body)).toEqual([
      '/././ptp-inst1/sync/ptp-status/lock-state',
      '/././ptp-inst2/sync/ptp-status/lock-state',
    ])
    const one = await pull('/./controller-0/ptp-inst2/sync/ptp-status/lock-state')
    expect(addressesIn(one?.body)).toEqual(['/./controller-0/ptp-inst2/sync/ptp-status/lock-state'])
  })

  test('is an object for sync-state', async () => {
    const { pull } = await start()
    const reply = await pull('/././sync/sync-status/sync-state')
    expect(JSON.parse(reply?.body ?? '')).toMatchObject({ source: '/sync/sync-status/sync-state' })
  })

  test('is a map by instance in the legacy format', async () => {
    const { pull } = await start({ notificationFormat: 'legacy' })
    const names = async (address: string) => Object.keys(JSON.parse((await pull(address))?.body ?? ''))
    expect(await names('/././sync/ptp-status/lock-state')).toEqual(['ptp-inst1', 'ptp-inst2'])
    expect(await names('/././sync/sync-status/os-clock-sync-state')).toEqual(['os_clock_status'])
    expect(await names('/././sync/sync-status/sync-state')).toEqual(['overall_sync_status'])
    expect(await names('/././sync/gnss-status/gnss-sync-status')).toEqual(['ts1'])
  })

  test('is 404 for a client whose URL class folds /./ away', async () => {
    const { base } = await start()
    expect((await fetch(`${base}/././sync/ptp-status/lock-state/CurrentState`)).status).toBe(404)
  })
})

describe('notifications', () => {
  test('carry a local time without a dot, and a class that is a notification when pushed', async () => {
    const { publisher, subscribe, pull } = await start({
      now: () => 1_795_417_200_033_868_726n,
      utcOffsetMinutes: 60,
    })
    const endpoint = await startEndpoint()
    await subscribe(endpoint.url, '/././sync/ptp-status/clock-class')
    publisher.setClock({ kind: 'clock-class', clockClass: 6 })
    await publisher.idle()
    const pushed = JSON.parse(endpoint.bodies.at(-1) ?? '')
    expect(pushed.time).toMatch(/^2026-11-23T08:00:000338\d\dZ$/)
    expect(pushed.data.values).toEqual([
      {
        data_type: 'notification',
        ResourceAddress: '/./controller-0/ptp-inst1/sync/ptp-status/clock-class',
        value_type: 'metric',
        value: '6',
      },
    ])
    const pulled = JSON.parse((await pull('/././sync/ptp-status/clock-class'))?.body ?? '')
    expect(pulled[0].data.values[0]).toMatchObject({ data_type: 'metric', value_type: 'metric', value: '6' })
  })

  test('are keyed by kind in the legacy format', async () => {
    const { publisher, subscribe } = await start({ notificationFormat: 'legacy' })
    const endpoint = await startEndpoint()
    await subscribe(endpoint.url, '/././sync/ptp-status/lock-state')
    publisher.setClock({ kind: 'lock-state', state: 'HOLDOVER' })
    await publisher.idle()
    expect(JSON.parse(endpoint.bodies.at(-1) ?? '')).toMatchObject({
      ptp_lock_state: [{ source: '/sync/ptp-status/lock-state' }],
    })
    expect(addressesIn(endpoint.bodies.at(-1))).toEqual([
      '/./controller-0/ptp-inst1/sync/ptp-status/lock-state',
    ])
  })

  test('are tried three times when nothing answers, and the subscription stays', async () => {
    const { publisher, subscribe } = await start()
    const endpoint = await startEndpoint()
    await subscribe(endpoint.url, '/././sync/sync-status/os-clock-sync-state')
    await endpoint.close()
    publisher.setClock({ kind: 'os-clock-sync-state', state: 'FREERUN' })
    await publisher.idle()
    expect(publisher.deliveries.slice(1).map(({ outcome }) => outcome)).toEqual([
      'refused',
      'refused',
      'refused',
    ])
    expect(publisher.subscriptions()).toHaveLength(1)
  })

  test('not newer than the last of their subscription are never sent, whatever they are about', async () => {
    const { publisher, subscribe } = await start()
    const endpoint = await startEndpoint()
    await subscribe(endpoint.url, '/././sync')
    publisher.setClock({ kind: 'lock-state', state: 'LOCKED' })
    await publisher.idle()
    endpoint.takeValues()
    await publisher.faults({ clockOffsetMs: -60_000 })
    publisher.setClock({ kind: 'os-clock-sync-state', state: 'FREERUN' })
    await publisher.idle()
    expect(endpoint.bodies).toEqual([])
  })
})

test('health is at the root', async () => {
  const { publisher } = await start()
  expect(await (await fetch(`${publisher.url}/health`)).json()).toEqual({ health: true })
})

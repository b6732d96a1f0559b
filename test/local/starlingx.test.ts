import { describe, expect, onTestFinished, test } from 'vitest'
import { createStarlingX, type StarlingXOptions } from '#local/publishers/index.ts'
import { postJson, startEndpoint } from './endpoint.ts'
import { send } from './replay/wire.ts'

async function start(options: Partial<StarlingXOptions> = {}) {
  const publisher = createStarlingX({
    node: 'controller-0',
    warmUpMs: 0,
    deliveryTimeoutMs: 100,
    instances: { ptp: ['ptp-inst1', 'ptp-inst2'], ts: ['ts1'], synce: [] },
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
      'SubscriptionId',
      'UriLocation',
      'EndpointUri',
      'ResourceAddress',
    ])
    expect(endpoint.bodies.flatMap(addressesIn)).toEqual([
      '/./controller-0/ts1/sync/gnss-status/gnss-sync-status',
      '/./controller-0/ptp-inst1/sync/ptp-status/clock-class',
      '/./controller-0/ptp-inst2/sync/ptp-status/clock-class',
      '/./controller-0/ptp-inst1/sync/ptp-status/lock-state',
      '/./controller-0/ptp-inst2/sync/ptp-status/lock-state',
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

  test.each([
    ['/./controller-7/sync', 404],
    ['/cluster/node/controller-0/sync', 404],
    ['/././sync/unknown', 500],
    ['/sync', 500],
    ['/././sync/synce-status/lock-state', 500],
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

  test('is a map by instance in the legacy format', async () => {
    const { pull } = await start({ notificationFormat: 'legacy' })
    const names = async (address: string) => Object.keys(JSON.parse((await pull(address))?.body ?? ''))
    expect(await names('/././sync/ptp-status/lock-state')).toEqual(['ptp-inst1', 'ptp-inst2'])
    expect(await names('/././sync/sync-status/os-clock-sync-state')).toEqual(['os_clock_status'])
    expect(await names('/././sync/sync-status/sync-state')).toEqual(['overall_sync_status'])
    expect(await names('/././sync/gnss-status/gnss-sync-status')).toEqual(['ts1'])
  })

  test('is nothing where there is no instance, and 404 of all nodes at once and of what there never is', async () => {
    const { pull } = await start()
    const legacy = await start({ notificationFormat: 'legacy' })
    const synce = '/././sync/synce-status/lock-state'
    expect(await pull(synce)).toMatchObject({ status: 200, body: '[]' })
    expect(await legacy.pull(synce)).toMatchObject({ status: 200, body: '{}' })
    expect(await pull('/././ptp-inst9/sync/ptp-status/lock-state')).toMatchObject({ status: 200, body: '[]' })
    expect((await pull('/./*/sync/ptp-status/lock-state'))?.status).toBe(404)
    expect((await pull('/./controller-9/sync/ptp-status/lock-state'))?.status).toBe(404)
    expect((await pull('/././sync/nothing'))?.status).toBe(404)
  })

  test('is 404 for a client whose URL class folds /./ away', async () => {
    const { base } = await start()
    expect((await fetch(`${base}/././sync/ptp-status/lock-state/CurrentState`)).status).toBe(404)
  })
})

describe('notifications', () => {
  test('carry a time without a dot, and a class that is a notification when pushed', async () => {
    const { publisher, subscribe, pull } = await start({
      now: () => 1_795_417_200_033_868_726n,
    })
    const endpoint = await startEndpoint()
    await subscribe(endpoint.url, '/././sync/ptp-status/clock-class')
    publisher.setClock({ kind: 'clock-class', clockClass: 6 })
    await publisher.idle()
    const pushed = JSON.parse(endpoint.bodies.at(-1) ?? '')
    expect(pushed.time).toMatch(/^2026-11-23T07:00:000338\d\dZ$/)
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

  test('of GNSS are plain in the legacy format too, and those of SyncE qualities are numbers', async () => {
    const { publisher, subscribe } = await start({
      notificationFormat: 'legacy',
      instances: { synce: ['synce-inst1'] },
    })
    const endpoint = await startEndpoint()
    await subscribe(endpoint.url, '/././sync/gnss-status/gnss-sync-status')
    await subscribe(endpoint.url, '/././sync/synce-status/clock-quality')
    expect(JSON.parse(endpoint.bodies[0] ?? '')).toHaveProperty('gnss_sync_state')
    publisher.setClock({ kind: 'gnss-sync-status', state: 'SYNCHRONIZED' })
    publisher.setClock({ kind: 'synce-clock-quality', ql: 4 })
    await publisher.idle()
    const [gnss, quality] = endpoint.bodies.slice(-2).map((body) => JSON.parse(body))
    expect(gnss.data.values[0].ResourceAddress).toBe('/./controller-0/ts1/sync/gnss-status/gnss-sync-status')
    expect(quality.synce_clock_quality[0].data.values[0].value).toBe(4)
  })

  test('are delivered to the first matching subscription alone, though its endpoint be dead', async () => {
    const { publisher, subscribe } = await start()
    const first = await startEndpoint()
    const second = await startEndpoint()
    const lock = '/././sync/ptp-status/lock-state'
    await subscribe(first.url, lock)
    await subscribe(second.url, lock)
    const before = second.bodies.length
    publisher.setClock({ kind: 'lock-state', state: 'HOLDOVER' })
    await publisher.idle()
    expect(first.takeValues().at(-1)).toBe('HOLDOVER')
    await first.close()
    publisher.setClock({ kind: 'lock-state', state: 'FREERUN' })
    await publisher.idle()
    expect(second.bodies).toHaveLength(before)
  })

  test('come in twice once there was a subscription to /sync: then the first two are served', async () => {
    const { publisher, subscribe, base } = await start()
    const endpoints = [await startEndpoint(), await startEndpoint(), await startEndpoint()]
    const all = JSON.parse((await subscribe(endpoints[0]?.url ?? '', '/././sync')).body)
    for (const { url } of endpoints.slice(1)) await subscribe(url, '/././sync/ptp-status/lock-state')
    const served = async (state: string) => {
      for (const endpoint of endpoints) endpoint.takeValues()
      publisher.setClock({ kind: 'lock-state', state })
      await publisher.idle()
      return endpoints.map((endpoint) => endpoint.takeValues().includes(state))
    }
    expect(await served('HOLDOVER')).toEqual([true, true, false])
    await fetch(`${base}/subscriptions/${all.SubscriptionId}`, { method: 'DELETE' })
    expect(await served('FREERUN')).toEqual([false, true, true])
    await publisher.restart({ part: 'sidecar', warmUpMs: 0 })
    expect(await served('LOCKED')).toEqual([false, true, false])
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

describe('while the notification service starts', () => {
  test('all kinds of states have start values of one moment, in pulls and in what creates post', async () => {
    const { publisher, subscribe, pull } = await start({ instances: { synce: ['synce-inst1'] } })
    await publisher.restart({ warmUpMs: Number.POSITIVE_INFINITY })
    const paths = ['ptp-status/lock-state', 'sync-status/os-clock-sync-state', 'gnss-status/gnss-sync-status']
    const events = await Promise.all(
      paths.map(async (path) => JSON.parse((await pull(`/././sync/${path}`))?.body ?? '')[0]),
    )
    expect(new Set(events.map(({ time }) => time)).size).toBe(1)
    expect(events.map(({ data }) => data.values[0].value)).toEqual(['FREERUN', 'FREERUN', 'FAILURE-NOFIX'])
    expect((await pull('/././sync/ptp-status/clock-class'))?.body).toContain('"value":"248"')
    const endpoint = await startEndpoint()
    await subscribe(endpoint.url, '/././sync/sync-status/sync-state')
    expect(JSON.parse(endpoint.bodies[0] ?? '')).toMatchObject({ time: events[0].time })
    publisher.becomeReady()
    expect((await pull('/././sync/ptp-status/lock-state'))?.body).not.toContain('FREERUN')
  })

  test('what was set before is published once it is ready', async () => {
    const { publisher, subscribe } = await start()
    publisher.setClock({ kind: 'lock-state', state: 'LOCKED' })
    const endpoint = await startEndpoint()
    await subscribe(endpoint.url, '/././sync/ptp-status/lock-state')
    endpoint.takeValues()
    await publisher.restart({ warmUpMs: Number.POSITIVE_INFINITY })
    publisher.becomeReady()
    await publisher.idle()
    expect(endpoint.takeValues()).toContain('LOCKED')
  })
})

test('a restarted sidecar takes subscriptions before it can answer pulls', async () => {
  const { publisher, subscribe, pull } = await start()
  await publisher.restart({ part: 'sidecar', warmUpMs: Number.POSITIVE_INFINITY })
  const endpoint = await startEndpoint()
  const lock = '/././sync/ptp-status/lock-state'
  expect((await subscribe(endpoint.url, lock)).status).toBe(201)
  expect((await pull(lock))?.status).toBe(404)
  publisher.becomeReady()
  expect((await pull(lock))?.status).toBe(200)
})

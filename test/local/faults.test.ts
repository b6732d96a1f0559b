import { expect, onTestFinished, test } from 'vitest'
import { createRedHatV1, createRedHatV2, type Publisher } from '#local/publishers/index.ts'
import { postJson, startEndpoint } from './endpoint.ts'

const clockClass = '/cluster/node/n1/sync/ptp-status/clock-class'

async function start<P extends Publisher>(publisher: P): Promise<P> {
  onTestFinished(() => publisher.close())
  await publisher.listen()
  return publisher
}

async function subscribedV2(resource = clockClass) {
  const publisher = await start(createRedHatV2({ node: 'n1', release: 'main', warmUpMs: 0 }))
  const endpoint = await startEndpoint()
  await postJson(`${publisher.url}/api/ocloudNotifications/v2/subscriptions`, {
    EndpointUri: endpoint.url,
    ResourceAddress: resource,
  })
  endpoint.takeValues()
  return { publisher, endpoint }
}

function setClasses(publisher: Publisher, ...classes: readonly number[]) {
  publisher.setClock(...classes.map((value) => ({ kind: 'clock-class', clockClass: value }) as const))
  return publisher.idle()
}

test('a publisher loses the next notifications and no other', async () => {
  const { publisher, endpoint } = await subscribedV2()
  await publisher.faults({ drop: 2 })
  await setClasses(publisher, 1, 2, 3)
  expect(endpoint.takeValues()).toEqual(['3'])
  expect(publisher.deliveries.map(({ outcome }) => outcome)).toEqual([204, 'dropped', 'dropped', 204])
})

test('a publisher repeats a notification byte for byte', async () => {
  const { publisher, endpoint } = await subscribedV2()
  await publisher.faults({ duplicate: 1 })
  await setClasses(publisher, 1, 2)
  expect(endpoint.bodies[0]).toBe(endpoint.bodies[1])
  expect(endpoint.takeValues()).toEqual(['1', '1', '2'])
})

test('a publisher swaps two notifications for one endpoint', async () => {
  const { publisher, endpoint } = await subscribedV2()
  await publisher.faults({ reorder: 1 })
  await setClasses(publisher, 1, 2, 3)
  expect(endpoint.takeValues()).toEqual(['2', '1', '3'])
})

test('ten refusals remove the subscriptions of that consumer alone', async () => {
  const publisher = await start(createRedHatV2({ node: 'n1', release: 'main', warmUpMs: 0 }))
  const good = await startEndpoint()
  const gone = await startEndpoint()
  for (const { url } of [good, gone]) {
    await postJson(`${publisher.url}/api/ocloudNotifications/v2/subscriptions`, {
      EndpointUri: url,
      ResourceAddress: clockClass,
    })
  }
  await gone.close()
  await setClasses(publisher, 1, 2, 3, 4, 5, 6, 7, 8, 9)
  expect(publisher.subscriptions()).toHaveLength(2)
  await setClasses(publisher, 10)
  expect(publisher.subscriptions().map(({ endpoint }) => endpoint)).toEqual([good.url])
})

test('a stuck sidecar hands an event on with the next one, and GET /event on its transport port heals it', async () => {
  const publisher = await start(
    createRedHatV1({ node: 'n1', release: '4.14', warmUpMs: 0, hopTimeoutMs: 20 }),
  )
  const endpoint = await startEndpoint()
  const create = () =>
    postJson(`${publisher.url}/api/ocloudNotifications/v1/subscriptions`, {
      endpointUri: endpoint.url,
      resource: '/cluster/node/n1/sync/ptp-status/ptp-clock-class-change',
    })
  await create()
  endpoint.takeValues()
  await publisher.faults({ stuck: true })
  await setClasses(publisher, 1)
  expect(endpoint.takeValues()).toEqual([])
  await setClasses(publisher, 2)
  expect(endpoint.takeValues()).toEqual(['1'])
  expect((await fetch(`${publisher.transport}/event`)).status).toBe(405)
  await publisher.idle()
  expect(endpoint.takeValues()).toEqual(['2'])
  await setClasses(publisher, 3)
  expect(endpoint.takeValues()).toEqual(['3'])
})

test('ten time-outs mark a v1 client: silence until it is created again', async () => {
  const publisher = await start(
    createRedHatV1({ node: 'n1', release: '4.18', warmUpMs: 0, hopTimeoutMs: 10 }),
  )
  const endpoint = await startEndpoint()
  const resource = '/cluster/node/n1/sync/ptp-status/ptp-clock-class-change'
  const base = `${publisher.url}/api/ocloudNotifications/v1`
  await postJson(`${base}/subscriptions`, { endpointUri: endpoint.url, resource })
  await publisher.faults({ stuck: true })
  for (let value = 1; value <= 10; value += 1) await setClasses(publisher, value)
  await publisher.faults({ stuck: false })
  await publisher.idle()
  endpoint.takeValues()
  await setClasses(publisher, 11)
  expect(endpoint.takeValues()).toEqual([])
  expect((await fetch(`${base}${resource}/CurrentState`)).status).toBe(200)
  await postJson(`${base}/subscriptions`, { endpointUri: endpoint.url, resource })
  await setClasses(publisher, 12)
  expect(endpoint.takeValues()).toEqual(['', '12'])
})

test('switches work over HTTP and refuse what they do not know', async () => {
  const { publisher, endpoint } = await subscribedV2()
  const control = `${publisher.url}/_sim`
  expect((await postJson(`${control}/faults`, { drop: 1 })).status).toBe(204)
  expect((await postJson(`${control}/clock`, { kind: 'clock-class', clockClass: 7 })).status).toBe(204)
  expect((await postJson(`${control}/clock`, [{ kind: 'clock-class', clockClass: 8 }])).status).toBe(204)
  await publisher.idle()
  expect(endpoint.takeValues()).toEqual(['8'])
  expect((await postJson(`${control}/forget`, {})).status).toBe(204)
  expect(await (await fetch(control)).json()).toMatchObject({ node: 'n1', subscriptions: [] })
  expect(await postJson(`${control}/faults`, { dorp: 1 })).toMatchObject({ status: 400 })
  expect((await postJson(`${control}/unknown`, {})).status).toBe(404)
})

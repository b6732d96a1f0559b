import { request } from 'undici'
import { expect, test } from 'vitest'
import { createRedHatV1, createRedHatV2, createStarlingX, type Publisher } from '#local/publishers/index.ts'
import { startConsumer, using } from '../publishers/support/consumer.ts'
import { postJson } from './endpoint.ts'

const NODE = 'node1.example.com'
const LOCK = `/cluster/node/${NODE}/sync/ptp-status/lock-state`

async function figuresOf({ metrics = '' }: Publisher): Promise<string> {
  const { statusCode, headers, body } = await request(metrics)
  expect(statusCode).toBe(200)
  expect(headers['content-type']).toMatch(/^text\/plain/)
  return body.text()
}

async function subscribed(publisher: Publisher, path: string, body: object): Promise<Publisher> {
  using(publisher)
  await publisher.listen()
  expect((await postJson(`${publisher.url}${path}/subscriptions`, body)).status).toBe(201)
  return publisher
}

test('a v2 publisher counts each delivery to a consumer, taken and not taken, until it restarts', async () => {
  const consumer = await startConsumer()
  const publisher = await subscribed(
    createRedHatV2({ node: NODE, release: 'main', warmUpMs: 0, metricsPort: 0 }),
    '/api/ocloudNotifications/v2',
    { EndpointUri: consumer.url, ResourceAddress: LOCK },
  )
  publisher.setClock({ kind: 'lock-state', state: 'LOCKED', offset: 1 })
  await publisher.idle()
  consumer.answer(() => 500)
  publisher.setClock({ kind: 'lock-state', state: 'FREERUN', offset: 1 })
  await publisher.idle()
  const text = await figuresOf(publisher)
  expect(text).toContain(`# TYPE cne_events_received gauge\n`)
  expect(text).toContain(`cne_events_received{type="${LOCK}",status="success"} 1\n`)
  expect(text).toContain(`cne_events_received{type="${LOCK}",status="failed"} 1\n`)
  expect(text).toContain(`cne_api_events_published{address="${LOCK}",status="success"} 2\n`)
  expect(text).toContain('cne_api_subscriptions{status="active"} 1\n')
  await publisher.restart({ replay: false })
  expect(await figuresOf(publisher)).toBe('')
})

test('a v1 sidecar counts what came over its transport and what it passed on', async () => {
  const consumer = await startConsumer()
  const publisher = await subscribed(
    createRedHatV1({ node: NODE, release: '4.14', warmUpMs: 0, metricsPort: 0, hopTimeoutMs: 50 }),
    '/api/ocloudNotifications/v1',
    { endpointUri: consumer.url, resource: LOCK },
  )
  await publisher.faults({ stuck: true })
  publisher.setClock({ kind: 'lock-state', state: 'LOCKED', offset: 1 })
  publisher.setClock({ kind: 'lock-state', state: 'FREERUN', offset: 1 })
  await publisher.idle()
  const text = await figuresOf(publisher)
  expect(text).toContain(`cne_transport_events_received{address="${LOCK}",status="success"} 2\n`)
  expect(text).toContain(`cne_events_received{type="${LOCK}",status="success"} 1\n`)
})

test('without a port for it, and of StarlingX, there are no figures', async () => {
  expect(createRedHatV2({ node: NODE, release: 'main' }).metrics).toBeUndefined()
  expect(createStarlingX({ node: 'controller-0', metricsPort: 0 }).metrics).toBeUndefined()
})

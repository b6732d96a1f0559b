import { createServer } from 'node:http'
import { expect, test } from 'vitest'
import { createRedHatV2 } from '#shared/publishers/dialects/red-hat-v2.ts'
import { placeOf } from '#shared/publishers/target.ts'
import { listen } from '../support/listen.ts'
import { createWorld, startHttp } from '../support/world.ts'

type Answer = { status?: number; body?: string }
const BASE = '/api/ocloudNotifications/v2'
const LOCK = '/cluster/node/n1/sync/ptp-status/lock-state'

/** A publisher that gives canned answers, by method and path; it remembers what it was asked. */
async function startCanned(answers: Readonly<Record<string, Answer>>) {
  const asked: string[] = []
  const url = await listen(
    createServer((request, response) => {
      const line = `${request.method} ${request.url?.replace(BASE, '')}`
      asked.push(line)
      const { status = 200, body = '' } = answers[line] ?? { status: 404, body: '404 page not found\n' }
      response.writeHead(status).end(body)
    }),
  )
  return { asked, url, client: createRedHatV2(startHttp(), placeOf(url), 'n1') }
}

test('a 404 with a text on create is not the warm-up but a server without this API', async () => {
  const { client } = await startCanned({})
  const create = client.create({ address: LOCK, endpoint: 'http://ingest/event/n1' })
  await expect(create).rejects.toMatchObject({ code: 'status', status: 404, retryable: false })
})

test.each(['n1', 'n2'])(
  'of a list that names two nodes the addresses of the configured one count, first or not',
  async (first) => {
    const list = [first, first === 'n1' ? 'n2' : 'n1'].map((node) => ({
      ResourceAddress: `/cluster/node/${node}/sync/ptp-status/lock-state`,
    }))
    const { client } = await startCanned({ 'GET /publishers': { body: JSON.stringify(list) } })
    expect(await client.offer(['lock-state', 'clock-class'])).toEqual({
      outcome: 'offered',
      resources: [{ kind: 'lock-state', address: LOCK }],
      unpublished: ['clock-class'],
      node: 'n1',
    })
  },
)

test('an address is sent as it is, save for what cannot stand in a path', async () => {
  const { asked, client } = await startCanned({})
  await client.currentState('/./a?b#c d%/ü😀/sync').catch(() => {})
  expect(asked).toEqual(['GET /./a%3Fb%23c%20d%25/%C3%BC%F0%9F%98%80/sync/CurrentState'])
})

test.each([
  ['a list that is none', '{"error":"error loading subscriber data"}'],
  ['a list of what are no objects', '["a"]'],
  ['a broken list', '[{'],
  ['a page of something else', '<html></html>'],
])('%s is no list, and its beginning is told', async (_, body) => {
  const { client } = await startCanned({ 'GET /subscriptions': { body } })
  await expect(client.list()).rejects.toMatchObject({
    code: 'body',
    status: 200,
    message: expect.stringContaining(body.slice(0, 10)),
  })
})

test.each(['', ' \n', 'null', '[]'])('a list of nothing may be written %j', async (body) => {
  const { client } = await startCanned({ 'GET /subscriptions': { body } })
  expect(await client.list()).toEqual([])
})

test('a 201 without an id is not taken for a subscription', async () => {
  const { client } = await startCanned({ 'POST /subscriptions': { status: 201, body: '{}' } })
  await expect(client.create({ address: LOCK, endpoint: 'http://i/event/n1' })).rejects.toMatchObject({
    code: 'body',
  })
})

test('a subscription with an old token stays while its successor is not taken yet', async () => {
  const held = {
    SubscriptionId: 'old',
    ResourceAddress: LOCK,
    EndpointUri: 'http://ingest/event/n1/old-token',
  }
  const { asked, url } = await startCanned({
    'GET /publishers': { body: JSON.stringify([{ ResourceAddress: LOCK }]) },
    'GET /subscriptions': { body: JSON.stringify([held]) },
    'POST /subscriptions': { status: 404 },
  })
  const target = { node: 'n1', url, dialect: 'red-hat-v2' } as const
  const { reconciler } = createWorld({
    targets: [target],
    callbackUrl: 'http://ingest',
    secrets: ['the new secret of the callback'],
    kinds: ['lock-state'],
  })
  expect(await reconciler.reconcile(target)).toMatchObject({ outcome: 'failed', retryable: true })
  expect(asked).toEqual(['GET /publishers', 'GET /subscriptions', 'POST /subscriptions'])
})

import { createServer } from 'node:http'
import { expect, test } from 'vitest'
import { createRedHatV1 } from '#local/publishers/index.ts'
import { createRedHatV2 } from '#shared/publishers/dialects/red-hat-v2.ts'
import { detectDialect } from '#shared/publishers/dialects/registry.ts'
import { placeOf } from '#shared/publishers/target.ts'
import { using } from '../support/consumer.ts'
import { listen } from '../support/listen.ts'
import { startHttp } from '../support/world.ts'

const answering = (answers: Readonly<Record<string, { status: number; body?: string }>>) =>
  listen(
    createServer((request, response) => {
      const answer = answers[request.url ?? ''] ?? { status: 404, body: '404 page not found\n' }
      response.writeHead(answer.status).end(answer.body)
    }),
  )

test('the transport port of a v1 sidecar is told apart, with what to configure', async () => {
  const sidecar = using(createRedHatV1({ node: 'n1', release: '4.14', warmUpMs: 0 }))
  await sidecar.listen()
  const detection = detectDialect(startHttp(), placeOf(sidecar.transport ?? ''))
  await expect(detection).rejects.toMatchObject({
    code: 'status',
    retryable: false,
    message: expect.stringMatching(/transport port.*`url`.*sidecar.*`transport`/),
  })
})

test('what speaks no known dialect is told with what it answered', async () => {
  const url = await answering({ '/health': { status: 200, body: 'fine' } })
  await expect(detectDialect(startHttp(), placeOf(url))).rejects.toMatchObject({
    code: 'status',
    retryable: false,
    message: expect.stringMatching(/v2\/health answered 404.*v1\/health 404.*\/health 200.*`dialect`/),
  })
})

test('a proxy that has nobody to ask says nothing about the dialect, and may later', async () => {
  const url = await answering({ '/api/ocloudNotifications/v2/health': { status: 503 } })
  await expect(detectDialect(startHttp(), placeOf(url))).rejects.toMatchObject({
    status: 503,
    retryable: true,
  })
})

test('a publisher behind a path is found under that path', async () => {
  const url = await answering({ '/site-a/api/ocloudNotifications/v1/health': { status: 200, body: 'OK' } })
  expect(await detectDialect(startHttp(), placeOf(`${url}/site-a/`))).toBe('red-hat-v1')
})

test.each(['[]', 'null', '[{"SubscriptionId":"1"}]'])(
  "the daemon's own API, which has no health check, is told by its list %s",
  async (body) => {
    const url = await answering({ '/api/ocloudNotifications/v2/subscriptions': { status: 200, body } })
    expect(await detectDialect(startHttp(), placeOf(url))).toBe('red-hat-v2')
  },
)

test('a page where the list would be is no list', async () => {
  const url = await answering({
    '/api/ocloudNotifications/v2/subscriptions': { status: 200, body: '<html>' },
  })
  await expect(detectDialect(startHttp(), placeOf(url))).rejects.toMatchObject({ code: 'status' })
})

test("of the daemon's own API the well-known addresses are wanted, and its pulls have no query time", async () => {
  const url = await answering({ '/api/ocloudNotifications/v2/subscriptions': { status: 200, body: '[]' } })
  const client = createRedHatV2(startHttp(), placeOf(url), 'n1')
  expect(await client.offer(['lock-state', 'clock-class'])).toEqual({
    outcome: 'offered',
    resources: [
      { kind: 'lock-state', address: '/cluster/node/n1/sync/ptp-status/lock-state' },
      { kind: 'clock-class', address: '/cluster/node/n1/sync/ptp-status/clock-class' },
    ],
    unpublished: [],
    node: undefined,
  })
  expect(client.queryTime).toBe(false)
})

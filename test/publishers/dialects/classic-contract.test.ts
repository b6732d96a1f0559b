import { createServer } from 'node:http'
import { describe, expect, test } from 'vitest'
import { createRedHatV1 } from '#shared/publishers/dialects/red-hat-v1.ts'
import { placeOf } from '#shared/publishers/target.ts'
import { listen } from '../support/listen.ts'
import { startHttp } from '../support/world.ts'

const API = '/api/ocloudNotifications/v1'
const ENDPOINT = 'http://ingest.example.com/event'

/** A sidecar that answers everything with one status and body, and remembers what it was asked. */
async function startSidecar(status: number, body: string) {
  const asked: { line: string; type: string | undefined; body: unknown }[] = []
  const url = await listen(
    createServer(async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk)
      const text = Buffer.concat(chunks).toString('utf8')
      asked.push({
        line: `${request.method} ${request.url}`,
        type: request.headers['content-type'],
        body: text === '' ? undefined : JSON.parse(text),
      })
      response.writeHead(status, { location: '/elsewhere' }).end(body)
    }),
  )
  return { asked, url, client: createRedHatV1(startHttp(), placeOf(url), 'node1.example.com') }
}

describe.each([
  'sync/ptp-status/lock-state',
  'sync/sync-status/os-clock-sync-state',
  'sync/ptp-status/ptp-clock-class-change',
])('the contract of the OpenShift reference for %s', (resource) => {
  const address = `/cluster/node/node1.example.com/${resource}`

  test('createSubscription posts endpointUri and resource, wants 201, and keeps id and uriLocation', async () => {
    const uriLocation = `http://localhost:8089${API}/subscriptions/the-id`
    const object = { id: 'the-id', endpointUri: ENDPOINT, uriLocation, resource: address }
    const { asked, client } = await startSidecar(201, JSON.stringify(object))
    expect(await client.create({ address, endpoint: ENDPOINT })).toEqual({
      outcome: 'created',
      id: 'the-id',
      endpoint: ENDPOINT,
    })
    expect(asked).toEqual([
      {
        line: `POST ${API}/subscriptions`,
        type: 'application/json',
        body: { endpointUri: ENDPOINT, resource: address },
      },
    ])
  })

  test.each([200, 202, 204, 302, 400, 403, 404, 409, 500, 503])(
    'createSubscription reports %i with the URL',
    async (status) => {
      const { url, client } = await startSidecar(status, '')
      await expect(client.create({ address, endpoint: ENDPOINT })).rejects.toMatchObject({
        status,
        url: `${url}${API}/subscriptions`,
        message: `POST ${url}${API}/subscriptions answered ${status}`,
      })
    },
  )

  test('getCurrentState asks for the resource and wants 200', async () => {
    const { asked, client } = await startSidecar(200, '{"specversion":"0.3"}')
    expect(await client.currentState(address)).toMatchObject({
      outcome: 'answered',
      body: '{"specversion":"0.3"}',
    })
    expect(asked).toEqual([{ line: `GET ${API}${address}/CurrentState`, type: undefined, body: undefined }])
  })

  test.each([204, 301, 404, 500])('getCurrentState reports %i', async (status) => {
    const { url, client } = await startSidecar(status, '')
    await expect(client.currentState(address)).rejects.toMatchObject({
      status,
      url: `${url}${API}${address}/CurrentState`,
    })
  })
})

import { createServer } from 'node:http'
import { describe, expect, test } from 'vitest'
import type { Client } from '#shared/publishers/dialects/client.ts'
import { createRegistry } from '#shared/publishers/dialects/registry.ts'
import { listen } from '../support/listen.ts'
import { type Exchange, readRecording } from '../support/recorded.ts'
import { logTo, startHttp } from '../support/world.ts'

const V1_RECORDINGS = ['4.14', '4.18'].flatMap((release) =>
  ['lifecycle', 'registration', 'events-oc', 'events-gm', 'events-dual', 'stuck-sidecar'].map(
    (scenario) => `release-${release}-v1/${scenario}`,
  ),
)
const V2_RECORDINGS = [
  ...['lifecycle', 'drop', 'restart', 'events-oc', 'events-gm', 'events-dual'].flatMap((scenario) => [
    `main-v2/${scenario}`,
    `release-4.18-v2/${scenario}`,
  ]),
  'main-v2/events-tbc',
]

/** A server that gives every request the answer recorded last, and remembers what it was asked. */
async function startReplay(dialect: 'red-hat-v1' | 'red-hat-v2') {
  let answer: Exchange['response'] = null
  const asked: { method: string; target: string; body: string }[] = []
  const url = await listen(
    createServer(async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk)
      asked.push({
        method: request.method ?? '',
        target: request.url ?? '',
        body: Buffer.concat(chunks).toString('utf8'),
      })
      if (answer === null) request.socket.destroy()
      else response.writeHead(answer.status, answer.headers).end(answer.body)
    }),
  )
  const target = { node: 'node1.example.com', url, dialect }
  const client = await createRegistry({ http: startHttp(), log: logTo([]) }).client(target)
  return {
    client,
    /** Makes the call of the client that the exchange records, and gives what came of it. */
    async replay(exchange: Exchange): Promise<{ outcome: unknown; asked: unknown } | undefined> {
      answer = exchange.response
      asked.length = 0
      const call = callOf(client, dialect, exchange)
      const outcome = await call?.().catch((error: unknown) => error)
      return call === undefined ? undefined : { outcome, asked: asked[0] }
    },
  }
}

/** The client's call for what a recorded consumer asked; undefined for what our client never asks. */
function callOf(
  client: Client,
  dialect: keyof typeof BODIES,
  { request }: Exchange,
): (() => Promise<unknown>) | undefined {
  const base = `/api/ocloudNotifications/${dialect.slice(-2)}`
  if (!request.target.startsWith(base)) return undefined
  const path = request.target.slice(base.length)
  const [, id] = /^\/subscriptions\/([^/]+)$/.exec(path) ?? []
  const [, address] = /^(\/.+)\/CurrentState$/.exec(path) ?? []
  const { method } = request
  if (method === 'GET' && path === '/subscriptions') return () => client.list()
  if (method === 'DELETE' && id !== undefined) return () => client.remove(id)
  if (method === 'GET' && address !== undefined) return () => client.currentState(address)
  if (method !== 'POST' || path !== '/subscriptions') return undefined
  const wanted = bodyOf(request.body, dialect)
  return wanted === undefined ? undefined : () => client.create(wanted)
}

const BODIES = {
  'red-hat-v1': /^\{"endpointUri":"([^"\s]+)","resource":"([^"]+)"\}$/,
  'red-hat-v2': /^\{"EndpointUri":"([^"\s]+)","ResourceAddress":"([^"]+)"\}$/,
} as const

/** A body that is exactly what our client sends; others probe the publisher's checks. */
function bodyOf(
  text: string | null,
  dialect: keyof typeof BODIES,
): { address: string; endpoint: string } | undefined {
  const [, endpoint, address] = BODIES[dialect].exec(text ?? '') ?? []
  return endpoint === undefined || address === undefined ? undefined : { address, endpoint }
}

/** What the client must make of a recorded answer, by the tables of protocol.md §2 and §3. */
function expectedOf(exchange: Exchange, dialect: 'red-hat-v1' | 'red-hat-v2'): unknown {
  const { request, response } = exchange
  if (response === null) return { code: 'unreachable' }
  const { status, body } = response
  const unexpected = { code: 'status', status }
  if (request.target.endsWith('/CurrentState')) {
    if (status === 200) return { outcome: 'answered', body }
    if (/dial tcp/.test(body)) return { code: 'unreachable', status }
    return status === 400 || status === 404 ? { outcome: 'none', cause: causeOf(body, dialect) } : unexpected
  }
  if (request.method === 'POST') {
    if (status === 201) {
      const [, endpoint] = /"[eE]ndpointUri":"([^"]*)"/.exec(body) ?? []
      const asked = bodyOf(request.body, dialect)?.endpoint
      return { outcome: endpoint === asked ? 'created' : 'foreign', endpoint }
    }
    if (status === 409) return { outcome: 'exists' }
    return status === 404 && body === '' ? { outcome: 'not-ready' } : unexpected
  }
  if (request.method === 'DELETE') return status === 200 || status === 204
  if (request.target.endsWith('/subscriptions')) {
    const list: unknown = body === '' ? [] : (JSON.parse(body) ?? [])
    return Array.isArray(list)
      ? list.map(() => expect.objectContaining({ id: expect.stringMatching(/./) }))
      : list
  }
  return undefined
}

function causeOf(body: string, dialect: 'red-hat-v1' | 'red-hat-v2'): string {
  if (dialect === 'red-hat-v2') return 'unknown'
  if (/^\{"error":"subscription not found"\}/.test(body)) return 'not-subscribed'
  if (/not registered|requesting client/.test(body)) return 'unregistered'
  if (/onReceive/.test(body)) return 'not-ready'
  return /event data not found|could not find any events/.test(body) ? 'no-data' : 'unknown'
}

for (const [dialect, recordings] of [
  ['red-hat-v1', V1_RECORDINGS],
  ['red-hat-v2', V2_RECORDINGS],
] as const) {
  describe(`what ${dialect} publishers answered is understood`, () => {
    test.each(recordings)('%s', async (name) => {
      const replay = await startReplay(dialect)
      let count = 0
      for (const exchange of readRecording(name)) {
        const replayed = await replay.replay(exchange)
        if (replayed === undefined) continue
        count += 1
        const { method, target, body } = exchange.request
        const outcome = expectedOf(exchange, dialect)
        expect(replayed.asked, `#${exchange.n}`).toEqual({ method, target, body: body ?? '' })
        if (isPlain(outcome)) expect(replayed.outcome, `#${exchange.n}`).toMatchObject(outcome)
        else expect(replayed.outcome, `#${exchange.n}`).toEqual(outcome)
      }
      expect(count).toBeGreaterThan(2)
    })
  })
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}

test('v1: 4.18 lists written in both casings are read', async () => {
  const { client, replay } = await startReplay('red-hat-v1')
  const mixed = readRecording('release-4.18-v1/lifecycle').find(
    ({ request, response }) =>
      request.target.endsWith('/subscriptions') &&
      /"EndpointUri"[\s\S]*"endpointUri"/.test(response?.body ?? ''),
  )
  if (mixed === undefined) throw new Error('The recording has no mixed list')
  await replay(mixed)
  const held = await client.list()
  expect(held.length).toBeGreaterThan(2)
  expect(held.every(({ id, address }) => id !== '' && address !== '')).toBe(true)
})

import { createServer, type ServerResponse } from 'node:http'
import { text as textOf } from 'node:stream/consumers'
import { request } from 'undici'
import * as z from 'zod/mini'
import { listen } from '../publishers/support/listen.ts'
import { filled, type Told } from './case.ts'

const asked = z.looseObject({ EndpointUri: z.string(), ResourceAddress: z.string() })
type Held = z.infer<typeof asked> & { readonly SubscriptionId: string; readonly UriLocation?: string }

/** A publisher that answers as a case says. Ends with the test. */
export async function startToldPublisher(first: Told) {
  let told = first
  let held: Held[] = [...(first.subscriptions ?? [])]
  let made = 0

  const create = async (response: ServerResponse, base: string, body: string) => {
    const { EndpointUri, ResourceAddress } = asked.parse(JSON.parse(body))
    const refusal = told.refuses?.[ResourceAddress]
    if (refusal !== undefined) return answer(response, refusal)
    const isThere = held.some(
      (one) => one.ResourceAddress === ResourceAddress && one.EndpointUri === EndpointUri,
    )
    if (isThere && told.duplicates !== true) return answer(response, 409)
    made += 1
    const SubscriptionId = `00000000-0000-4000-8000-${String(made).padStart(12, '0')}`
    const UriLocation = `http://localhost${base}/subscriptions/${SubscriptionId}`
    const one = {
      SubscriptionId,
      EndpointUri,
      ResourceAddress,
      ...(told.location !== false && { UriLocation }),
    }
    const initial = told.initial?.[ResourceAddress]
    if (initial !== undefined) {
      const headers = { 'content-type': 'application/json' }
      const sent = await request(EndpointUri, { method: 'POST', headers, body: written(initial) })
      await sent.body.dump()
    }
    held.push(one)
    return answer(response, 201, one)
  }

  const byId = (response: ServerResponse, method: string, id: string) => {
    const found = held.find(({ SubscriptionId }) => SubscriptionId === id)
    if (found === undefined) return answer(response, 404)
    if (method !== 'DELETE') return answer(response, 200, found)
    held = held.filter((one) => one !== found)
    return answer(response, 204)
  }

  const server = createServer(async (incoming, response) => {
    const { method = '', url = '', headers } = incoming
    const body = await textOf(incoming)
    const { base = '/api/ocloudNotifications/v2', token } = told
    if (token !== undefined && headers.authorization !== `Bearer ${token}`)
      return answer(response, 401, 'Unauthorized\n', 'text/plain')
    const own = told.routes?.[`${method} ${url}`]
    if (own !== undefined) return answer(response, own.status ?? 200, own.body, own.type)
    const path = url.startsWith(base) ? url.slice(base.length) : ''
    if (path === '/subscriptions' && method === 'POST') return await create(response, base, body)
    if (path === '/subscriptions') return answer(response, 200, held.length === 0 ? (told.empty ?? []) : held)
    const [, id] = /^\/subscriptions\/(.+)$/.exec(path) ?? []
    if (id !== undefined) return byId(response, method, id)
    if (path === '/health' && told.health !== false) return answer(response, 200, 'OK', 'text/plain')
    if (path === '/publishers' && told.published !== undefined) {
      const all = told.published.map((ResourceAddress) => ({
        ResourceAddress,
        EndpointUri: 'http://localhost/dummy',
        SubscriptionId: 'p',
        UriLocation: 'http://localhost/p',
      }))
      return answer(response, 200, all)
    }
    const [, address = ''] = /^(\/.+)\/CurrentState$/.exec(path) ?? []
    const current = told.resources?.[address]
    if (typeof current === 'number') return answer(response, current)
    if (current !== undefined) return answer(response, 200, current)
    return answer(response, 404, '404 page not found\n', 'text/plain')
  })
  return {
    url: await listen(server),
    become(more: Told) {
      told = { ...told, ...more }
    },
    held: () => held.map(({ ResourceAddress }) => ResourceAddress),
  }
}

function answer(response: ServerResponse, status: number, body: unknown = '', type = 'application/json') {
  response.writeHead(status, { 'content-type': type }).end(written(body))
}

function written(body: unknown): string {
  return filled(typeof body === 'string' ? body : JSON.stringify(body))
}

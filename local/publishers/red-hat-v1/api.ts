import type { Core } from '../core.ts'
import type { Figures } from '../figures.ts'
import { createMux, empty, json, plain } from '../http/go-mux.ts'
import type { SimReply, SimRequest } from '../http/server.ts'
import { resourceIn, resources } from '../red-hat/resources.ts'
import { data, dataV1 } from '../red-hat/values.ts'
import type { Producer } from './producer.ts'
import { readRequestV1, type StoreV1, type SubscriptionV1, showV1 } from './subscriptions.ts'

export interface ApiPartsV1 {
  readonly core: Core
  readonly figures: Figures
  readonly base: string
  readonly release: '4.14' | '4.18'
  readonly port: () => number
  readonly subscriptions: StoreV1
  readonly producer: Producer
  /** How long the sidecar waits for a consumer's endpoint to be validated (ms). */
  readonly validationTimeoutMs: number
  /** How long it waits for a CurrentState (ms). */
  readonly stateTimeoutMs: number
}

/** The sidecar's REST API (protocol.md §2.2 to §2.5): every error is a 400 with a JSON text. */
export function createApiV1(parts: ApiPartsV1) {
  const { core, figures, base, release, subscriptions, producer } = parts
  const location = () => `http://localhost:${parts.port()}${base}`
  const at = (path: string) => new RegExp(`^${base}${path}$`)
  const failed = (error: string) => json(400, { error })
  const shown = (subscription: SubscriptionV1) => showV1(subscription, location(), release)
  const byId = (id: string | undefined) => subscriptions.byId(id ?? '')

  async function create(request: SimRequest): Promise<SimReply> {
    const wanted = readRequestV1(request.body, release)
    if (!wanted) return failed('marshalling error')
    if (wanted.endpoint) {
      const outcome = await core.call(wanted.endpoint, null, 'validation', parts.validationTimeoutMs)
      if (outcome.kind !== 'status') return failed(outcome.error)
      if (outcome.status !== 204) {
        return failed('return url validation check failed for create subscription.check endpointURI')
      }
    }
    if (!subscriptions.at(wanted.resource)) figures.count('cne_api_subscriptions', { status: 'active' })
    const subscription = subscriptions.create(wanted)
    // A duplicate registers again as well, which is the cheap repair (protocol.md §2.4).
    producer.register(wanted.resource)
    return json(201, shown(subscription))
  }

  async function currentState(path: string): Promise<SimReply> {
    const subscription = subscriptions.find(({ resource }) => resource.includes(path))
    if (!subscription) return failed('subscription not found')
    const fault = core.faults.stateAnswer(resourceIn(subscription.resource, resources)?.kind)
    if (fault === 'hang') {
      await core.pause(parts.stateTimeoutMs)
      return failed('timeout waiting for status')
    }
    // The sidecar turns whatever goes wrong behind it into a 400.
    if (fault) return failed(`${JSON.stringify({ message: 'event data not found' })}\n`)
    const pulled = producer.currentState(subscription.resource)
    if ('error' in pulled) return failed(pulled.error)
    const { resource, address, time, values } = pulled.event
    return json(200, {
      specversion: '0.3',
      id: core.uuid(),
      source: resource.suffix,
      type: resource.type,
      subject: address,
      datacontenttype: 'application/json',
      time,
      data: release === '4.14' ? dataV1(values) : data(values),
    })
  }

  function deleteOne(id: string | undefined): SimReply {
    // 4.14 has nothing to say of an unknown id; later ones do (protocol.md §2.2).
    if (!subscriptions.remove(id ?? '') && release !== '4.14') return failed('subscription not found')
    return json(200, { status: 'OK' })
  }

  return createMux(
    [
      { method: 'GET', path: at('/health'), handle: () => plain(200, 'OK') },
      { method: 'POST', path: at('/subscriptions'), handle: create },
      {
        method: 'GET',
        path: at('/subscriptions'),
        handle: () => {
          const all = subscriptions.listed().map(shown)
          return json(200, all.length > 0 ? JSON.stringify(all, null, 1) : '')
        },
      },
      {
        method: 'DELETE',
        path: at('/subscriptions'),
        handle: () => {
          subscriptions.removeAll()
          producer.unregisterAll()
          return json(200, { status: 'deleted all subscriptions' })
        },
      },
      {
        method: 'GET',
        path: at('/subscriptions/([^/]+)'),
        handle: (_, [, id]) => {
          const subscription = byId(id)
          return subscription ? json(200, shown(subscription)) : failed('subscription not found')
        },
      },
      { method: 'DELETE', path: at('/subscriptions/([^/]+)'), handle: (_, [, id]) => deleteOne(id) },
      {
        method: 'PUT',
        path: at('/subscriptions/status/([^/]+)'),
        handle: (_, [, id]) =>
          byId(id) ? json(202, { status: 'ping sent' }) : failed('subscription not found'),
      },
      { method: 'GET', path: at('/publishers'), handle: () => json(200, '') },
      { method: 'GET', path: at('/publishers/([^/]+)'), handle: () => failed('publisher not found') },
      {
        method: 'POST',
        path: at('/create/event'),
        handle: () => failed('no publisher data for id  found to publish event for'),
      },
      { method: 'POST', path: at('/log'), handle: () => json(202, { status: 'Event published to log' }) },
      { method: 'POST', path: at('/dummy'), handle: () => json(204, '') },
      { method: 'GET', path: at('(/.+)/CurrentState'), handle: (_, [, path = '']) => currentState(path) },
    ],
    `${base}/`,
  )
}

/** The sidecar's transport port: `/health` to any method, and the two paths of the v1 transport. */
export function createTransport(heal: () => void) {
  return (request: SimRequest): SimReply => {
    if (request.path === '/health') return plain(200, '{"ok":true}\n')
    if (request.path !== '/event' && request.path !== '/subscription')
      return plain(404, '404 page not found\n')
    if (request.method === 'POST') return empty(415)
    if (request.path === '/event') heal()
    return empty(405)
  }
}

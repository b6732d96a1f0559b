import type { Core } from '../core.ts'
import type { Figures } from '../figures.ts'
import { createMux, empty, json, notFound, plain } from '../http/go-mux.ts'
import type { SimReply, SimRequest } from '../http/server.ts'
import { type Resource, resourceIn } from '../red-hat/resources.ts'
import { readRequest, type SubscriptionV2, show } from './subscriptions.ts'

export interface ApiParts {
  readonly core: Core
  readonly figures: Figures
  readonly base: string
  readonly acceptsV1Keys: boolean
  readonly port: () => number
  /** What may be subscribed. */
  readonly known: readonly Resource[]
  readonly published: readonly {
    readonly resource: Resource
    readonly id: string
    readonly address: string
  }[]
  readonly subscriptions: Map<string, SubscriptionV2>
  /** The body of a pull, or undefined for 404. */
  readonly currentState: (resource: Resource) => string | undefined
  readonly initial: (resource: Resource) => string
}

/** The REST API of protocol.md §3. Errors are a bare status, save those of the internal endpoints. */
export function createApi(parts: ApiParts) {
  const { core, figures, base, subscriptions, published } = parts
  const location = () => `http://localhost:${parts.port()}${base}`
  const at = (path: string) => new RegExp(`^${base}${path}$`)
  const dummy = json(204, '')

  async function create(request: SimRequest): Promise<SimReply> {
    const wanted = readRequest(request.body, parts.acceptsV1Keys)
    if (!wanted) return empty(400)
    const { address, endpoint } = wanted
    const isTaken = [...subscriptions.values()].some((s) => s.address === address && s.endpoint === endpoint)
    if (isTaken) return empty(409)
    if (!core.ready) return empty(404)
    const resource = resourceIn(address, parts.known)
    if (!resource) return empty(404)
    const outcome = await core.call(endpoint, parts.initial(resource), 'initial')
    if (outcome.kind !== 'status' || outcome.status !== 204) return empty(400)
    const subscription = { ...wanted, id: core.uuid() }
    subscriptions.set(subscription.id, subscription)
    figures.count('cne_api_subscriptions', { status: 'active' })
    return json(201, show(subscription, location()))
  }

  /** 404 unless somebody is subscribed to exactly this address and there is something to tell (§3.4). */
  function currentState(address: string): SimReply {
    const resource = resourceIn(address, parts.known)
    const fault = core.faults.stateAnswer(resource?.kind)
    if (fault) return fault === 'hang' ? 'hang' : empty(fault)
    const isSubscribed = [...subscriptions.values()].some((s) => s.address === address)
    const isPublished = published.some((source) => source.address.includes(address))
    if (!resource || !isSubscribed || !isPublished || !core.ready) return empty(404)
    const body = parts.currentState(resource)
    return body === undefined ? empty(404) : json(200, body)
  }

  const publisherObject = ({ id, address }: { id: string; address: string }) =>
    show({ id, address, endpoint: `${location()}/dummy`, spelling: 'v2' }, location(), 'publishers')

  return createMux(
    [
      { method: 'GET', path: at('/health'), handle: () => plain(200, 'OK') },
      { method: 'POST', path: at('/subscriptions'), handle: create },
      {
        method: 'GET',
        path: at('/subscriptions'),
        handle: () => {
          const all = [...subscriptions.values()].map((subscription) => show(subscription, location()))
          return json(200, all.length > 0 ? JSON.stringify(all, null, 1) : 'null')
        },
      },
      {
        method: 'DELETE',
        path: at('/subscriptions'),
        handle: () => {
          subscriptions.clear()
          return empty(204)
        },
      },
      {
        method: 'GET',
        path: at('/subscriptions/([^/]+)'),
        handle: (_, [, id = '']) => {
          const subscription = subscriptions.get(id)
          return subscription ? json(200, show(subscription, location())) : empty(404)
        },
      },
      {
        method: 'DELETE',
        path: at('/subscriptions/([^/]+)'),
        handle: (_, [, id = '']) => {
          if (!subscriptions.delete(id)) return empty(404)
          figures.count('cne_api_subscriptions', { status: 'active' }, -1)
          return empty(204)
        },
      },
      {
        method: 'GET',
        path: at('/publishers'),
        handle: () => json(200, core.ready ? JSON.stringify(published.map(publisherObject), null, 1) : ''),
      },
      {
        method: 'GET',
        path: at('/publishers/([^/]+)'),
        handle: (_, [, id]) => {
          const found = published.find((source) => source.id === id)
          return found ? json(200, publisherObject(found)) : json(400, { error: 'publisher not found' })
        },
      },
      {
        method: 'PUT',
        path: at('/subscriptions/status/([^/]+)'),
        handle: () => json(400, { error: 'subscription not found' }),
      },
      {
        method: 'POST',
        path: at('/create/event'),
        handle: () => json(400, { error: 'no publisher data for id  found to publish event for' }),
      },
      { method: 'POST', path: at('/log'), handle: () => json(202, { status: 'Event published to log' }) },
      { method: 'POST', path: at('/dummy2?'), handle: () => dummy },
      {
        method: 'GET',
        path: at('(/.+)/CurrentState'),
        handle: (_, [, address]) => (address === undefined ? notFound : currentState(address)),
      },
    ],
    `${base}/`,
  )
}

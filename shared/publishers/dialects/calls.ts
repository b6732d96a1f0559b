import type { HttpAnswer, CallOptions, Http } from '#shared/http/client.ts'
import { type Place, pathOf } from '#shared/publishers/target.ts'
import type { Created, CurrentState } from './client.ts'
import { errorMessage, readList, readPull, readSubscription, unexpected } from './wire.ts'

/**
 * What the clients of several dialects share. `base`: the path of the API. `nothing`: the statuses that mean "no
 * subscriptions", or "none with this id".
 */
export function createCalls(
  http: Http,
  { origin, prefix, shown }: Place,
  node: string,
  base: string,
  nothing: { readonly list?: number; readonly id: readonly number[] },
) {
  const get = (path: string, options?: CallOptions) =>
    http.request(origin, { method: 'GET', path: `${prefix}${base}${path}` }, options)
  const subscriptions = `${prefix}${base}/subscriptions`
  const post = (body: object, options?: CallOptions) =>
    http.request(origin, { method: 'POST', path: subscriptions, body: JSON.stringify(body) }, options)

  return {
    node,
    url: shown,
    get,
    post,

    async list(options?: CallOptions) {
      const answer = await get('/subscriptions', options)
      if (answer.status === nothing.list) return []
      if (answer.status !== 200) throw unexpected(answer)
      return readList(answer)
    },

    async remove(id: string, options?: CallOptions) {
      const path = `${subscriptions}/${encodeURIComponent(id)}`
      const answer = await http.request(origin, { method: 'DELETE', path }, options)
      if (answer.status === 200 || answer.status === 204) return true
      if (nothing.id.includes(answer.status)) return false
      throw unexpected(answer)
    },

    /** A create in version 2. `notReady` gives the reason behind a 404. */
    async createV2(
      { address, endpoint }: { address: string; endpoint: string },
      notReady: (answer: HttpAnswer) => string,
      options?: CallOptions,
    ): Promise<Created> {
      const answer = await post({ EndpointUri: endpoint, ResourceAddress: address }, options)
      if (answer.status === 409) return { outcome: 'exists', reason: errorMessage(answer.body) }
      if (answer.status === 404) return { outcome: 'not-ready', reason: notReady(answer) }
      if (answer.status !== 200 && answer.status !== 201) throw unexpected(answer)
      const held = readSubscription(answer)
      return { outcome: 'created', id: held.id, endpoint: held.endpoint }
    },

    /** A pull in version 2. */
    async pullV2(address: string, options?: CallOptions): Promise<CurrentState> {
      const answer = await get(`${pathOf(address)}/CurrentState`, options)
      const { status, sentAt, receivedAt } = answer
      if (status === 200) return readPull(answer, node)
      if (status !== 404 && status !== 400) throw unexpected(answer)
      const message = errorMessage(answer.body)
      const reason = message === '' ? `it answered ${status}` : `it answered ${status}: ${message}`
      // Not subscribed, no data and not ready all look the same here (protocol.md §3.4).
      return { outcome: 'none', cause: 'unknown', reason, sentAt, receivedAt }
    },
  }
}

import type { Answer, CallOptions, Http } from '#shared/http/client.ts'
import { type Place, pathOf } from '#shared/publishers/target.ts'
import type { Created, CurrentState } from './client.ts'
import { messageOf, readList, readPull, readSubscription, unexpected } from './wire.ts'

export type Calls = ReturnType<typeof createCalls>

/** Statuses by which a dialect says that it holds no subscriptions, or none of an id. */
type Nothing = { readonly list?: readonly number[]; readonly id: readonly number[] }

/** The calls of one publisher; `base` is the path of its API. */
export function createCalls(http: Http, { origin, prefix }: Place, base: string, nothing: Nothing) {
  const subscriptions = `${prefix}${base}/subscriptions`
  const get = (path: string, options?: CallOptions) =>
    http.request(origin, { method: 'GET', path: `${prefix}${base}${path}` }, options)
  return {
    get,
    post: (body: object, options?: CallOptions) =>
      http.request(origin, { method: 'POST', path: subscriptions, body: JSON.stringify(body) }, options),

    async list(options?: CallOptions) {
      const answer = await get('/subscriptions', options)
      if (nothing.list?.includes(answer.status)) return []
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
  }
}

/** A create of version 2. `notReady`: why a 404 means that it cannot be created yet. */
export async function createOverV2(
  calls: Calls,
  { address, endpoint }: { address: string; endpoint: string },
  notReady: (answer: Answer) => string,
  options?: CallOptions,
): Promise<Created> {
  const answer = await calls.post({ EndpointUri: endpoint, ResourceAddress: address }, options)
  switch (answer.status) {
    case 200:
    case 201: {
      const held = readSubscription(answer)
      return { outcome: 'created', id: held.id, endpoint: held.endpoint }
    }
    case 409:
      return { outcome: 'exists', reason: messageOf(answer.body) }
    case 404:
      return { outcome: 'not-ready', reason: notReady(answer) }
    default:
      throw unexpected(answer)
  }
}

/** A pull of version 2. */
export async function pullOverV2(
  calls: Calls,
  node: string,
  address: string,
  options?: CallOptions,
): Promise<CurrentState> {
  const answer = await calls.get(`${pathOf(address)}/CurrentState`, options)
  const { status, sentAt, receivedAt } = answer
  if (status === 200) return readPull(answer, node)
  if (status !== 404 && status !== 400) throw unexpected(answer)
  const message = messageOf(answer.body)
  const reason = message === '' ? `it answered ${status}` : `it answered ${status}: ${message}`
  // Not subscribed, no data and not ready all look the same here (protocol.md §3.4).
  return { outcome: 'none', cause: 'unknown', reason, sentAt, receivedAt }
}

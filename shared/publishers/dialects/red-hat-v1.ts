import { PublisherError } from '#shared/errors.ts'
import type { CallOptions, Client, DialectFacts, NoStateCause, Resource } from './client.ts'
import type { Http } from '#shared/http/client.ts'
import { resourceOf, V1_KINDS } from './addresses.ts'
import { type Place, pathOf } from '#shared/publishers/target.ts'
import { messageOf, readList, readSubscription, unexpected } from './wire.ts'

export const RED_HAT_V1_BASE = '/api/ocloudNotifications/v1'

export const RED_HAT_V1: DialectFacts = {
  dialect: 'red-hat-v1',
  sendsInitial: false,
  queryTime: true,
  listProves: false,
  uniqueBy: 'resource',
  kinds: V1_KINDS,
}

/** The sidecar waits up to 10 s for our endpoint while it creates (protocol.md §2.3). */
const CREATE_DEADLINE_MS = 12_000
/** And up to 5 s for its publisher on a pull (§2.5). */
const PULL_DEADLINE_MS = 7_000

/**
 * The texts by which a sidecar says why there is no state (protocol.md §2.5), and what stands behind them.
 * `unreachable` and `timeout`: the sidecar answers, its publisher does not.
 */
const REASONS: readonly (readonly [RegExp, NoStateCause | 'unreachable' | 'timeout'])[] = [
  [/is not registered with the event publisher/, 'unregistered'],
  [/not found for the requesting client/, 'unregistered'],
  [/^subscription not found/, 'not-subscribed'],
  [/event data not found/, 'no-data'],
  [/could not find any events/, 'no-data'],
  [/onReceive function not defined/, 'not-ready'],
  [/no publisher endpoint was configured/, 'not-ready'],
  [/time ?out waiting for status/i, 'timeout'],
  [/deadline exceeded|i\/o timeout|Client\.Timeout/, 'timeout'],
  [/dial tcp|connection re(fused|set)|no such host|\bEOF\b/, 'unreachable'],
]

/** The sidecar of 4.10 to 4.18 (protocol.md §2). Addresses are made of the configured node: it has no list of them. */
export function createRedHatV1(http: Http, place: Place, node: string): Client {
  const base = `${place.prefix}${RED_HAT_V1_BASE}`
  const get = (path: string, options?: CallOptions) =>
    http.request(place.origin, { method: 'GET', path: `${base}${path}` }, options)

  return {
    ...RED_HAT_V1,
    node,
    url: place.shown,

    async health(options) {
      const answer = await get('/health', options)
      if (answer.status !== 200) throw unexpected('GET', answer)
    },

    async offer(kinds) {
      const resources = kinds.flatMap((kind): Resource[] => {
        const resource = V1_KINDS.includes(kind) ? resourceOf(kind, 'v1') : undefined
        return resource === undefined ? [] : [{ kind, address: `/cluster/node/${node}/${resource}` }]
      })
      const unpublished = kinds.filter((kind) => !V1_KINDS.includes(kind))
      return { outcome: 'offered', resources, unpublished, node: undefined }
    },

    async list(options) {
      const answer = await get('/subscriptions', options)
      if (answer.status !== 200) throw unexpected('GET', answer)
      return readList(answer)
    },

    async create({ address, endpoint }, options) {
      const answer = await http.request(
        place.origin,
        {
          method: 'POST',
          path: `${base}/subscriptions`,
          body: JSON.stringify({ endpointUri: endpoint, resource: address }),
        },
        { deadlineMs: CREATE_DEADLINE_MS, ...options },
      )
      if (answer.status !== 201) throw unexpected('POST', answer)
      const { id, location, endpoint: kept } = readSubscription(answer)
      // The one that exists for this resource comes back, whoever made it (protocol.md §2.4).
      return { outcome: kept === endpoint ? 'created' : 'foreign', id, location, endpoint: kept }
    },

    async get(id, options) {
      const answer = await get(`/subscriptions/${encodeURIComponent(id)}`, options)
      if (answer.status === 400 && /not found/.test(messageOf(answer.body))) return undefined
      if (answer.status !== 200) throw unexpected('GET', answer)
      return readSubscription(answer)
    },

    async remove(id, options) {
      const path = `${base}/subscriptions/${encodeURIComponent(id)}`
      const answer = await http.request(place.origin, { method: 'DELETE', path }, options)
      if (answer.status === 200 || answer.status === 204) return true
      // 4.16 to 4.18 refuse an unknown id, 4.14 says OK to it (protocol.md §2.2).
      if (answer.status === 400 || answer.status === 404) return false
      throw unexpected('DELETE', answer)
    },

    async currentState(address, options) {
      const answer = await get(`${pathOf(address)}/CurrentState`, {
        deadlineMs: PULL_DEADLINE_MS,
        ...options,
      })
      const { body, sentAt, receivedAt, status } = answer
      if (status === 200) return { outcome: 'answered', body, sentAt, receivedAt }
      if (status !== 400) throw unexpected('GET', answer)
      const reason = messageOf(body)
      const cause = REASONS.find(([pattern]) => pattern.test(reason))?.[1] ?? 'unknown'
      if (cause === 'unreachable' || cause === 'timeout') {
        const url = answer.url()
        const message = `The publisher behind the sidecar did not answer GET ${url}: ${reason}`
        throw new PublisherError(cause, message, { url, status, retryable: true })
      }
      return { outcome: 'none', cause, reason, sentAt, receivedAt }
    },
  }
}

import type { CallOptions, Client, DialectFacts, Resource } from './client.ts'
import type { Http } from './http.ts'
import { ALL_KINDS, resourceOf } from './resources.ts'
import type { Place } from './target.ts'
import { createV2Calls } from './v2-calls.ts'
import { messageOf, readList, readSubscription, unexpected } from './wire.ts'

export const STARLINGX_V2_BASE = '/ocloudNotifications/v2'

export const STARLINGX_V2: DialectFacts = {
  dialect: 'starlingx-v2',
  sendsInitial: true,
  queryTime: false,
  listProves: true,
  uniqueBy: 'resource-and-endpoint',
  kinds: ALL_KINDS,
}

/** It tries our endpoint three times, 2 s each, for each instance (starlingx.md). */
const CREATE_DEADLINE_MS = 15_000

/**
 * The notification sidecar of StarlingX (starlingx.md). Addresses are `/./<node>/sync/…`: one resource each, since
 * the hierarchical ones lose events that are close in time.
 */
export function createStarlingX(http: Http, place: Place, node: string): Client {
  const base = `${place.prefix}${STARLINGX_V2_BASE}`
  const get = (path: string, options?: CallOptions) =>
    http.request(place.origin, { method: 'GET', path: `${base}${path}` }, options)

  return {
    ...STARLINGX_V2,
    ...createV2Calls(http, place, base),
    node,
    url: place.shown,

    async health(options) {
      const answer = await http.request(
        place.origin,
        { method: 'GET', path: `${place.prefix}/health` },
        options,
      )
      if (answer.status !== 200) throw unexpected('GET', answer)
    },

    async offer(kinds) {
      const resources = kinds.flatMap((kind): Resource[] => {
        const resource = resourceOf(kind, 'v2')
        return resource === undefined ? [] : [{ kind, address: `/./${node}/${resource}` }]
      })
      const unpublished = kinds.filter((kind) => resourceOf(kind, 'v2') === undefined)
      return { outcome: 'offered', resources, unpublished, node: undefined }
    },

    async list(options) {
      const answer = await get('/subscriptions', options)
      // An empty store is a 404 to some images.
      if (answer.status === 404) return []
      if (answer.status !== 200) throw unexpected('GET', answer)
      return readList(answer)
    },

    async create({ address, endpoint }, options) {
      const body = JSON.stringify({ EndpointUri: endpoint, ResourceAddress: address })
      const answer = await http.request(
        place.origin,
        { method: 'POST', path: `${base}/subscriptions`, body },
        { deadlineMs: CREATE_DEADLINE_MS, ...options },
      )
      switch (answer.status) {
        case 200:
        case 201: {
          const held = readSubscription(answer)
          return { outcome: 'created', id: held.id, location: held.location, endpoint: held.endpoint }
        }
        case 409:
          return { outcome: 'exists', reason: messageOf(answer.body) }
        case 404:
          return { outcome: 'not-ready', reason: messageOf(answer.body) || 'it answered 404' }
        default:
          throw unexpected('POST', answer)
      }
    },
  }
}

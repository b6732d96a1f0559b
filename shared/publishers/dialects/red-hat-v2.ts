import type { CallOptions, Client, DialectFacts, Resource } from './client.ts'
import type { Http } from '#shared/http/client.ts'
import { ALL_KINDS, kindOfAddress, nodeOfAddress, resourceOf } from './addresses.ts'
import type { Place } from '#shared/publishers/target.ts'
import { createV2Calls } from './v2-calls.ts'
import type { Answer } from '#shared/http/exchange.ts'
import { messageOf, readList, readSubscription, rememberingText, unexpected } from './wire.ts'

export const RED_HAT_V2_BASE = '/api/ocloudNotifications/v2'

export const RED_HAT_V2: DialectFacts = {
  dialect: 'red-hat-v2',
  sendsInitial: true,
  queryTime: true,
  listProves: true,
  uniqueBy: 'resource-and-endpoint',
  kinds: ALL_KINDS,
}

type Published = Resource & { readonly name: string | undefined }

/** The publisher on the node itself: the proxy of 4.16 and later, and linuxptp-daemon's own API (protocol.md §3, §8). */
export function createRedHatV2(http: Http, place: Place, node: string): Client {
  const base = `${place.prefix}${RED_HAT_V2_BASE}`
  const get = (path: string, options?: CallOptions) =>
    http.request(place.origin, { method: 'GET', path: `${base}${path}` }, options)

  /** Without a list of what it publishes, it is the daemon's own API, whose pulls have the time of the last change. */
  let queryTime = RED_HAT_V2.queryTime

  const publishedIn = rememberingText(readPublished)
  const heldIn = rememberingText(readList)

  return {
    ...RED_HAT_V2,
    ...createV2Calls(http, place, base),
    node,
    url: place.shown,
    get queryTime() {
      return queryTime
    },
    get sendsInitial() {
      return queryTime
    },

    async health(options) {
      const health = await get('/health', options)
      const answer = health.status === 404 ? await get('/subscriptions', options) : health
      if (answer.status !== 200) throw unexpected('GET', answer)
    },

    async offer(kinds, options) {
      const answer = await get('/publishers', options)
      queryTime = RED_HAT_V2.queryTime && answer.status !== 404
      if (answer.status === 404) return { outcome: 'offered', ...wellKnown(kinds, node), node: undefined }
      if (answer.status !== 200) throw unexpected('GET', answer)
      const published = publishedIn(answer)
      if (published.length === 0) return { outcome: 'not-ready', reason: 'it publishes nothing yet' }
      // One that names the configured node goes before one that does not: they are compared later.
      const names = published.map(({ name }) => name)
      const named = names.includes(node) ? node : names.find((name) => name !== undefined)
      const own = published.filter(({ name }) => name === named)
      const resources = kinds.flatMap((kind): Resource[] => {
        const found = own.find((resource) => resource.kind === kind)
        return found === undefined ? [] : [{ kind, address: found.address }]
      })
      const unpublished = kinds.filter((kind) => !resources.some((resource) => resource.kind === kind))
      return { outcome: 'offered', resources, unpublished, node: named }
    },

    async list(options) {
      const answer = await get('/subscriptions', options)
      if (answer.status !== 200) throw unexpected('GET', answer)
      return heldIn(answer)
    },

    async create({ address, endpoint }, options) {
      const body = JSON.stringify({ EndpointUri: endpoint, ResourceAddress: address })
      const answer = await http.request(
        place.origin,
        { method: 'POST', path: `${base}/subscriptions`, body },
        options,
      )
      switch (answer.status) {
        case 201: {
          const held = readSubscription(answer)
          return { outcome: 'created', id: held.id, location: held.location, endpoint: held.endpoint }
        }
        case 409:
          return { outcome: 'exists', reason: messageOf(answer.body) }
        case 404:
          // A path that this server does not have is answered with a text; its own 404 is empty.
          if (answer.body !== '') throw unexpected('POST', answer)
          return { outcome: 'not-ready', reason: 'it does not take subscriptions to this resource (404)' }
        default:
          throw unexpected('POST', answer)
      }
    },
  }
}

/** The addresses that every release has. Whether the host has such a clock, a create or a pull shows. */
function wellKnown(kinds: readonly string[], node: string) {
  const resources = kinds.flatMap((kind): Resource[] => {
    const path = resourceOf(kind, 'v2')
    return path === undefined ? [] : [{ kind, address: `/cluster/node/${node}/${path}` }]
  })
  return { resources, unpublished: [] }
}

/** The resources of kinds that we know, each with the node that its address names. */
function readPublished(answer: Answer): readonly Published[] {
  return readList(answer).flatMap(({ address }) => {
    const kind = kindOfAddress(address)
    return kind === undefined ? [] : [{ kind, address, name: nodeOfAddress(address) }]
  })
}

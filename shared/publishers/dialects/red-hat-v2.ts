import { kindOfAddress } from '#shared/events/kind.ts'
import type { Answer, Http } from '#shared/http/client.ts'
import type { Place } from '#shared/publishers/target.ts'
import { nodeOfAddress, wellKnown, without } from './addresses.ts'
import { createCalls, createOverV2, pullOverV2 } from './calls.ts'
import type { Client, Resource } from './client.ts'
import { readList, unexpected } from './wire.ts'

export const RED_HAT_V2_BASE = '/api/ocloudNotifications/v2'

/** The publisher on the node itself: the proxy of 4.16 and later, and linuxptp-daemon's own API (protocol.md §3, §8). */
export function createRedHatV2(http: Http, place: Place, node: string): Client {
  const calls = createCalls(http, place, RED_HAT_V2_BASE, { id: [404] })
  /** Without a list of what it publishes, it is the daemon's own API, whose pulls have the time of the last change. */
  let isProxy = true

  return {
    dialect: 'red-hat-v2',
    listProves: true,
    uniqueBy: 'resource-and-endpoint',
    node,
    url: place.shown,
    list: calls.list,
    remove: calls.remove,
    get queryTime() {
      return isProxy
    },
    get sendsInitial() {
      return isProxy
    },

    async offer(kinds, options) {
      const answer = await calls.get('/publishers', options)
      isProxy = answer.status !== 404
      if (!isProxy) return wellKnown(kinds, 'v2', `/cluster/node/${node}`)
      if (answer.status !== 200) throw unexpected(answer)
      const published = readList(answer).flatMap(({ address }) => {
        const kind = kindOfAddress(address)
        return kind === undefined ? [] : [{ kind, address, name: nodeOfAddress(address) }]
      })
      if (published.length === 0) return { outcome: 'not-ready', reason: 'it publishes nothing yet' }
      // One that names the configured node goes before one that does not: they are compared later.
      const names = published.map(({ name }) => name)
      const named = names.includes(node) ? node : names.find((name) => name !== undefined)
      const resources = kinds.flatMap((kind): Resource[] => {
        const found = published.find((resource) => resource.kind === kind && resource.name === named)
        return found === undefined ? [] : [{ kind, address: found.address }]
      })
      return { outcome: 'offered', resources, unpublished: without(kinds, resources), node: named }
    },

    create: (subscription, options) => createOverV2(calls, subscription, notReady, options),
    currentState: (address, options) => pullOverV2(calls, node, address, options),
  }
}

/** A path that this server does not have is answered with a text; its own 404 is empty. */
function notReady(answer: Answer): string {
  if (answer.body !== '') throw unexpected(answer)
  return 'it does not accept subscriptions to this resource (404)'
}

import { kindOfAddress } from '#shared/events/kind.ts'
import type { HttpAnswer, Http } from '#shared/http/client.ts'
import type { Place } from '#shared/publishers/target.ts'
import { nodeOfAddress, offerOf, wellKnown } from './addresses.ts'
import { createCalls } from './calls.ts'
import type { Client } from './client.ts'
import { readList, unexpected } from './wire.ts'

export const RED_HAT_V2_BASE = '/api/ocloudNotifications/v2'

/** The publisher on the node itself: the proxy of 4.16 and later, and linuxptp-daemon's own API (protocol.md §3, §8). */
export function createRedHatV2(http: Http, place: Place, node: string): Client {
  const calls = createCalls(http, place, node, RED_HAT_V2_BASE, { id: [404] })
  /** If it has no list of publishers, it is the daemon's own API, whose pulls have the time of the last change. */
  let isProxy = true

  return {
    ...calls,
    dialect: 'red-hat-v2',
    listProves: true,
    uniqueBy: 'resource-and-endpoint',
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
      const published = readList(answer)
        .map(({ address }) => ({ address, kind: kindOfAddress(address), name: nodeOfAddress(address) }))
        .filter(({ kind }) => kind !== undefined)
      if (published.length === 0) return { outcome: 'not-ready', reason: 'it publishes nothing yet' }
      // The configured node is preferred if it is among the names; they are compared later.
      const names = published.map(({ name }) => name)
      const named = names.includes(node) ? node : names.find((name) => name !== undefined)
      const ofNode = published.filter(({ name }) => name === named)
      return offerOf(kinds, (kind) => ofNode.find((one) => one.kind === kind)?.address, named)
    },

    create: (subscription, options) => calls.createV2(subscription, notReady, options),
    currentState: calls.pullV2,
  }
}

/** Its own 404 is empty; an unknown path is answered with a text. */
function notReady(answer: HttpAnswer): string {
  if (answer.body !== '') throw unexpected(answer)
  return 'it does not accept subscriptions to this resource (404)'
}

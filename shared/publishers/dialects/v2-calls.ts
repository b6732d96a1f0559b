import type { Client } from './client.ts'
import type { Http } from '#shared/http/client.ts'
import { type Place, pathOf } from '#shared/publishers/target.ts'
import { messageOf, readSubscription, unexpected } from './wire.ts'

/** What both publishers of version 2 take and answer alike. `base`: the path of the API, with what is before it. */
export function createV2Calls(
  http: Http,
  place: Place,
  base: string,
): Pick<Client, 'get' | 'remove' | 'currentState'> {
  return {
    async get(id, options) {
      const path = `${base}/subscriptions/${encodeURIComponent(id)}`
      const answer = await http.request(place.origin, { method: 'GET', path }, options)
      if (answer.status === 404) return undefined
      if (answer.status !== 200) throw unexpected('GET', answer)
      return readSubscription(answer)
    },

    async remove(id, options) {
      const path = `${base}/subscriptions/${encodeURIComponent(id)}`
      const answer = await http.request(place.origin, { method: 'DELETE', path }, options)
      if (answer.status === 204 || answer.status === 200) return true
      if (answer.status === 404) return false
      throw unexpected('DELETE', answer)
    },

    async currentState(address, options) {
      const path = `${base}${pathOf(address)}/CurrentState`
      const answer = await http.request(place.origin, { method: 'GET', path }, options)
      const { body, date, sentAt, receivedAt, status } = answer
      if (status === 200) return { outcome: 'answered', body, date, sentAt, receivedAt }
      if (status !== 404 && status !== 400) throw unexpected('GET', answer)
      const message = messageOf(body)
      const reason = message === '' ? `it answered ${status}` : `it answered ${status}: ${message}`
      // Not subscribed, no data and not ready all look the same here (protocol.md §3.4).
      return { outcome: 'none', cause: 'unknown', reason, sentAt, receivedAt }
    },
  }
}

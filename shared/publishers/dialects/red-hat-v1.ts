import { PublisherError } from '#shared/errors.ts'
import type { Http } from '#shared/http/client.ts'
import { type Place, pathOf } from '#shared/publishers/target.ts'
import { wellKnown } from './addresses.ts'
import { createCalls } from './calls.ts'
import type { Client } from './client.ts'
import { errorMessage, readPull, readSubscription, unexpected } from './wire.ts'

export const RED_HAT_V1_BASE = '/api/ocloudNotifications/v1'

/** During a create, the sidecar waits up to 10 s for our endpoint (protocol.md §2.3). */
const CREATE_DEADLINE_MS = 12_000
/** During a pull, it waits up to 5 s for its publisher (§2.5). */
const PULL_DEADLINE_MS = 7_000

/**
 * The texts by which a sidecar says why there is no state (protocol.md §2.5), and their causes. `unreachable` and
 * `timeout`: the sidecar answers, but its publisher does not.
 */
const REASONS = [
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
] as const

/** The sidecar of 4.10 to 4.18 (protocol.md §2). It lists no addresses: they are built from the configured node. */
export function createRedHatV1(http: Http, place: Place, node: string): Client {
  // 4.16 to 4.18 refuse an unknown id with 400, 4.14 says OK to it (protocol.md §2.2).
  const calls = createCalls(http, place, node, RED_HAT_V1_BASE, { id: [400, 404] })

  return {
    ...calls,
    dialect: 'red-hat-v1',
    sendsInitial: false,
    queryTime: true,
    listProves: false,
    uniqueBy: 'resource',

    offer: async (kinds) => wellKnown(kinds, 'v1', `/cluster/node/${node}`),

    async create({ address, endpoint }, options) {
      const body = { endpointUri: endpoint, resource: address }
      const answer = await calls.post(body, { deadlineMs: CREATE_DEADLINE_MS, ...options })
      if (answer.status !== 201) throw unexpected(answer)
      const { id, endpoint: kept } = readSubscription(answer)
      // If the resource has a subscription, that one is returned, whoever created it (protocol.md §2.4).
      return { outcome: kept === endpoint ? 'created' : 'foreign', id, endpoint: kept }
    },

    async currentState(address, options) {
      const path = `${pathOf(address)}/CurrentState`
      const answer = await calls.get(path, { deadlineMs: PULL_DEADLINE_MS, ...options })
      const { body, sentAt, receivedAt, status, attempted } = answer
      // Its `Date` is the sidecar's, the reading's time the publisher's.
      if (status === 200) return { ...readPull(answer, node), date: undefined }
      if (status !== 400) throw unexpected(answer)
      const reason = errorMessage(body)
      const cause = REASONS.find(([pattern]) => pattern.test(reason))?.[1] ?? 'unknown'
      if (cause === 'unreachable' || cause === 'timeout') {
        const message = `The publisher behind the sidecar did not answer ${attempted.what}: ${reason}`
        throw new PublisherError(cause, message, { url: attempted.url, status, retryable: true })
      }
      return { outcome: 'none', cause, reason, sentAt, receivedAt }
    },
  }
}

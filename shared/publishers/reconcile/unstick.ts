import { PublisherError, reasonOf, tried } from '#shared/errors.ts'
import type { CallOptions, Http } from '#shared/http/client.ts'
import type { Client, Resource } from '#shared/publishers/dialects/client.ts'
import { unexpected } from '#shared/publishers/dialects/wire.ts'
import { placeOf } from '#shared/publishers/target.ts'
import type { Step } from './plan.ts'

/** The first GET may lose a race inside the sidecar; the second then wins it (protocol.md §2.6). */
const TRIES = 2

/**
 * Makes a stuck v1 sidecar release the event that it holds back, by `GET /event` on its transport port. It answers 405,
 * which says nothing about success; a healthy sidecar takes no harm (protocol.md §2.6). Gives the problem, for people.
 */
export async function flushSidecar(
  http: Http,
  transport: string,
  call: CallOptions,
): Promise<string | undefined> {
  const { origin, prefix } = placeOf(transport)
  for (let tries = 0; tries < TRIES; tries += 1) {
    const answer = await tried(http.request(origin, { method: 'GET', path: `${prefix}/event` }, call))
    if (answer instanceof PublisherError) return reasonOf(answer)
    if (answer.status !== 405) return `${reasonOf(unexpected(answer))}; a sidecar answers 405`
  }
  return undefined
}

/** Notes subscriptions that a v1 sidecar just accepted and delivers, but does not list (protocol.md §2.4). */
export async function unlistedNote(client: Client, made: readonly Resource[], call: CallOptions) {
  const listed =
    client.uniqueBy === 'resource' && made.length > 0 ? await tried(client.list(call)) : undefined
  if (listed === undefined || listed instanceof PublisherError) return []
  const unlisted = made.filter(({ address }) => listed.every((one) => one.address !== address))
  if (unlisted.length === 0) return []
  const kinds = unlisted.map(({ kind }) => kind).join(' ')
  return [
    `${kinds}: the sidecar delivers these from memory but does not list them, and forgets them when it restarts. Restart it (its pod): the next poll or subscribe then creates them`,
  ]
}

/** Notes that a v1 sidecar still delivers after all our subscriptions were deleted. */
export async function deliveredNote(
  client: Client,
  plan: readonly Step[],
  removed: number,
  call: CallOptions,
) {
  const first = plan.find((step) => step.do === 'remove')?.subscription
  const mayDeliver = client.uniqueBy === 'resource' && removed > 0 && first !== undefined
  if (!mayDeliver || !(await isInMemory(client, first.address, call))) return []
  return [
    'the sidecar still holds deleted subscriptions in memory and delivers them until it restarts: restart it (its pod)',
  ]
}

/** Whether a v1 sidecar holds a subscription to a resource in memory, listed or not: it answers pulls of those. */
export async function isInMemory(client: Client, address: string, call: CallOptions): Promise<boolean> {
  const state = await tried(client.currentState(address, call))
  if (state instanceof PublisherError) return false
  return !(state.outcome === 'none' && state.cause === 'not-subscribed')
}

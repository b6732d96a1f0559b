import { isNodeName } from '#shared/config/publishers.ts'
import { PublisherError } from '#shared/errors.ts'
import type { CallOptions } from '#shared/publishers/dialects/client.ts'
import { isNamedAfter, type PublisherService } from './services.ts'
import { networkCodeOf } from '#shared/http/failure.ts'
import type { Http } from '#shared/http/client.ts'
import { createRedHatV2 } from '#shared/publishers/dialects/red-hat-v2.ts'
import { type Place, placeOf } from '#shared/publishers/target.ts'

/** How a publisher is called by itself; `vacant`: its Service has nobody behind it. */
export type Named =
  | { readonly outcome: 'named'; readonly node: string }
  | { readonly outcome: 'vacant' }
  | { readonly outcome: 'unknown'; readonly error: PublisherError }

/** Milliseconds. The answer is a short list from memory; what the store knows is the next best. */
const DEADLINE_MS = 3_000

/**
 * The full name of the node whose publisher is behind a Service, from the addresses that it lists (protocol.md §3.3).
 * A name that the Service is not named after is not believed: nobody speaks for another node.
 */
export async function nameOf(
  http: Http,
  { name, url }: PublisherService,
  call: CallOptions = {},
): Promise<Named> {
  const place = placeOf(url)
  const options = { deadlineMs: DEADLINE_MS, ...call }
  try {
    const node = await askName(http, place, options)
    if (isNamedAfter(name, node)) return { outcome: 'named', node }
    throw unnamed(place, `says that it is that of node ${node}, which its Service is not named after`, false)
  } catch (error) {
    if (!(error instanceof PublisherError)) throw error
    // A headless Service has no address while no pod of its node is ready, and the Operator makes one for each node of
    // the cluster, whether PTP runs there or not.
    const code = networkCodeOf(error.cause)
    return code === 'ENOTFOUND' || code === 'ENODATA' ? { outcome: 'vacant' } : { outcome: 'unknown', error }
  }
}

async function askName(http: Http, place: Place, options: CallOptions): Promise<string> {
  const offer = await createRedHatV2(http, place, '').offer([], options)
  if (offer.outcome === 'not-ready') {
    throw unnamed(place, 'publishes nothing yet, and so does not say which node it is', true)
  }
  if (offer.node !== undefined && isNodeName(offer.node)) return offer.node
  if (await isOldTransport(http, place, options)) {
    throw unnamed(
      place,
      'is the transport port of a version 1 publisher, which serves no subscriptions: discovery is for version 2; list its sidecar in PUBLISHERS instead',
      false,
    )
  }
  throw unnamed(place, 'does not say which node it is', false)
}

/** Whether this is what a publisher of version 1 has on its port (protocol.md §1). */
async function isOldTransport(http: Http, { origin, prefix }: Place, options: CallOptions): Promise<boolean> {
  const answer = await http.request(origin, { method: 'GET', path: `${prefix}/health` }, options)
  return answer.status === 200 && /^\s*\{\s*"ok"\s*:\s*true\s*\}\s*$/.test(answer.body)
}

function unnamed(place: Place, what: string, retryable: boolean): PublisherError {
  return new PublisherError('status', `The publisher at ${place.shown} ${what}`, {
    url: place.shown,
    retryable,
  })
}

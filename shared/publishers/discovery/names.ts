import { isNodeName } from '#shared/config/publishers.ts'
import { PublisherError } from '#shared/errors.ts'
import type { CallOptions, Http } from '#shared/http/client.ts'
import { networkCodeOf } from '#shared/http/failure.ts'
import { createRedHatV2 } from '#shared/publishers/dialects/red-hat-v2.ts'
import { placeOf } from '#shared/publishers/target.ts'
import { isNamedAfter, type PublisherService } from './services.ts'

/** How a publisher is called by itself; `vacant`: its Service has nobody behind it. */
export type OwnName =
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
): Promise<OwnName> {
  const place = placeOf(url)
  const options = { deadlineMs: DEADLINE_MS, ...call }
  const unnamed = (what: string, retryable = false): OwnName => {
    const details = { url: place.shown, retryable }
    return {
      outcome: 'unknown',
      error: new PublisherError('status', `The publisher at ${place.shown} ${what}`, details),
    }
  }
  try {
    const offer = await createRedHatV2(http, place, '').offer([], options)
    if (offer.outcome === 'not-ready') {
      return unnamed('publishes nothing yet, and so does not say which node it is', true)
    }
    const { node } = offer
    if (node !== undefined && isNodeName(node)) {
      return isNamedAfter(name, node)
        ? { outcome: 'named', node }
        : unnamed(`says that it is that of node ${node}, which its Service is not named after`)
    }
    // What a publisher of version 1 has on its port (protocol.md §1).
    const health = { method: 'GET', path: `${place.prefix}/health` } as const
    const { status, body } = await http.request(place.origin, health, options)
    if (status === 200 && /^\s*\{\s*"ok"\s*:\s*true\s*\}\s*$/.test(body)) {
      return unnamed(
        'is the transport port of a version 1 publisher, which serves no subscriptions: discovery is for version 2; list its sidecar in PUBLISHERS instead',
      )
    }
    return unnamed('does not say which node it is')
  } catch (error) {
    if (!(error instanceof PublisherError)) throw error
    // A headless Service has no address while no pod of its node is ready, and the Operator makes one for each node of
    // the cluster, whether PTP runs there or not.
    const code = networkCodeOf(error.cause)
    return code === 'ENOTFOUND' || code === 'ENODATA' ? { outcome: 'vacant' } : { outcome: 'unknown', error }
  }
}

import type { Callback } from '#shared/callback.ts'
import { ConfigurationError, PublisherError, reasonOf, tried } from '#shared/errors.ts'
import type { Http } from '#shared/http/client.ts'
import { redact } from '#shared/redact.ts'

/**
 * Whether our callback answers as ingest does, tried from here. Without that proof nothing of ours is deleted: a run
 * with a wrong secret or URL would replace working subscriptions by broken ones.
 * - `refused`: ingest rejects our token (403): nothing may be created either.
 * - `wrong`: something else answers, or an ingest that does not know us.
 * - `unreachable`: nobody answers; publishers may reach what we cannot.
 */
export type Proof =
  | { readonly outcome: 'proven' }
  | { readonly outcome: 'wrong' | 'unreachable'; readonly reason: string }
  | { readonly outcome: 'refused'; readonly error: ConfigurationError }

/** Publishers wait 2 s. Milliseconds. */
const DEADLINE_MS = 5_000

/** Posts an empty body to the endpoint of a node, as a v1 sidecar does: ingest answers 204 and does no more. */
export async function proveCallback(
  { callback, http }: { callback: Callback; http: Pick<Http, 'request'> },
  node: string,
  signal?: AbortSignal,
): Promise<Proof> {
  const endpoint = callback.endpointFor(node)
  const { origin, pathname } = new URL(endpoint)
  const shown = redact(endpoint)
  const request = { method: 'POST', path: pathname, body: '' } as const
  const answer = await tried(http.request(origin, request, { deadlineMs: DEADLINE_MS, signal }))
  if (answer instanceof PublisherError) {
    return { outcome: 'unreachable', reason: `${reasonOf(answer)}: start ingest, or correct CALLBACK_URL` }
  }
  const { status } = answer
  if (status === 204) return { outcome: 'proven' }
  if (status === 403) {
    const secret = callback.secured
      ? 'CALLBACK_SECRET is not the one that ingest has (of two, the first counts)'
      : 'CALLBACK_SECRET is not set, but ingest has one'
    const problem = `${secret}: POST ${shown} answered 403. No subscription was changed. Set the same CALLBACK_SECRET for ingest, subscribe and poll, ingest first; or correct CALLBACK_URL if that is another ingest`
    return { outcome: 'refused', error: new ConfigurationError([problem]) }
  }
  const reason = `POST ${shown} answered ${status}, and ingest answers 204: CALLBACK_URL must be the base of ingest, without /event`
  return { outcome: 'wrong', reason }
}

/** Tells people of subscriptions that were not deleted for lack of a proof; undefined if there are none. */
export function withheldText(found: readonly { withheld?: number }[], proof: Proof): string | undefined {
  const count = found.reduce((sum, { withheld = 0 }) => sum + withheld, 0)
  if (count === 0 || proof.outcome === 'refused') return undefined
  const why = proof.outcome === 'proven' ? '' : `: ${proof.reason}`
  return `${count} old subscriptions of ours were not deleted: our callback did not answer as ingest does${why}`
}

import { PublisherError, reasonOf } from '#shared/errors.ts'
import type { CallOptions, Http } from '#shared/http/client.ts'
import { placeOf } from '#shared/publishers/target.ts'
import { unexpected } from '#shared/publishers/dialects/wire.ts'

/** One GET may lose its race inside the sidecar, the second then wins it (protocol.md §2.6). */
const TRIES = 2

/**
 * Makes a stuck v1 sidecar let go of the event that it holds back, by `GET /event` on its transport port. Its answer
 * is 405 and says nothing about success; on a healthy sidecar it does no harm (protocol.md §2.6).
 * Gives the problem, for people, or undefined if both were answered as they should.
 */
export async function flushSidecar(
  http: Http,
  transport: string,
  call: CallOptions,
): Promise<string | undefined> {
  const { origin, prefix } = placeOf(transport)
  try {
    for (let tries = 0; tries < TRIES; tries += 1) {
      const answer = await http.request(origin, { method: 'GET', path: `${prefix}/event` }, call)
      if (answer.status !== 405) return `${reasonOf(unexpected(answer))}; a sidecar answers 405`
    }
    return undefined
  } catch (error) {
    if (!(error instanceof PublisherError)) throw error
    return reasonOf(error)
  }
}

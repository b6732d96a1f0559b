import * as z from 'zod/mini'
import { DiscoveryError, StoreError } from '#shared/errors.ts'
import type { Call, KubernetesClient } from '#shared/kubernetes/client.ts'
import { itemsOf, listMetadata, parseStatus } from '#shared/kubernetes/status.ts'

/** How often a list is read again when its continuation expired. */
const RESTARTS = 3
/** Milliseconds in which a page has to come: a list is nobody's wait but ours. */
const ATTEMPT_MS = 5_000

/** What is listed, and what people are told where it cannot be. */
export type Listing = {
  readonly call: Pick<Call, 'resource' | 'namespace' | 'accept'>
  /** `Services`. */
  readonly kind: string
  /** What cannot be done without the list: a sentence. */
  readonly without: string
  /** Of knative/components: what grants the right to list. */
  readonly component: string
  /** As whom the API server is asked. */
  readonly source: string
  /** Objects asked for in one call. */
  readonly aCall: number
  /** Milliseconds in which a page has to come. */
  readonly attemptMs?: number | undefined
  /** Milliseconds for the whole list; without it each page has its own time alone. */
  readonly budgetMs?: number | undefined
}

/**
 * All objects of a kind, as `item` reads them. A list is of one moment: where its continuation expires it is read from
 * the start.
 * @throws DiscoveryError where the API server cannot be asked, or does not allow it.
 */
export async function listAll<T extends z.ZodMiniType>(
  client: Pick<KubernetesClient, 'request'>,
  item: T,
  listing: Listing,
): Promise<z.output<T>[]> {
  const list = z.object({ metadata: listMetadata, items: itemsOf(item) })
  const endsAt = performance.now() + (listing.budgetMs ?? Number.POSITIVE_INFINITY)
  for (let restarts = 0; restarts <= RESTARTS; restarts += 1) {
    const items: z.output<T>[] = []
    let next: string | undefined
    do {
      const body = await pageOf(client, listing, next, endsAt)
      if (body === undefined) break
      const page = list.safeParse(body)
      if (!page.success) {
        const message = `The API server answered something other than a list of ${listing.kind}`
        throw new DiscoveryError(message, { retryable: false })
      }
      items.push(...page.data.items)
      next = page.data.metadata?.continue || undefined
      if (next === undefined) return items
    } while (next !== undefined)
  }
  const what = `${listing.kind}${placeOf(listing)}`
  throw new DiscoveryError(`${listing.without} The list of ${what} expired while it was read`)
}

/** Undefined where the continuation of the list expired. */
async function pageOf(
  client: Pick<KubernetesClient, 'request'>,
  listing: Listing,
  next: string | undefined,
  endsAt: number,
): Promise<unknown> {
  const { call, without, component, source, aCall, attemptMs = ATTEMPT_MS } = listing
  const query = { limit: String(aCall), ...(next !== undefined && { continue: next }) }
  // Twice the time of an attempt: the rest is for when the server asks for patience (429).
  const budgetMs = Math.max(1, Math.min(2 * attemptMs, endsAt - performance.now()))
  const { status, body } = await client
    .request({ ...call, verb: 'list', query, expects: [403, 410], attemptMs, budgetMs })
    .catch((error: unknown) => {
      if (!(error instanceof StoreError)) throw error
      const { retryable } = error
      throw new DiscoveryError(`${without} ${error.message}`, { retryable })
    })
  if (status === 410) return undefined
  if (status !== 403) return body ?? null
  const message = parseStatus(body)?.message ?? 'forbidden'
  throw new DiscoveryError(
    `${without} Cannot list ${call.resource}${placeOf(listing)}: the API server does not allow it to ${source} (403): ${message}. The component ${component} grants it (docs/deploy.md)`,
  )
}

const placeOf = ({ call: { namespace } }: Listing) =>
  namespace === undefined ? '' : ` in namespace ${namespace}`

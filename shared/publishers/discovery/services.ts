import * as z from 'zod/mini'
import { isNodeName } from '#shared/config/publishers.ts'
import { DiscoveryError, PublisherError, StoreError } from '#shared/errors.ts'
import type { CallOptions, Http } from '#shared/http/client.ts'
import { networkCodeOf } from '#shared/http/failure.ts'
import type { KubernetesClient } from '#shared/kubernetes/client.ts'
import { orAbsent } from '#shared/kubernetes/objects.ts'
import { createRedHatV2 } from '#shared/publishers/dialects/red-hat-v2.ts'
import { placeOf } from '#shared/publishers/target.ts'

/** The Service of one node's publisher: its name, and the URL of the API. */
export type PublisherService = { readonly name: string; readonly url: string }

/** The PTP Operator's name for a publisher's Service; the first label of the node's name follows. */
const PREFIX = 'ptp-event-publisher-service-'

/** The publishers' port (protocol.md §1), if a Service has several or none. */
const PORT = 9043

/** No publisher waits for this list. Milliseconds. */
const LIST_MS = { attemptMs: 5_000, budgetMs: 10_000 }

/** The answer is a short list from memory; the fallback is the store. Milliseconds. */
const NAME_MS = 3_000

const serviceItem = z.object({
  metadata: z.object({ name: z.string() }),
  spec: orAbsent(z.object({ ports: orAbsent(z.array(z.object({ port: z.number() }))) })),
})

/**
 * The publishers' Services of a namespace by name; at least one. The list is complete or an error: a Service that is
 * missing from it counts as gone.
 * @throws StoreError if the API server cannot be asked, DiscoveryError if it has no such Service.
 */
export async function listServices(
  client: KubernetesClient,
  namespace: string,
  scheme: 'http' | 'https',
): Promise<PublisherService[]> {
  const call = {
    resource: 'services',
    namespace,
    query: { limit: '250' },
    component: 'discovery',
    ...LIST_MS,
  }
  const services = await client.list(call, serviceItem)
  const found = services.filter(({ metadata }) => metadata.name.startsWith(PREFIX))
  if (found.length === 0) {
    // A namespace that does not exist has an empty list, too.
    throw new DiscoveryError(
      `None of the ${services.length} Services in namespace ${namespace} is a ${PREFIX}…: is it the namespace of the PTP Operator, with enableEventPublisher: true?`,
    )
  }
  return found
    .map(({ metadata: { name }, spec }) => {
      const ports = (spec?.ports ?? []).map(({ port }) => port)
      const port = ports.includes(PORT) ? PORT : (ports[0] ?? PORT)
      return { name, url: `${scheme}://${hostOf(name, namespace)}:${port}` }
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

/**
 * The result of listing something from the API server, or why it failed; `without`: a sentence about what is not
 * possible then.
 */
export async function triedList<T>(without: string, asked: Promise<T>): Promise<T | DiscoveryError> {
  try {
    return await asked
  } catch (error) {
    if (error instanceof DiscoveryError) return error
    if (!(error instanceof StoreError)) throw error
    return new DiscoveryError(`${without} ${error.message}`, { retryable: error.retryable })
  }
}

/**
 * The full name of the node whose publisher is behind a Service, from the addresses that it lists (protocol.md §3.3);
 * undefined if nobody is there. A name that does not match the Service is rejected: nobody speaks for another node.
 * @throws PublisherError if it does not say.
 */
export async function nodeBehind(
  http: Http,
  { name, url }: PublisherService,
  call: CallOptions = {},
): Promise<string | undefined> {
  const place = placeOf(url)
  const options = { deadlineMs: NAME_MS, ...call }
  const unnamed = (what: string, retryable = false) =>
    new PublisherError('status', `The publisher at ${place.shown} ${what}`, { url: place.shown, retryable })
  try {
    const offer = await createRedHatV2(http, place, '').offer([], options)
    if (offer.outcome === 'not-ready') {
      throw unnamed('publishes nothing yet, and so does not say which node it is', true)
    }
    const { node } = offer
    if (node !== undefined && isNodeName(node)) {
      if (isNamedAfter(name, node)) return node
      throw unnamed(`reports that it is the publisher of node ${node}, which its Service is not named after`)
    }
    // Answered by a version 1 publisher on its port (protocol.md §1).
    const health = { method: 'GET', path: `${place.prefix}/health` } as const
    const { status, body } = await http.request(place.origin, health, options)
    throw status === 200 && /^\s*\{\s*"ok"\s*:\s*true\s*\}\s*$/.test(body)
      ? unnamed(
          'is the transport port of a version 1 publisher, which serves no subscriptions: discovery is for version 2; list its sidecar in PUBLISHERS instead',
        )
      : unnamed('does not say which node it is')
  } catch (error) {
    // A headless Service has no address while no pod of its node is ready, and the Operator creates one for every node
    // of the cluster, whether PTP runs there or not.
    const code = error instanceof PublisherError ? networkCodeOf(error.cause) : undefined
    if (code === 'ENOTFOUND' || code === 'ENODATA') return undefined
    throw error
  }
}

/** The publisher Service of this namespace that a URL points to; undefined if it points elsewhere. */
export function serviceOf(url: string, namespace: string): string | undefined {
  const host = URL.parse(url)?.hostname ?? ''
  const [name = ''] = host.split('.', 1)
  return name.startsWith(PREFIX) && host === hostOf(name, namespace) ? name : undefined
}

/** Whether a Service is named after this node, by the first label of its name (protocol.md §1). */
export function isNamedAfter(service: string, node: string): boolean {
  return service === `${PREFIX}${node.split('.', 1)[0]?.toLowerCase()}`
}

const hostOf = (name: string, namespace: string) => `${name}.${namespace}.svc.cluster.local`

import * as z from 'zod/mini'
import { DiscoveryError, StoreError } from '#shared/errors.ts'
import type { KubernetesClient } from '#shared/kubernetes/client.ts'
import { itemsOf, listMetadata, orAbsent, parseStatus } from '#shared/kubernetes/status.ts'

/** The Service of one node's publisher: its name, and where the API behind it is. */
export type PublisherService = { readonly name: string; readonly url: string }

/** How the PTP Operator calls the Service of a publisher; the first label of the node's name follows. */
const PREFIX = 'ptp-event-publisher-service-'

/** The port of publishers (protocol.md §1), for a Service that has several, or says none. */
const PORT = 9043

const SERVICES_A_CALL = 250
/** How often a list is read again when its continuation expired. */
const RESTARTS = 3
/** Milliseconds in which a page has to come: a list is nobody's wait but ours. */
const ATTEMPT_MS = 5_000

const serviceList = z.object({
  metadata: listMetadata,
  items: itemsOf(
    z.object({
      metadata: z.object({ name: z.string() }),
      spec: orAbsent(z.object({ ports: orAbsent(z.array(z.object({ port: z.number() }))) })),
    }),
  ),
})

type Service = z.infer<typeof serviceList>['items'][number]

export type ServicesOptions = {
  readonly namespace: string
  readonly scheme: 'http' | 'https'
  /** As whom the API server is asked, for messages. */
  readonly source: string
  /** Services asked for in one call. */
  readonly aCall?: number
  /** Milliseconds in which a page has to come. */
  readonly attemptMs?: number
}

/**
 * The publishers' Services of a namespace, by name; at least one. A list is whole or not at all: who is missing on it
 * is gone.
 * @throws DiscoveryError where the API server cannot be asked, does not allow it, or has no such Service.
 */
export async function listServices(
  client: Pick<KubernetesClient, 'request'>,
  options: ServicesOptions,
): Promise<PublisherService[]> {
  const { namespace, scheme } = options
  const services = await listAll(client, options)
  const found = services.filter(({ metadata }) => metadata.name.startsWith(PREFIX))
  if (found.length === 0) {
    // A namespace that is not there has an empty list, too.
    throw new DiscoveryError(
      `Of the ${services.length} Services in namespace ${namespace} none is a ${PREFIX}…: is it the namespace of the PTP Operator, with enableEventPublisher: true?`,
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

/** The publisher Service of this namespace that a URL goes to; undefined if it goes elsewhere. */
export function serviceOf(url: string, namespace: string): string | undefined {
  const host = URL.canParse(url) ? new URL(url).hostname : ''
  const [name = ''] = host.split('.', 1)
  return name.startsWith(PREFIX) && host === hostOf(name, namespace) ? name : undefined
}

/** Whether a Service is named after this node, by the first label of its name (protocol.md §1). */
export function isNamedAfter(service: string, node: string): boolean {
  return service === `${PREFIX}${node.split('.', 1)[0]?.toLowerCase()}`
}

const hostOf = (name: string, namespace: string) => `${name}.${namespace}.svc.cluster.local`

/** A list is of one moment: where its continuation expires it is read from the start. */
async function listAll(client: Pick<KubernetesClient, 'request'>, options: ServicesOptions) {
  for (let restarts = 0; restarts <= RESTARTS; restarts += 1) {
    const services: Service[] = []
    let next: string | undefined
    do {
      const page = await listPage(client, options, next)
      if (page === undefined) break
      services.push(...page.items)
      next = page.metadata?.continue || undefined
      if (next === undefined) return services
    } while (next !== undefined)
  }
  throw new DiscoveryError(`The list of Services in namespace ${options.namespace} expired while it was read`)
}

/** Undefined where the continuation of the list expired. */
async function listPage(
  client: Pick<KubernetesClient, 'request'>,
  { namespace, source, aCall = SERVICES_A_CALL, attemptMs = ATTEMPT_MS }: ServicesOptions,
  next: string | undefined,
) {
  const query = { limit: String(aCall), ...(next !== undefined && { continue: next }) }
  const call = { verb: 'list', resource: 'services', namespace, query, expects: [403, 410] } as const
  // Twice the time of an attempt: the rest is for when the server asks for patience (429).
  const { status, body } = await client
    .request({ ...call, attemptMs, budgetMs: 2 * attemptMs })
    .catch((error: unknown) => {
      if (!(error instanceof StoreError)) throw error
      const { retryable } = error
      throw new DiscoveryError(`Publishers cannot be discovered. ${error.message}`, { retryable })
    })
  if (status === 410) return undefined
  if (status === 403) {
    const message = parseStatus(body)?.message ?? 'forbidden'
    throw new DiscoveryError(
      `Publishers cannot be discovered. Cannot list services in namespace ${namespace}: the API server does not allow it to ${source} (403): ${message}. The component discovery grants it (docs/deploy.md)`,
    )
  }
  const page = serviceList.safeParse(body)
  if (page.success) return page.data
  throw new DiscoveryError('The API server answered something other than a list of Services', {
    retryable: false,
  })
}

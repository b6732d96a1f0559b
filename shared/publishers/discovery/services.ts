import * as z from 'zod/mini'
import { DiscoveryError } from '#shared/errors.ts'
import type { KubernetesClient } from '#shared/kubernetes/client.ts'
import { orAbsent } from '#shared/kubernetes/status.ts'
import { listAll } from './pages.ts'

/** The Service of one node's publisher: its name, and where the API behind it is. */
export type PublisherService = { readonly name: string; readonly url: string }

/** How the PTP Operator calls the Service of a publisher; the first label of the node's name follows. */
const PREFIX = 'ptp-event-publisher-service-'

/** The port of publishers (protocol.md §1), for a Service that has several, or says none. */
const PORT = 9043

const SERVICES_A_CALL = 250

const serviceItem = z.object({
  metadata: z.object({ name: z.string() }),
  spec: orAbsent(z.object({ ports: orAbsent(z.array(z.object({ port: z.number() }))) })),
})

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
  const { namespace, scheme, source, aCall = SERVICES_A_CALL, attemptMs } = options
  const services = await listAll(client, serviceItem, {
    call: { resource: 'services', namespace },
    kind: 'Services',
    without: 'Publishers cannot be discovered.',
    component: 'discovery',
    ...{ source, aCall, attemptMs },
  })
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

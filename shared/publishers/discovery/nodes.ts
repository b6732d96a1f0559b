import * as z from 'zod/mini'
import type { KubernetesClient } from '#shared/kubernetes/client.ts'
import { orAbsent } from '#shared/kubernetes/status.ts'
import { listAll } from './pages.ts'

/** The labels of a Node of the cluster. */
export type KubernetesNode = { readonly name: string; readonly labels: Readonly<Record<string, string>> }

const NODES_A_CALL = 500
/** Milliseconds for the whole list: labels keep nobody from being polled. */
const BUDGET_MS = 10_000
/** Metadata alone: no images, addresses and conditions of whole Nodes. */
const ACCEPT = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io'

const node = z.object({
  metadata: z.object({ name: z.string(), labels: orAbsent(z.record(z.string(), z.string())) }),
})

export type NodesOptions = {
  /** As whom the API server is asked, for messages. */
  readonly source: string
  /** Nodes asked for in one call. */
  readonly aCall?: number
  /** Milliseconds for the whole list. */
  readonly budgetMs?: number
}

/**
 * All Nodes of the cluster, by their metadata.
 * @throws DiscoveryError where the API server cannot be asked, or does not allow it.
 */
export async function listNodes(
  client: Pick<KubernetesClient, 'request'>,
  { source, aCall = NODES_A_CALL, budgetMs = BUDGET_MS }: NodesOptions,
): Promise<KubernetesNode[]> {
  const nodes = await listAll(client, node, {
    call: { resource: 'nodes', accept: ACCEPT },
    kind: 'Nodes',
    without: 'Labels of Nodes cannot be read.',
    component: 'node-labels',
    ...{ source, aCall, budgetMs, attemptMs: budgetMs / 2 },
  })
  return nodes.map(({ metadata: { name, labels = {} } }) => ({ name, labels }))
}

import { onTestFinished } from 'vitest'
import { createRedHatV2, type Publisher } from '#local/publishers/index.ts'
import type { NodeLabel } from '#shared/config/index.ts'
import type { KubernetesClient } from '#shared/kubernetes/client.ts'
import { createDiscovery, type Discovery } from '#shared/publishers/discovery/index.ts'
import { createMemoryDriver } from '#shared/state/drivers/memory.ts'
import type { NodeState } from '#shared/state/document.ts'
import { defaultSettings } from '#shared/state/merge/draft.ts'
import { createStore, type Store } from '#shared/state/store/store.ts'
import { isoTime } from '#shared/time.ts'
import { lockedNode } from '../../functions/fleet.ts'
import { openClient, startApi } from '../../kubernetes/api.ts'
import type { KubernetesApi } from '../../support/kubernetes-api.ts'
import '../../support/cluster-dns.ts'
import { using } from '../support/consumer.ts'
import { logTo, startHttp } from '../support/world.ts'

export const NAMESPACE = 'openshift-ptp'
export const PREFIX = 'ptp-event-publisher-service-'

export type DiscoveryWorld = {
  readonly api: KubernetesApi
  readonly store: Store
  readonly lines: { level: string; message: string }[]
  /** Another process, with its own part of the fleet and no memory, over the same cluster and store. */
  discovery(shard?: { index: number; count: number }, store?: Store): Discovery
  /** Our time, in ms. */
  now: number
  /** How long the API server is waited for, in ms. */
  patienceMs: number
  /** NODE_LABELS. */
  take: readonly NodeLabel[] | undefined
}

/** A cluster with an empty store, for one test. A node that is gone is kept for a minute. */
export async function createDiscoveryWorld(): Promise<DiscoveryWorld> {
  const api = await startApi({ tls: false })
  api.limitPages(2)
  const client = await openClient({ kubeconfig: api.kubeconfig })
  const patient: KubernetesClient = {
    ...client,
    list: (call, item) =>
      client.list({ ...call, attemptMs: world.patienceMs, budgetMs: 2 * world.patienceMs }, item),
  }
  const http = startHttp()
  const lines: { level: string; message: string }[] = []
  const log = logTo(lines)
  const ownStore = createStore(createMemoryDriver(), { historyPerNode: 50, log })
  onTestFinished(() => ownStore.close())
  const world: DiscoveryWorld = {
    api,
    store: ownStore,
    lines,
    now: Date.parse('2026-11-23T12:00:00Z'),
    // On a busy machine an answer may take longer than anybody would wait for it in earnest.
    patienceMs: 20_000,
    take: undefined,
    discovery: (shard = { index: 0, count: 1 }, through = ownStore) =>
      createDiscovery(
        { client: patient, http, store: through, clock: { now: () => world.now }, log },
        {
          ...{ namespace: NAMESPACE, scheme: 'http', shard, nodeLabels: world.take },
          ...{ merge: defaultSettings, stateRetentionMs: 60_000, pollConcurrency: 4 },
        },
      ),
  }
  return world
}

/** A publisher behind a Service of its node, which is named as the Operator names it. */
export async function startBehindService(
  { services }: KubernetesApi,
  node: string,
  options: { warmUpMs?: number; service?: string } = {},
): Promise<Publisher> {
  const { warmUpMs = 0, service = serviceFor(node) } = options
  const publisher = using(createRedHatV2({ node, release: 'main', warmUpMs }))
  await publisher.listen()
  services.put(NAMESPACE, service, { 'publisher-port': Number(new URL(publisher.url).port) })
  return publisher
}

export const serviceFor = (node: string) => `${PREFIX}${node.split('.')[0]}`

/** Puts a node into the store that was found before, behind the Service of its name. */
export async function know(
  { store, api, now }: DiscoveryWorld,
  node: string,
  publisher: Partial<NonNullable<NodeState['publisher']>> = {},
): Promise<void> {
  const { items } = api.services.list(NAMESPACE, { labelSelector: '', limit: 0, continue: '' })
  const port = items.find(({ metadata }) => metadata.name === serviceFor(node))?.spec.ports?.[0]?.port ?? 9043
  const url = `http://${serviceFor(node)}.${NAMESPACE}.svc.cluster.local:${port}`
  const checkedAt = isoTime(now - 60_000)
  const state = {
    ...lockedNode(node, now),
    announced: { overall: 'LOCKED', stale: false, blind: false },
    publisher: { url, dialect: 'red-hat-v2', reachable: true, checkedAt, ...publisher },
  }
  await store.update(node, () => ({ state, result: undefined }))
}

/** The nodes of the store, and since when those are gone that are. */
export async function goneIn({ store }: DiscoveryWorld): Promise<Record<string, string | undefined>> {
  const { nodes } = await store.list({ limit: 1000 })
  return Object.fromEntries(nodes.map(({ state }) => [state.node, state.publisher?.goneSince]))
}

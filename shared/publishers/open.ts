import { type Callback, createCallback } from '#shared/callback.ts'
import type { Config } from '#shared/config/index.ts'
import { createCredentials } from '#shared/credentials.ts'
import { type CallOptions, createHttp, type Http } from '#shared/http/client.ts'
import type { Log } from '#shared/log.ts'
import type { Metrics } from '#shared/metrics.ts'
import type { NodeState } from '#shared/state/document.ts'
import type { Store } from '#shared/state/store/store.ts'
import type { Clock } from '#shared/time.ts'
import { createRegistry, type Registry } from './dialects/registry.ts'
import { markUnlisted } from './discovery/gone.ts'
import type { FindOptions, Found } from './discovery/index.ts'
import { type Proof, proveCallback } from './reconcile/proof.ts'
import { createReconciler, type Reconciler } from './reconcile/reconciler.ts'
import type { Target } from './target.ts'

/** What speaks to the publishers of a configuration. */
export type Publishers = {
  readonly registry: Registry
  readonly reconciler: Reconciler
  /** The publishers of this process's shard: those that are listed, or those that discovery finds now. */
  find(options: FindOptions): Promise<Found>
  /**
   * For a target that discovery found without the name of its node: the same with its name, asked for again.
   * @throws PublisherError while it does not say.
   */
  named(target: Target, call?: CallOptions): Promise<Target>
  /** Whether our callback answers as ingest does; asked for the first of these nodes. Once for each run. */
  prove(targets: readonly Target[], signal?: AbortSignal): Promise<Proof>
  /** The way to them, for questions that no client has. */
  readonly http: Pick<Http, 'request'>
  readonly callback: Callback
  close(): Promise<void>
}

export type PublishersDeps = {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly newId: () => string
  /** The overall state of a document now (state/merge/overall.ts). */
  readonly overall: (state: NodeState) => string
}

/**
 * `callbackUrl`: where publishers reach ingest; ours are told from others' by it. Once in a process.
 * @throws ConfigurationError where a file of credentials cannot be used, or publishers are to be discovered and there is
 * no way to an API server.
 */
export async function openPublishers(
  config: Config,
  callbackUrl: string,
  { store, clock, log, metrics, newId, overall }: PublishersDeps,
): Promise<Publishers> {
  const { index, count } = config.shard
  const credentials = createCredentials(config.publisherFiles, { clock, log })
  await credentials.current()
  const http = createHttp({ clock, log }, { credentials, overall: config.pollConcurrency * 2 })
  // Ingest is not shown what publishers are.
  const authority = createCredentials({ ca: config.publisherFiles.ca }, { clock, log })
  const toIngest = createHttp({ clock, log }, { credentials: authority })
  const targets = config.publishers
    .filter((_, place) => place % count === index)
    .map((each): Target => ({ ...each, labels: each.labels ?? {} }))
  const registry = createRegistry({ http, log })
  const callback = createCallback({ url: callbackUrl, secrets: config.callbackSecrets })
  const configured = new Set(config.publishers.map(({ node }) => node))
  const reconciler = createReconciler(
    {
      ...{ http, registry, store, clock, log, overall, callback, metrics },
      newIncarnation: newId,
      refreshMs: config.merge.staleAfterMs / 3,
    },
    { kinds: config.resources, configured },
  )
  const opened: Publishers = {
    ...{ registry, reconciler, http, callback },
    async find({ marks }) {
      if (marks) await markUnlisted({ store, clock, log }, config)
      return { targets, unnamed: [], failure: undefined }
    },
    named: async (target) => target,
    prove: async ([first], signal) =>
      first === undefined
        ? { outcome: 'unreachable', reason: 'there is no node to check it with' }
        : await proveCallback({ callback, http: toIngest }, first.node, signal),
    async close() {
      await http.close()
      await toIngest.close()
    },
  }
  if (config.discovery === undefined) return opened
  // Loaded only when asked for, and with it the client of the API server.
  const { openDiscovery } = await import('./discovery/index.ts')
  const discovery = await openDiscovery(config.discovery.namespace, config, { http, store, clock, log })
  return {
    ...opened,
    async find(options) {
      const found = await discovery.find(options)
      configured.clear()
      for (const { node } of found.targets) configured.add(node)
      return found
    },
    async named(target, call) {
      const named = await discovery.named(target, call)
      configured.add(named.node)
      return named
    },
    async close() {
      await discovery.close()
      await opened.close()
    },
  }
}

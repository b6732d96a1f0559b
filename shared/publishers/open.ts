import { type Callback, createCallback } from '#shared/callback.ts'
import type { Config } from '#shared/config/index.ts'
import { createCredentials } from '#shared/credentials.ts'
import { createHttp, type Http } from '#shared/http/client.ts'
import type { Log } from '#shared/log.ts'
import type { Metrics } from '#shared/metrics.ts'
import type { NodeState } from '#shared/state/document.ts'
import type { Store } from '#shared/state/store/store.ts'
import type { Clock } from '#shared/time.ts'
import type { FindOptions, Found } from './discovery/index.ts'
import { markUnlisted } from './discovery/gone.ts'
import { createKeeper, type Keeper } from './reconcile/reconciler.ts'
import { createKeeperMetrics } from './reconcile/metrics.ts'
import { type Proof, proveCallback } from './reconcile/proof.ts'
import { createRegistry, type Registry } from './dialects/registry.ts'
import type { Target } from './target.ts'

/** What speaks to the publishers of a configuration. */
export type Publishers = {
  readonly registry: Registry
  readonly keeper: Keeper
  /** The publishers of this process's shard: those that are listed, or those that discovery finds now. */
  find(options: FindOptions): Promise<Found>
  /**
   * Whether our callback answers as ingest does; asked for the first of these nodes. Once for each run.
   * @throws ConfigurationError where ingest refuses our token.
   */
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
  readonly random: () => number
  readonly newId: () => string
  /** The overall state of a document now (state/overall.ts). */
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
  deps: PublishersDeps,
): Promise<Publishers> {
  const { store, clock, log, metrics, random, newId, overall } = deps
  const { index, count } = config.shard
  const credentials = createCredentials(config.publisherFiles, { clock, log })
  await credentials.current()
  const http = createHttp({ clock, log }, { credentials, overall: config.pollConcurrency * 2 })
  // Ingest is not shown what publishers are.
  const authority = createCredentials({ ca: config.publisherFiles.ca }, { clock, log })
  const toIngest = createHttp({ clock, log }, { credentials: authority })
  const targets = config.publishers.filter((_, place) => place % count === index)
  const registry = createRegistry({ http, log })
  const callback = createCallback({ url: callbackUrl, secrets: config.callbackSecrets })
  const configured = new Set(config.publishers.map(({ node }) => node))
  const keeper = createKeeper(
    {
      http,
      registry,
      store,
      clock,
      log,
      random,
      overall,
      metrics: createKeeperMetrics(metrics),
      callback,
      newIncarnation: newId,
      refreshMs: config.merge.staleAfterMs / 3,
    },
    { kinds: config.resources, configured },
  )
  const closeHttp = async () => {
    await http.close()
    await toIngest.close()
  }
  const prove = async ([first]: readonly Target[], signal?: AbortSignal): Promise<Proof> =>
    first === undefined
      ? { outcome: 'unreachable', reason: 'there is no node to check it with' }
      : await proveCallback({ callback, http: toIngest }, first.node, signal)
  const opened = { registry, http, callback, prove }
  if (config.discovery === undefined) {
    const found = { targets, unnamed: [], failure: undefined }
    return {
      ...opened,
      keeper,
      async find({ marks }) {
        if (marks) await markUnlisted({ store, clock, log }, config)
        return found
      },
      close: closeHttp,
    }
  }
  // Loaded only when they are asked for, and with them the client of the API server.
  const { openDiscovery } = await import('./discovery/index.ts')
  const { createNamingKeeper } = await import('./discovery/reconciler.ts')
  const discovery = await openDiscovery(config.discovery.namespace, config, { http, store, clock, log })
  return {
    ...opened,
    keeper: createNamingKeeper(keeper, discovery, (node) => configured.add(node)),
    async find(options) {
      const found = await discovery.find(options)
      configured.clear()
      for (const { node } of found.targets) configured.add(node)
      return found
    },
    async close() {
      await discovery.close()
      await closeHttp()
    },
  }
}

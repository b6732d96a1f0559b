import { createCallback } from '#shared/callback.ts'
import type { Config } from '#shared/config/index.ts'
import { createCredentials } from '#shared/credentials.ts'
import { ConfigurationError } from '#shared/errors.ts'
import { type CallOptions, createHttp } from '#shared/http/client.ts'
import type { Log } from '#shared/log.ts'
import type { Metrics } from '#shared/metrics.ts'
import { conditionOf } from '#shared/state/merge/overall.ts'
import type { Store } from '#shared/state/store/store.ts'
import type { Clock } from '#shared/time.ts'
import { createRegistry } from './dialects/registry.ts'
import { markUnlisted } from './discovery/gone.ts'
import type { FindOptions, Found } from './discovery/index.ts'
import type { JournalDeps } from './reconcile/journal.ts'
import { type Proof, proveCallback } from './reconcile/proof.ts'
import { createReconciler } from './reconcile/reconciler.ts'
import type { Target } from './target.ts'

export type Publishers = Awaited<ReturnType<typeof openPublishers>>

/**
 * Opens everything that speaks to the configured publishers, once per process.
 * @throws ConfigurationError without CALLBACK_URL, which tells our subscriptions from others'; if a credentials file
 * cannot be used; or if publishers are to be discovered and there is no way to an API server.
 */
export async function openPublishers(
  config: Config,
  deps: { store: Store; clock: Clock; log: Log; metrics: Metrics; newId: () => string },
) {
  const { store, clock, log, metrics, newId } = deps
  const { callbackUrl, merge } = config
  if (callbackUrl === undefined) throw new ConfigurationError(['CALLBACK_URL must be set'])
  const { index, count } = config.shard
  const credentials = createCredentials(config.publisherFiles, { clock, log })
  await credentials.current()
  const http = createHttp({ clock, log }, { credentials, overall: config.pollConcurrency * 2 })
  const authority = createCredentials({ ca: config.publisherFiles.ca }, { clock, log })
  const others = createHttp({ clock, log }, { credentials: authority })
  const targets = config.publishers
    .filter((_, place) => place % count === index)
    .map((each): Target => ({ ...each, labels: each.labels ?? {} }))
  const registry = createRegistry({ http, log })
  const callback = createCallback({ url: callbackUrl, secrets: config.callbackSecrets })
  const configured = new Set(config.publishers.map(({ node }) => node))
  const journal: JournalDeps = {
    store,
    clock,
    overall: (state) => conditionOf(state, clock.now(), merge).overall,
    newIncarnation: newId,
    refreshMs: merge.staleAfterMs / 3,
  }
  const reconciler = createReconciler(
    { ...journal, http, registry, log, callback, metrics },
    { kinds: config.resources, configured },
  )
  // Loaded only when needed, and with it the Kubernetes client.
  const namespace = config.discovery?.namespace
  const { openDiscovery } = namespace === undefined ? {} : await import('./discovery/index.ts')
  const discovery = await openDiscovery?.(namespace ?? '', config, { http, store, clock, log })
  return {
    registry,
    reconciler,
    /** For requests to publishers that no client has. */
    http,
    /** For requests to ingest and metrics, which must not see the publishers' credentials. */
    others,
    /** For a caller's own journal. */
    journal,
    callback,

    /** The publishers of this shard: those that are listed, or those that discovery finds now. */
    async find(options: FindOptions): Promise<Found> {
      if (discovery === undefined) {
        if (options.marks) await markUnlisted({ store, clock, log }, config)
        return { targets, unnamed: [], failure: undefined }
      }
      const found = await discovery.find(options)
      configured.clear()
      for (const { node } of found.targets) configured.add(node)
      return found
    },

    /**
     * For a target that discovery found without a node name: asks again and returns it with the name.
     * @throws PublisherError while it does not say.
     */
    async named(target: Target, call?: CallOptions): Promise<Target> {
      if (discovery === undefined) return target
      const named = await discovery.named(target, call)
      configured.add(named.node)
      return named
    },

    /** Whether our callback answers as ingest does, asked for the first of these nodes. Call it once per run. */
    async prove([first]: readonly Target[], signal?: AbortSignal): Promise<Proof> {
      if (first !== undefined) return await proveCallback({ callback, http: others }, first.node, signal)
      return { outcome: 'unreachable', reason: 'there is no node to check it with' }
    },

    async close() {
      await discovery?.close()
      await http.close()
      await others.close()
    },
  }
}

import { type Callback, createCallback } from '#shared/callback.ts'
import type { Config } from '#shared/config.ts'
import type { Log } from '#shared/log.ts'
import type { Metrics } from '#shared/metrics.ts'
import type { NodeState } from '#shared/state/node-state.ts'
import type { Store } from '#shared/state/store.ts'
import type { Clock } from '#shared/time.ts'
import { createHttp, type Http } from './http.ts'
import { createKeeper, type Keeper } from './keeper.ts'
import { createKeeperMetrics } from './metrics.ts'
import { createRegistry, type Registry } from './registry.ts'

/** What speaks to the publishers of a configuration. */
export type Publishers = {
  /** Its `targets` are those of this process's shard. */
  readonly registry: Registry
  readonly keeper: Keeper
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

/** `callbackUrl`: where publishers reach ingest; ours are told from others' by it. Once in a process. */
export function openPublishers(config: Config, callbackUrl: string, deps: PublishersDeps): Publishers {
  const { store, clock, log, metrics, random, newId, overall } = deps
  const { index, count } = config.shard
  const http = createHttp(
    { clock, log },
    { credentials: config.publisherFiles, overall: config.pollConcurrency * 2 },
  )
  const targets = config.publishers.filter((_, place) => place % count === index)
  const registry = createRegistry({ http, log }, targets)
  const callback = createCallback({ url: callbackUrl, secrets: config.callbackSecrets })
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
    { kinds: config.resources, configured: config.publishers.map(({ node }) => node) },
  )
  return { registry, keeper, http, callback, close: () => http.close() }
}

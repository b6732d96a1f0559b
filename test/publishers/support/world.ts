import { onTestFinished } from 'vitest'
import { type Callback, createCallback } from '#shared/callback.ts'
import { createLog, type Log } from '#shared/log.ts'
import { createMetrics, type Metrics } from '#shared/metrics.ts'
import { type Credentials, createCredentials } from '#shared/credentials.ts'
import { createHttp, type Http, type HttpOptions } from '#shared/http/client.ts'
import { createReconciler, type Reconciler } from '#shared/publishers/reconcile/reconciler.ts'
import { createRegistry, type Registry } from '#shared/publishers/dialects/registry.ts'
import { KIND_NAMES } from '#shared/kinds.ts'
import type { Target } from '#shared/publishers/target.ts'
import { createMemoryDriver } from '#shared/state/drivers/memory.ts'
import { createStore, type Store } from '#shared/state/store/store.ts'
import { type Clock, systemClock } from '#shared/time.ts'

export type World = {
  readonly http: Http
  readonly registry: Registry
  readonly reconciler: Reconciler & { readonly remove: Reconciler['reconcile'] }
  readonly store: Store
  readonly callback: Callback
  readonly metrics: Metrics
  /** The log lines written so far, parsed. */
  readonly lines: LogLine[]
}

export type LogLine = { level: string; message: string; node?: string; problem?: string }

export function logTo(lines: LogLine[]): Log {
  return createLog({ level: 'debug', now: () => 0, write: (line) => lines.push(JSON.parse(line)) })
}

/** An HTTP client that is closed when the test ends. */
export function startHttp(
  { files = {}, ...options }: Omit<HttpOptions, 'credentials'> & { files?: Credentials } = {},
  clock: Clock = systemClock,
): Http {
  const deps = { clock, log: logTo([]) }
  const http = createHttp(deps, { overall: 32, ...options, credentials: createCredentials(files, deps) })
  onTestFinished(() => http.close())
  return http
}

/** All that the reconciler needs, over a memory store. `incarnation` of documents is `made`. */
export function createWorld(options: {
  targets: readonly Target[]
  callbackUrl: string
  secrets?: readonly string[]
  kinds?: readonly string[]
  store?: Store
  clock?: Clock
}): World {
  const clock = options.clock ?? systemClock
  const lines: LogLine[] = []
  const log = logTo(lines)
  const http = startHttp({}, clock)
  const registry = createRegistry({ http, log })
  const store = options.store ?? createStore(createMemoryDriver(), { historyPerNode: 50, log })
  onTestFinished(() => store.close())
  const callback = createCallback({ url: options.callbackUrl, secrets: options.secrets })
  const metrics = createMetrics()
  const reconciler = createReconciler(
    {
      http,
      registry,
      store,
      clock,
      callback,
      log,
      metrics,
      overall: () => 'UNKNOWN',
      newIncarnation: () => 'made',
      refreshMs: 60_000,
    },
    { kinds: options.kinds ?? KIND_NAMES, configured: new Set(options.targets.map(({ node }) => node)) },
  )
  // Where a test does not say otherwise our callback is known to answer.
  const proven: World['reconciler'] = {
    reconcile: (target, options) => reconciler.reconcile(target, { proof: 'proven', ...options }),
    unstick: (target, options) => reconciler.unstick(target, { proof: 'proven', ...options }),
    remove: (target, options) => reconciler.reconcile(target, { remove: true, ...options }),
  }
  return { http, registry, reconciler: proven, store, callback, metrics, lines }
}

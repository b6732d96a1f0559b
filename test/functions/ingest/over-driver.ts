import { onTestFinished } from 'vitest'
import { createIngestHandler } from '#functions/ingest/handler.ts'
import { createIngestMetrics } from '#functions/ingest/metrics.ts'
import { createReceiver } from '#functions/ingest/receive.ts'
import { createBacklog, type BacklogOptions } from '#functions/ingest/backlog.ts'
import { createCallback } from '#shared/callback.ts'
import { silentLog } from '#shared/log.ts'
import { createMetrics } from '#shared/metrics.ts'
import type { Driver } from '#shared/state/store/driver.ts'
import { defaultSettings } from '#shared/state/merge/draft.ts'
import { createStore } from '#shared/state/store/store.ts'
import { type Clock, systemClock } from '#shared/time.ts'
import { serving } from '../../runtime/serving.ts'
import type { Limits } from '#shared/runtime/serve.ts'

/** Ingest over a driver that the test chose, without a server. */
export function handlerOver(
  driver: Driver,
  nodes: readonly string[],
  options: BacklogOptions = {},
  clock: Clock = systemClock,
) {
  const log = silentLog
  const registry = createMetrics()
  const metrics = createIngestMetrics(registry)
  const store = createStore(driver, { historyPerNode: 1_000, log })
  const waiting = createBacklog({ log, metrics }, options)
  const callback = createCallback({ url: 'http://127.0.0.1' })
  const receiver = createReceiver({
    store,
    backlog: waiting,
    clock,
    log,
    metrics,
    newId: () => 'incarnation',
    settings: defaultSettings,
    configured: new Set(nodes),
    trusted: callback.secured,
  })
  return {
    ...createIngestHandler({ receiver, callback, clock }),
    store,
    waiting,
    metric(name: string) {
      const line = registry
        .text()
        .split('\n')
        .find((each) => each.startsWith(`${name} `))
      return Number(line?.slice(name.length))
    },
    async close() {
      waiting.close()
      await store.close()
    },
  }
}

/** The same on a real socket in the test's own process. */
export async function ingestOver(
  driver: Driver,
  nodes: readonly string[],
  { waiting = {}, limits = {} }: { waiting?: BacklogOptions; limits?: Partial<Limits> } = {},
) {
  const ingest = handlerOver(driver, nodes, waiting)
  // Called in reverse order: the server is closed before what it serves.
  onTestFinished(ingest.close)
  const { url, port } = await serving(ingest.handle, limits, ingest.admit)
  return { ...ingest, url, port }
}

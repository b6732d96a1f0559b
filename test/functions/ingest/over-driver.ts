import { onTestFinished } from 'vitest'
import { createIngestHandler } from '#functions/ingest/handler.ts'
import { createIngestMetrics } from '#functions/ingest/metrics.ts'
import { createStrangers } from '#functions/ingest/quarantine.ts'
import { createReceiver } from '#functions/ingest/receive.ts'
import { createWaiting, type WaitingOptions } from '#functions/ingest/waiting.ts'
import { createCallback } from '#shared/callback.ts'
import { silentLog } from '#shared/log.ts'
import { createMetrics } from '#shared/metrics.ts'
import type { Driver } from '#shared/state/driver.ts'
import { defaultSettings } from '#shared/state/settings.ts'
import { createStore } from '#shared/state/store.ts'
import { systemClock } from '#shared/time.ts'
import { serving } from '../../runtime/serving.ts'
import type { Limits } from '#shared/runtime/serve.ts'

/** Ingest in the test's own process, on a real socket, over a driver that the test chose. */
export async function ingestOver(
  driver: Driver,
  nodes: readonly string[],
  { waiting: options = {}, limits = {} }: { waiting?: WaitingOptions; limits?: Partial<Limits> } = {},
) {
  const log = silentLog
  const registry = createMetrics()
  const metrics = createIngestMetrics(registry)
  const store = createStore(driver, { historyPerNode: 1_000, log })
  const waiting = createWaiting({ log, metrics }, options)
  const receiver = createReceiver({
    store,
    waiting,
    strangers: createStrangers(log),
    clock: systemClock,
    log,
    metrics,
    newId: () => 'incarnation',
    settings: defaultSettings,
    configured: new Set(nodes),
  })
  const callback = createCallback({ url: 'http://127.0.0.1' })
  const { url, port } = await serving(createIngestHandler({ receiver, callback, clock: systemClock }), limits)
  onTestFinished(async () => {
    waiting.close()
    await store.close()
  })
  const metric = (name: string) => {
    const line = registry
      .text()
      .split('\n')
      .find((each) => each.startsWith(`${name} `))
    return Number(line?.slice(name.length))
  }
  return { url, port, store, waiting, metric }
}

import type { Config } from '#shared/config/index.ts'
import type { Log } from '#shared/log.ts'
import type { Metrics } from '#shared/metrics.ts'
import type { Store } from '#shared/state/store/store.ts'
import type { Clock } from '#shared/time.ts'
import type { Forwarder } from './forward.ts'

/**
 * The way out to the sink that the configuration names, once in a process: functions write through its `store`, and
 * close it before the store beneath. Without K_SINK it is that store itself: nothing is sent, nothing is loaded, and
 * the cursor of no node is touched (design.md §3).
 */
export async function openForwarder(
  { sink }: Pick<Config, 'sink'>,
  deps: { store: Store; clock: Clock; log: Log; metrics: Metrics; random: () => number },
): Promise<Forwarder> {
  const { store, clock, log, metrics, random } = deps
  const { url } = sink
  if (url === undefined) return { store, settle: async () => true, close: async () => {} }
  const [{ createForwarder }, { createSink }] = await Promise.all([
    import('./forward.ts'),
    import('./sink.ts'),
  ])
  return createForwarder({
    store,
    sink: createSink({ ...sink, url, clock, log }),
    log,
    metrics,
    random,
  })
}

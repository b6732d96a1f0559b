import type { Config } from '#shared/config/index.ts'
import type { Clock } from '#shared/time.ts'
import type { Forwarder, ForwarderDeps } from './forward.ts'

/**
 * The way out to the sink that the configuration names, once in a process: functions write through its `store`, and
 * close it before the store beneath. Without K_SINK it is that store itself: nothing is sent, nothing is loaded, and
 * the cursor of no node is touched (design.md §3).
 */
export async function openForwarder(
  { sink }: Pick<Config, 'sink'>,
  { clock, ...deps }: Omit<ForwarderDeps, 'sink'> & { readonly clock: Clock },
): Promise<Forwarder> {
  const { url } = sink
  if (url === undefined) return { store: deps.store, settle: async () => true, close: async () => {} }
  const { createForwarder } = await import('./forward.ts')
  const { createSink } = await import('./sink.ts')
  return createForwarder({ ...deps, sink: createSink({ ...sink, url, clock, log: deps.log }) })
}

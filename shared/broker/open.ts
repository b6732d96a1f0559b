import type { Config } from '#shared/config/index.ts'
import type { Clock } from '#shared/time.ts'
import type { Forwarder, ForwarderDeps } from './forward.ts'

/**
 * Opens the forwarder to the configured sink, once per process: functions write through its `store`, and close it
 * before the underlying store. Without K_SINK `store` is the underlying store itself: nothing is sent or loaded, and
 * no node's `forwarded` changes (design.md §3).
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

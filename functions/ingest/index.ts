import { openForwarder } from '#shared/broker/open.ts'
import { createCallback } from '#shared/callback.ts'
import { StoreError } from '#shared/errors.ts'
import type { FunctionDefinition } from '#shared/runtime/function.ts'
import { openStore } from '#shared/state/store/open.ts'
import { createBacklog } from './backlog.ts'
import { createIngestHandler } from './handler.ts'
import { createIngestMetrics } from './metrics.ts'
import { createReceiver } from './receive.ts'

export const ingest: FunctionDefinition = {
  name: 'ingest',
  summary: 'receives the events of publishers and Brokers',
  description: [
    'Serves the callback of all subscriptions, POST /event/<node>[/<token>] (and plain POST /event), and the deliveries of a Broker, POST /cloudevents[/<token>].',
    'An event is answered with 204 once it is stored. With CALLBACK_SECRET, only paths with a valid token are served.',
  ].join('\n'),
  flags: {},
  examples: { 'PORT=8080 STATE_URL=sqlite:state.db ptp-watch ingest': 'receives events' },
  environment: ['State', 'Publishers', 'Callback', 'Merge', 'Broker'],
  required: [],
  modes: { serve: true, run: false },
  async open(config, { clock, log, metrics, random, newId }) {
    const { merge: settings } = config
    const store = await openStore(config, { log, random })
    const forwarder = await openForwarder(config, { store, clock, log, metrics, random })
    // Where publishers reach us does not matter for incoming events: only the secrets do.
    const callback = createCallback({
      url: config.callbackUrl ?? 'http://localhost',
      secrets: config.callbackSecrets,
    })
    const counted = createIngestMetrics(metrics)
    const backlog = createBacklog({ log, metrics: counted })
    const receiver = createReceiver({
      store: forwarder.store,
      backlog,
      clock,
      log,
      metrics: counted,
      newId,
      settings,
      configured: new Set(config.publishers.map(({ node }) => node)),
      trusted: callback.secured,
    })
    return {
      ...createIngestHandler({ receiver, callback, clock }),
      async ping() {
        // For ingest, a store that can be read but not written is down.
        if (backlog.count() > 0) throw new StoreError('Buffered events wait for the store')
        await store.ping()
      },
      async close() {
        // Logged first, since the host may not wait for the end.
        if (backlog.count() > 0) log.warn('shutting down with buffered events', { waiting: backlog.count() })
        const unwritten = await backlog.flush()
        if (unwritten > 0)
          log.error('store did not recover before shutdown: buffered events are dropped', {
            dropped: unwritten,
          })
        backlog.close()
        await forwarder.close()
        await store.close()
      },
    }
  },
}

import { openForwarder } from '#shared/broker/open.ts'
import { createCallback } from '#shared/callback.ts'
import { StoreError } from '#shared/errors.ts'
import type { FunctionDefinition } from '#shared/runtime/function.ts'
import { openStore } from '#shared/state/store/open.ts'
import { createIngestHandler } from './handler.ts'
import { createIngestMetrics } from './metrics.ts'
import { createReceiver } from './receive.ts'
import { createWaiting } from './backlog.ts'

export const ingest: FunctionDefinition = {
  name: 'ingest',
  summary: 'takes in what publishers and Brokers deliver',
  description: [
    'Serves the callback of all subscriptions, POST /event/<node>[/<token>] (and plain POST /event), and the deliveries of a Broker, POST /cloudevents[/<token>].',
    'An event is answered with 204 after the store has it. With CALLBACK_SECRET only paths with a token serve.',
  ].join('\n'),
  flags: {},
  examples: [{ command: 'PORT=8080 STATE_URL=sqlite:state.db ptp-watch ingest', does: 'takes in events' }],
  environment: ['State', 'Publishers', 'Callback', 'Merge', 'Broker'],
  required: [],
  modes: { serve: true, run: false },
  async open(config, { clock, log, metrics, random, newId }) {
    const { merge: settings } = config
    const store = await openStore(config, { log, random })
    const forwarder = await openForwarder(config, { store, clock, log, metrics, random })
    // Where publishers reach us does not matter to what comes in: only the secrets do.
    const callback = createCallback({
      url: config.callbackUrl ?? 'http://localhost',
      secrets: config.callbackSecrets,
    })
    const counted = createIngestMetrics(metrics)
    const waiting = createWaiting({ log, metrics: counted })
    const receiver = createReceiver({
      store: forwarder.store,
      waiting,
      clock,
      log,
      metrics: counted,
      newId,
      settings,
      configured: new Set(config.publishers.map(({ node }) => node)),
    })
    return {
      ...createIngestHandler({ receiver, callback, clock }),
      async ping() {
        // A store that can be read but not written is down for what comes in here.
        if (waiting.count() > 0) throw new StoreError('Events wait for the store')
        await store.ping()
      },
      async close() {
        // Told before, since the host may not wait for the end of this.
        if (waiting.count() > 0)
          log.warn('Closing while events wait for the store', { waiting: waiting.count() })
        const unwritten = await waiting.flush()
        if (unwritten > 0)
          log.error('The store did not return: events that were refused are not in it', { unwritten })
        waiting.close()
        await forwarder.close()
        await store.close()
      },
    }
  },
}

import { StoreError } from '#shared/errors.ts'
import { findAccess } from '#shared/kubernetes/access.ts'
import { createKubernetesClient } from '#shared/kubernetes/client.ts'
import type { FunctionDefinition } from '#shared/runtime/function.ts'
import { createTickHandler } from '#shared/runtime/tick.ts'
import { openStore } from '#shared/state/store/open.ts'
import { createAnnouncer } from './announce.ts'
import { createEventHandler, createOnEvent } from './handler.ts'
import { createConditionMetrics } from './metrics.ts'
import { createNodes } from './nodes.ts'
import { createPlaces } from './places.ts'
import { createReconcile } from './reconcile.ts'
import { createSweep } from './sweep.ts'
import { createTaints } from './taints.ts'

/** The limits of a call to the API server: only a Broker waits for it, for up to ten seconds. Milliseconds. */
const CALLS = { attemptMs: 3_000, budgetMs: 6_000 }

export const condition: FunctionDefinition = {
  name: 'condition',
  summary: 'shows PTP state as conditions and Events of Kubernetes Nodes',
  description: [
    'For every node in the store, sets the conditions ptp-watch.io/PTPSynchronized and ptp-watch.io/PTPNotFreerunning of its Node, and writes Kubernetes Events about it: PTPFreerun, PTPHoldover, PTPRecovered, PTPEventsMissed.',
    'A run sweeps all Nodes. Served, it checks one node for each ptpwatch.… CloudEvent at POST /, and all of them on POST /tick; the answer is 202 when that is done, or 503 if it failed. A tick during a sweep does not start another.',
    'With TAINT it also taints Nodes in FREERUN, at most 10 % of a site at once, and removes the taint afterwards.',
    'Exit codes: 0 all Nodes up to date, 1 some failed (named, with the reason), 2 configuration or usage.',
  ].join('\n'),
  flags: {},
  examples: {
    'ptp-watch condition': 'brings all Nodes of the current context up to date',
    'ptp-watch condition --serve': 'does so at each event and at every POST /tick',
  },
  environment: ['State', 'Merge', 'Node conditions'],
  required: [],
  modes: { serve: true, run: true },

  async open(config, { clock, log, metrics: registry, random }) {
    const { merge: settings, taint } = config
    const access = await findAccess(config.stateOptions.kubernetes, { clock, log })
    // Our own namespace is read before anything is opened: if that fails, nothing has to be closed.
    const namespace = taint && (await access.namespace())
    const store = await openStore(config, { log, random }, { create: false })
    const client = createKubernetesClient(access, { log }, CALLS)
    const metrics = createConditionMetrics(registry)
    const deps = { client, nodes: createNodes(client), store, settings, clock, log, metrics }
    const announcer = createAnnouncer(deps)
    const reconcile = createReconcile(deps, announcer)
    const places = createPlaces(client, namespace ?? '')
    const taints = taint && createTaints({ taint, places }, deps, announcer)
    const run = createSweep(deps, announcer, reconcile, taints)

    const ended = new AbortController()
    let sweeping: Promise<unknown> | undefined
    /** One sweep at a time; a request during a sweep is answered at once. */
    const sweep = async (signal: AbortSignal = ended.signal): Promise<void> => {
      if (sweeping !== undefined) return
      const swept = run(AbortSignal.any([ended.signal, signal]))
      sweeping = swept
      const { done, failures } = await swept.finally(() => {
        sweeping = undefined
      })
      if (failures.length === 0) return
      throw new StoreError(`${failures.length} failures, ${done} Nodes up to date; first: ${failures[0]}`)
    }
    const onEvent = createOnEvent({ reconcile, sweep, log })
    const events = createEventHandler(onEvent)
    const tick = createTickHandler(sweep)

    return {
      onEvent,
      handle: (request) => (request.path === '/tick' ? tick(request) : events(request)),
      async run(_flags, { signal, terminal }) {
        const { done, failures } = await run(signal)
        for (const failure of failures) terminal.err(`failed: ${failure}\n`)
        terminal.out(`Nodes up to date: ${done}, failures: ${failures.length}\n`)
        return failures.length === 0 ? 0 : 1
      },
      ping: () => store.ping(),
      async close() {
        ended.abort(new Error('closing'))
        await sweeping?.catch(() => {})
        await client.close()
        await store.close()
      },
    }
  },
}

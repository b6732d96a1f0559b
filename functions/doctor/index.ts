import { shownStateUrl } from '#shared/config/state-url.ts'
import { StoreError } from '#shared/errors.ts'
import { openPublishers } from '#shared/publishers/open.ts'
import type { Target } from '#shared/publishers/target.ts'
import { type Flags, type FunctionDefinition, UsageError } from '#shared/runtime/function.ts'
import { openStore } from '#shared/state/store/open.ts'
import {
  checkIngest,
  checkNodeLabels,
  checkPublishers,
  checkSink,
  checkStore,
  checkToken,
} from './checks/setup.ts'
import { findingsOf, WHOLE } from './exam.ts'
import { createView } from './print.ts'
import { examineAll } from './run.ts'

export const doctor: FunctionDefinition = {
  name: 'doctor',
  summary: 'finds out why the events of a publisher do not arrive',
  description: [
    'Checks every publisher: DNS, health, dialect and release, resources, our subscriptions, whether its notifications reach ingest and this store, the state and time of its clocks, the newest event, and its metrics beside our counters. Prints a line for each check: what was found and, if something is wrong, how to fix it.',
    'Changes no subscription that works. To see a notification arrive, it creates an extra subscription for a moment, or posts one of ours again (v1), which creates it if it was missing.',
    'Exit codes: 0 no failures (warnings are possible), 1 something failed or it was stopped, 2 configuration or usage.',
  ].join('\n'),
  flags: {
    node: { value: 'names', description: 'Only these publishers, separated by commas.' },
    quiet: { description: 'Shows failures and warnings only.' },
    json: {
      description:
        'Prints a list of {node, check, status, result, fix}; status is ok, warning, failed or skipped, node is null for what concerns all.',
    },
  },
  examples: {
    'ptp-watch doctor': 'checks everything',
    'ptp-watch doctor --node node1.example.com': 'checks one publisher',
    'ptp-watch doctor --json | jq -r \'.[] | select(.status == "failed") | .node\'':
      'the nodes with a failure',
  },
  environment: ['State', 'Publishers', 'Publisher access', 'Callback', 'Merge', 'Broker', 'Work'],
  required: ['PUBLISHERS', 'CALLBACK_URL'],
  modes: { serve: false, run: true },

  async open(config, host) {
    // A store that cannot be opened is a finding, after which publishers are checked all the same.
    const store = await openStore(config, host).catch(async (error: unknown) => {
      if (!(error instanceof StoreError)) throw error
      const none = await openStore({ ...config, stateUrl: 'memory:' }, host)
      return { ...none, ping: () => Promise.reject(error) }
    })
    const publishers = await openPublishers(config, { ...host, store })
    return {
      async run(flags, { signal, terminal }) {
        const found = await publishers.find({ signal, marks: false })
        const unnamed = new Map(found.unnamed.map(({ target, reason }) => [target, reason]))
        const targets = picked([...found.targets, ...unnamed.keys()], flags)
        const view = createView(terminal, targets.length, flags)
        const [stored, ingest, sink] = await Promise.all([
          checkStore(store, shownStateUrl(config.stateUrl)),
          targets.length > 0 ? publishers.prove(targets, signal).then(checkIngest) : undefined,
          checkSink(config.sink, signal),
        ])
        const whole = findingsOf(null, WHOLE, {
          publishers: [checkPublishers(found, config.discovery?.namespace)],
          'node-labels': checkNodeLabels(found.nodeLabels),
          store: [stored],
          'callback-token': [checkToken(config.callbackSecrets.length)],
          ingest: ingest && [ingest],
          sink: [sink],
        })
        if (!signal.aborted) view.show(whole)
        const doctor = {
          ...publishers,
          ...host,
          ...{ store, unnamed, settings: config.merge, wantedKinds: config.resources },
          configured: new Set([...config.publishers, ...targets].map(({ node }) => node)),
          storeUp: stored[0] === 'ok',
          ingestUp: ingest?.[0] === 'ok',
          ownStore: config.stateUrl === 'memory:',
        }
        const concurrency = config.pollConcurrency
        const each = await examineAll(doctor, targets, { concurrency, signal, onDone: view.show })
        if (!signal.aborted) return view.end(whole, each)
        view.stopped()
        return 1
      },
      async close() {
        await publishers.close()
        await store.close()
      },
    }
  },
}

function picked(targets: readonly Target[], { node }: Flags): readonly Target[] {
  if (typeof node !== 'string') return targets
  const names = node.split(',').map((name) => name.trim())
  const unknown = names.filter((name) => !targets.some((target) => target.node === name))
  if (unknown.length > 0) throw new UsageError(`PUBLISHERS has no node ${unknown.join(', ')}`)
  return targets.filter((target) => names.includes(target.node))
}

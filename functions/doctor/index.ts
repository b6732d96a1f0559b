import { ConfigurationError, StoreError } from '#shared/errors.ts'
import { createCredentials } from '#shared/credentials.ts'
import { createHttp } from '#shared/http/client.ts'
import { shownStateUrl } from '#shared/config/state-url.ts'
import { openPublishers } from '#shared/publishers/open.ts'
import type { Target } from '#shared/publishers/target.ts'
import { type Flags, type FunctionDefinition, UsageError } from '#shared/runtime/function.ts'
import type { NodeState } from '#shared/state/document.ts'
import { conditionOf } from '#shared/state/merge/overall.ts'
import type { Driver } from '#shared/state/store/driver.ts'
import { openDriver } from '#shared/state/store/open.ts'
import { createStore } from '#shared/state/store/store.ts'
import {
  checkIngest,
  checkNodeLabels,
  checkPublishers,
  checkSink,
  checkStore,
  checkToken,
} from './checks/setup.ts'
import { createView } from './print.ts'
import { createReport, WHOLE } from './report.ts'
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
    const { callbackUrl, historyPerNode, merge: settings, stateUrl } = config
    if (callbackUrl === undefined) throw new ConfigurationError(['CALLBACK_URL must be set'])
    const { clock, log, random, newId } = host
    const driver = await openDriver(stateUrl, { log, ...config.stateOptions }).catch(failing)
    const store = createStore(driver, { historyPerNode, log, random })
    const overall = (state: NodeState) => conditionOf(state, clock.now(), settings).overall
    const publishers = await openPublishers(config, { ...host, store })
    const { registry, http, callback, find, prove } = publishers
    // Servers that are no publishers do not get the credentials for publishers.
    const credentials = createCredentials({ ca: config.publisherFiles.ca }, { clock, log })
    const others = createHttp({ clock, log }, { credentials })

    return {
      async run(flags, { signal, terminal }) {
        const found = await find({ signal, marks: false })
        const unnamed = new Map(found.unnamed.map(({ target, reason }) => [target, reason]))
        const targets = picked([...found.targets, ...unnamed.keys()], flags)
        const view = createView(terminal, targets.length, flags)
        const report = createReport(null)
        report.add('publishers', checkPublishers(found, config.discovery?.namespace))
        const [stored, ingest, sink] = await Promise.all([
          checkStore(store, shownStateUrl(stateUrl)),
          targets.length > 0 ? prove(targets, signal).then(checkIngest) : undefined,
          checkSink(config.sink, signal),
        ])
        report.add('store', stored)
        report.add('callback-token', checkToken(config.callbackSecrets.length))
        if (ingest !== undefined) report.add('ingest', ingest)
        report.add('sink', sink)
        const labels = checkNodeLabels(found.nodeLabels)
        if (labels !== undefined) report.add('node-labels', labels)
        const whole = report.findings(
          WHOLE.filter((check) => check !== 'node-labels' || labels !== undefined),
        )
        if (!signal.aborted) view.show(whole)
        const deps = {
          ...{ registry, http, others, callback, store, clock, settings, overall },
          ...{ newId, newIncarnation: newId, unnamed },
          storeUp: stored[0] === 'ok',
          ingestUp: ingest?.[0] === 'ok',
          kinds: config.resources,
          configured: new Set([...config.publishers, ...targets].map(({ node }) => node)),
          refreshMs: settings.staleAfterMs / 3,
          ownStore: stateUrl === 'memory:',
        }
        const concurrency = config.pollConcurrency
        const each = await examineAll(deps, targets, { concurrency, signal, onDone: view.show })
        if (signal.aborted) {
          view.stopped()
          return 1
        }
        const all = [whole, ...each]
        view.end(all)
        return all.flat().some(({ status }) => status === 'failed') ? 1 : 0
      },
      async close() {
        await publishers.close()
        await others.close()
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

/** Stands for a store that cannot be opened: a finding, after which publishers are checked all the same. */
function failing(error: unknown): Driver {
  if (!(error instanceof StoreError)) throw error
  const fail = () => Promise.reject(error)
  const reads = { read: fail, list: fail, versions: fail, log: fail, ping: fail }
  return { ...reads, write: fail, remove: fail, close: async () => {} }
}

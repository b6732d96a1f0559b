import { ConfigurationError, StoreError } from '#shared/errors.ts'
import type { Found } from '#shared/publishers/discovery/index.ts'
import { createHttp } from '#shared/http/client.ts'
import { openPublishers } from '#shared/publishers/open.ts'
import type { Target } from '#shared/publishers/target.ts'
import { UsageError } from '#shared/runtime/arguments.ts'
import type { Flags, FunctionDefinition } from '#shared/runtime/function.ts'
import type { Driver } from '#shared/state/store/driver.ts'
import type { NodeState } from '#shared/state/document.ts'
import { openDriver, shownStateUrl } from '#shared/state/store/open.ts'
import { conditionOf } from '#shared/state/merge/overall.ts'
import { createStore } from '#shared/state/store/store.ts'
import { createReport, WHOLE } from './report.ts'
import { examineAll } from './run.ts'
import { createView } from './print.ts'
import { systemLookup } from './checks/reach.ts'
import { checkSink } from './checks/sink.ts'
import { checkCallbackHere, checkPublishers, checkStore, checkToken } from './checks/setup.ts'

export const doctor: FunctionDefinition = {
  name: 'doctor',
  summary: 'finds out why events of a publisher do not come',
  description: [
    'Asks each publisher, one after another: does its name resolve, is it well, what does it speak and of which release is it, which resources has it, are our subscriptions there, does what it posts reach ingest and this store, what does it say of each clock, does its own clock go right, how old is the newest event, and do its own figures agree with ours. Each finding is a line: what was asked, what came, what to do.',
    'It changes nothing that is there. To see a notification arrive it makes one subscription more for a moment, or posts one of ours again (v1), which makes it where it was missing.',
    'Exit codes: 0 all is well, or there is only something to look at; 1 something failed, or it was stopped; 2 configuration or usage.',
  ].join('\n'),
  flags: {
    node: { type: 'string', value: 'names', description: 'Only these publishers, separated by commas.' },
    quiet: { type: 'boolean', description: 'Shows only what failed, and what to look at.' },
    json: {
      type: 'boolean',
      description: 'Prints a list of {node, check, result, asked, came, todo}; node is null for the whole.',
    },
  },
  examples: [
    { command: 'ptp-watch doctor', does: 'everything about every publisher' },
    { command: 'ptp-watch doctor --node node1.example.com', does: 'one publisher' },
    {
      command: `ptp-watch doctor --json | jq -r '.[] | select(.result == "failed") | .node'`,
      does: 'the nodes that are not well',
    },
  ],
  environment: [
    'PUBLISHERS',
    'CALLBACK_URL',
    'CALLBACK_SECRET',
    'RESOURCES',
    'STATE_URL',
    'KUBECONFIG',
    'STATE_CA_FILE',
    'STATE_PASSWORD_FILE',
    'HISTORY_PER_NODE',
    'STALE_AFTER_SECONDS',
    'SETTLE_SECONDS',
    'OVERALL_KINDS',
    'POLL_CONCURRENCY',
    'K_SINK',
    'K_CA_CERTS',
    'PUBLISHER_CA_FILE',
    'PUBLISHER_CERT_FILE',
    'PUBLISHER_KEY_FILE',
    'PUBLISHER_TOKEN_FILE',
  ],
  required: ['PUBLISHERS', 'CALLBACK_URL'],
  modes: { serve: false, run: true },

  async open(config, host) {
    const { callbackUrl, historyPerNode, merge: settings, stateUrl } = config
    if (callbackUrl === undefined) throw new ConfigurationError(['CALLBACK_URL must be set'])
    const { clock, log, random, newId } = host
    const driver = await openDriver(stateUrl, { log, ...config.stateOptions }).catch(unopened)
    const store = createStore(driver, { historyPerNode, log, random })
    const overall = (state: NodeState) => conditionOf(state, clock.now(), settings).overall
    const { registry, http, callback, find, close } = await openPublishers(config, callbackUrl, {
      ...host,
      store,
      overall,
    })
    // Whoever is no publisher is not shown what publishers are.
    const others = createHttp({ clock, log }, { credentials: { ca: config.publisherFiles.ca } })

    const examineWhole = async (targets: readonly Target[], found: Found, signal: AbortSignal) => {
      const report = createReport(null)
      const [first] = targets
      checkPublishers(report, found, config.discovery?.namespace)
      const [storeUp, answersHere] = await Promise.all([
        checkStore(report, store, shownStateUrl(stateUrl)),
        first && checkCallbackHere(report, { callback, http: others, node: first.node }, { signal }),
        checkSink(report, config.sink, signal),
      ])
      checkToken(report, callback, config.callbackSecrets.length)
      return { storeUp, answersHere, findings: report.findings(WHOLE) }
    }

    return {
      async run(flags, { signal, terminal }) {
        const found = await find({ signal, marks: false })
        const unnamed = new Map(found.unnamed.map(({ target, reason }) => [target, reason]))
        const targets = picked([...found.targets, ...unnamed.keys()], flags)
        const view = createView(terminal, targets.length, flags)
        const { storeUp, answersHere, findings } = await examineWhole(targets, found, signal)
        if (!signal.aborted) view.show(findings)
        const deps = {
          ...{ registry, http, others, callback, store, clock, settings, overall },
          ...{ newId, storeUp, answersHere, unnamed },
          resolve: systemLookup,
          kinds: config.resources,
          configured: new Set([...config.publishers, ...targets].map(({ node }) => node)),
          newIncarnation: newId,
          refreshMs: settings.staleAfterMs / 3,
          ownStore: stateUrl === 'memory:',
        }
        const concurrency = config.pollConcurrency
        const each = await examineAll(deps, targets, { concurrency, signal, onDone: view.showNext })
        if (signal.aborted) {
          view.stopped()
          return 1
        }
        const all = [findings, ...each]
        view.end(all)
        return all.flat().some(({ result }) => result === 'failed') ? 1 : 0
      },
      async close() {
        await close()
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

/** What stands for a store that cannot be opened: that is a finding, and no reason to look at nothing else. */
function unopened(error: unknown): Driver {
  if (!(error instanceof StoreError)) throw error
  const refuse = () => Promise.reject(error)
  return {
    read: refuse,
    write: refuse,
    list: refuse,
    names: refuse,
    log: refuse,
    remove: refuse,
    ping: refuse,
    close: async () => {},
  }
}

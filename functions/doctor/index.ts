import pLimit from 'p-limit'
import { shownStateUrl } from '#shared/config/state-url.ts'
import { PtpWatchError, reasonOf, StoreError } from '#shared/errors.ts'
import { openPublishers } from '#shared/publishers/open.ts'
import type { Target } from '#shared/publishers/target.ts'
import { type Flags, type FunctionDefinition, UsageError } from '#shared/runtime/function.ts'
import { openStore } from '#shared/state/store/open.ts'
import { checkClock, checkNodeName, checkStates, releaseOf } from './answers.ts'
import { checkEvents, checkMetrics, checkState } from './events.ts'
import { type Doctor, examOf, Stop } from './exam.ts'
import { createView, EACH, type Finding, findingsOf, type Verdicts, WHOLE } from './report.ts'
import * as setup from './setup.ts'
import { checkCallback, checkSubscriptions } from './subscriptions.ts'
import { FIX } from './words.ts'

export const doctor: FunctionDefinition = {
  name: 'doctor',
  summary: "finds out why a publisher's events do not arrive",
  description: [
    'Checks every publisher: DNS, health, dialect and release, resources, our subscriptions, whether its notifications reach ingest and this store, the state and time of its clocks, the newest event, and its metrics against our counters. Prints a line for each check: what was found and, if something is wrong, how to fix it.',
    'Does not change working subscriptions. To see a notification arrive, it briefly creates an extra subscription, or posts one of ours again (v1), which creates it if it was missing.',
    'Exit codes: 0 no failures (warnings are possible), 1 something failed or it was stopped, 2 configuration or usage.',
  ].join('\n'),
  flags: {
    node: { value: 'names', description: 'Only these publishers, separated by commas.' },
    quiet: { description: 'Shows failures and warnings only.' },
    json: {
      description:
        'Prints a list of {node, check, status, result, fix}; status is ok, warning, failed or skipped, node is null for checks that concern all publishers.',
    },
  },
  examples: {
    'ptp-watch doctor': 'checks everything',
    'ptp-watch doctor --node node1.example.com': 'checks one publisher',
    'ptp-watch doctor --json | jq -r \'.[] | select(.status == "failed") | .node\'': 'nodes that failed',
  },
  environment: ['State', 'Publishers', 'Publisher access', 'Callback', 'Merge', 'Broker', 'Work'],
  required: ['PUBLISHERS', 'CALLBACK_URL'],
  modes: { serve: false, run: true },

  async open(config, host) {
    // If the store cannot be opened, that is a finding, and publishers are checked anyway.
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
          setup.checkStore(store, shownStateUrl(config.stateUrl)),
          targets.length > 0 ? publishers.prove(targets, signal).then(setup.checkIngest) : undefined,
          setup.checkSink(config.sink, signal),
        ])
        const whole = findingsOf(null, WHOLE, {
          publishers: [setup.checkPublishers(found, config.discovery?.namespace)],
          'node-labels': setup.checkNodeLabels(found.nodeLabels),
          store: [stored],
          'callback-token': [setup.checkToken(config.callbackSecrets)],
          ingest: ingest && [ingest],
          sink: [sink],
        })
        if (!signal.aborted) view.show(whole)
        const doctor = {
          ...{ ...config, ...host, ...publishers, store, unnamed, signal },
          configured: new Set([...config.publishers, ...targets].map(({ node }) => node)),
          storeUp: stored[0] === 'ok',
          ingestUp: ingest?.[0] === 'ok',
        }
        const each = await examineAll(doctor, targets, view.show)
        return view.end(whole, each, signal.aborted)
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

/** Returns the findings in the order of `targets`; none for those cut off by the signal. */
function examineAll(doctor: Doctor, targets: readonly Target[], onDone: (all: Finding[]) => void) {
  const asking = pLimit(doctor.pollConcurrency)
  const reading = pLimit(doctor.pollConcurrency)
  const store = { ...doctor.store, read: (node: string) => reading(() => doctor.store.read(node)) }
  const examine = async (target: Target): Promise<Finding[]> => {
    const verdicts: Verdicts = {}
    try {
      // While one waits for the store, others are checked.
      const ask = () => (doctor.signal.aborted ? undefined : askAll({ ...doctor, store }, target, verdicts))
      const arrival = await asking(ask)
      if (arrival !== undefined) verdicts.callback = [await arrival()]
    } catch (error) {
      // If the store fails meanwhile, that is a finding.
      if (error instanceof PtpWatchError && error.code !== 'configuration')
        verdicts.state = [['failed', reasonOf(error), FIX.storeFirst]]
      else if (!(error instanceof Stop)) throw error
    }
    if (doctor.signal.aborted) return []
    const findings = findingsOf(target.node, EACH, verdicts)
    onDone(findings)
    return findings
  }
  return Promise.all(targets.map(examine))
}

/** Every check of one publisher. Returns the one left to do after the last request to it. */
async function askAll(doctor: Doctor, target: Target, verdicts: Verdicts) {
  const exam = await examOf(doctor, target, verdicts)
  verdicts.subscriptions = [await checkSubscriptions(exam)]
  verdicts.dialect = [['ok', `${exam.client.dialect}, ${releaseOf(exam)}`]]
  const named = checkNodeName(exam)
  verdicts.addresses = named[0] === 'failed' ? [named] : (verdicts.addresses ?? [named])
  if (named[0] === 'failed') return undefined
  verdicts['current-state'] = checkStates(exam)
  verdicts.clock = [checkClock(exam)]
  verdicts.metrics = [await checkMetrics(exam)]
  if (!doctor.storeUp) return undefined
  // Before the callback check, whose notification changes the store.
  verdicts.events = [await checkEvents(exam)]
  verdicts.state = [await checkState(exam)]
  const callback = await checkCallback(exam)
  if (typeof callback === 'function') return callback
  verdicts.callback = [callback]
  return undefined
}

import type { FunctionDefinition } from '#shared/runtime/function.ts'
import { openStore, shownStateUrl } from '#shared/state/store/open.ts'
import { readAssets } from './assets.ts'
import { createFleet } from './fleet.ts'
import { openGate } from './gate.ts'
import { createStatusHandler } from './handler.ts'
import { printStatus } from './print.ts'

export const status: FunctionDefinition = {
  name: 'status',
  summary: 'shows the state of every node in the store',
  description: [
    'Prints one line for each node, the worst first: its overall state and for how long (≥40s: only a poll has shown it), the worst state of each kind of clock (LOCKED?: stale, or in doubt), flags (blind: neither pushes nor polls reach us; suspect: a worse event came too late to be believed, the next poll decides; stale: nothing has confirmed a clock), whether its publisher answers, and how many transitions only a poll has shown. With --json it prints everything, with the log of each node.',
    'Served, it shows the fleet at / and each node at /nodes/<node>; the API behind it is described at /api/openapi.json.',
    'Exit codes: 0 printed, 1 the store could not be read, 2 configuration or usage; with --exit-code 3 unless the nodes selected by --name and --label are all LOCKED and there is at least one.',
  ].join('\n'),
  flags: {
    overall: {
      type: 'string',
      value: 'states',
      description: 'Only nodes in these states: FREERUN,HOLDOVER,UNKNOWN,LOCKED.',
    },
    label: {
      type: 'string',
      value: 'key=value',
      description: 'Only nodes with this label; of several, separated by commas, all must match.',
    },
    name: { type: 'string', value: 'part', description: 'Only nodes with this in their name.' },
    sort: {
      type: 'string',
      value: 'order',
      description: 'severity (worst first, the default), name, or since (latest change first).',
    },
    wide: { type: 'boolean', description: 'All columns, however wide; so it is when piped.' },
    output: {
      type: 'string',
      short: 'o',
      value: 'format',
      description: 'table (the default), json, csv or name.',
    },
    json: { type: 'boolean', description: 'The same as --output json.' },
    'exit-code': { type: 'boolean', description: 'Ends with 3 unless every selected node is LOCKED.' },
  },
  examples: [
    { command: 'ptp-watch status', does: 'the fleet as a table' },
    {
      command: 'ptp-watch status --overall FREERUN,HOLDOVER --label site=a -o name',
      does: 'the nodes of a site that lost lock',
    },
    { command: `ptp-watch status --json | jq '.nodes[].publisher.url'`, does: 'where the publishers are' },
    { command: 'PORT=8081 ptp-watch status --serve', does: 'the same over HTTP' },
  ],
  environment: [
    'STATE_URL',
    'KUBECONFIG',
    'STATE_CA_FILE',
    'STATE_PASSWORD_FILE',
    'HISTORY_PER_NODE',
    'STALE_AFTER_SECONDS',
    'OVERALL_KINDS',
    'STATUS_TOKEN_FILE',
  ],
  required: [],
  modes: { serve: true, run: true },
  async open(config, { clock, log, random, newId }) {
    const { historyPerNode, merge } = config
    // To look at a store must not make one: an empty fleet would be shown where the file is another one.
    const store = await openStore(config, { log, random }, { create: false })
    const shownStore = shownStateUrl(config.stateUrl)
    const deps = { store, clock, settings: merge, historyPerNode, log, shownStore }
    const gate = config.statusTokenFile === undefined ? undefined : await openGate(config.statusTokenFile)
    const fleet = createFleet(deps, newId())
    return {
      handle: createStatusHandler({ ...deps, fleet, assets: await readAssets(), gate }),
      run: (flags, { signal, terminal }) => printStatus(deps, flags, { signal, terminal }),
      ping: () => store.ping(),
      close: () => store.close(),
    }
  },
}

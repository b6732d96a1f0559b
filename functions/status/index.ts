import type { FunctionDefinition } from '#shared/runtime/function.ts'
import { openDriver } from '#shared/state/open.ts'
import { createStore } from '#shared/state/store.ts'
import { createStatusHandler } from './handler.ts'
import { printStatus } from './print.ts'

export const status: FunctionDefinition = {
  name: 'status',
  summary: 'shows what the store knows of every node',
  description: [
    'Prints one line for each node: its overall state and for how long, the worst state of each kind of clock, whether its publisher answers, and how many transitions only a poll has shown. With --json it prints all that is known, with each node’s log.',
    'Served, it answers GET /api/nodes?limit=<1..500>&continue=<token> (without logs) and GET /api/nodes/<node>.',
    'Exit codes: 0 printed, 1 the store could not be read, 2 configuration or usage.',
  ].join('\n'),
  flags: { json: { type: 'boolean', description: 'Prints JSON, with the log of each node.' } },
  examples: [
    { command: 'ptp-watch status', does: 'the fleet as a table' },
    {
      command: `ptp-watch status --json | jq '.nodes[] | select(.overall != "LOCKED") | .node'`,
      does: 'the nodes that are not in lock',
    },
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
  ],
  required: [],
  modes: { serve: true, run: true },
  async open(config, { clock, log, random }) {
    const { historyPerNode, merge } = config
    const store = createStore(await openDriver(config.stateUrl, { log, ...config.stateOptions }), {
      historyPerNode,
      log,
      random,
    })
    const deps = { store, clock, settings: merge, historyPerNode }
    return {
      handle: createStatusHandler(deps),
      run: (flags, { signal, terminal }) =>
        printStatus(deps, { json: flags.json === true, signal, terminal }),
      ping: () => store.ping(),
      close: () => store.close(),
    }
  },
}

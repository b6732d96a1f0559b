import type { FunctionDefinition } from '#shared/runtime/function.ts'
import { shownStateUrl } from '#shared/config/state-url.ts'
import { openStore } from '#shared/state/store/open.ts'
import { readAssets } from './http/assets.ts'
import { createFleet } from './fleet.ts'
import { openGate } from './http/gate.ts'
import { createStatusHandler } from './http/handler.ts'
import { printStatus, sourceOf, STATUS_FLAGS } from './terminal/print.ts'
import { createScrape } from './metrics/scrape.ts'

export const status: FunctionDefinition = {
  name: 'status',
  summary: 'shows the state of every node in the store',
  description: [
    'Prints one line for each node, worst first; --json prints everything, with the log of each node.',
    'OVERALL is the worst of LOCK and OS CLOCK. FOR: how long (≥40s: only a poll has shown it, so at least that). LOCK, OS CLOCK, GNSS, SYNC and SYNCE show the worst clock of that kind, CLASS and QL the worst clock class and SyncE quality level. LOCKED?: in doubt; -: none; …: cut.',
    'FLAGS: stale (not confirmed for STALE_AFTER_SECONDS), suspect (a worse event arrived late, the next poll decides), blind (neither events nor polls reach us). PUBLISHER: up, down, gone (no longer found), up 5m ago (not polled since). MISSED: transitions that only a poll has found.',
    'With --serve it shows the fleet at / and each node at /nodes/<node>; the API behind it is described at /api/openapi.json.',
    'Exit codes: 0 printed, 1 the store could not be read, 2 configuration or usage; with --exit-code 3 unless --name and --label select at least one node and all of them are LOCKED.',
  ].join('\n'),
  flags: STATUS_FLAGS,
  examples: {
    'ptp-watch status': 'the fleet as a table',
    'ptp-watch status --overall FREERUN,HOLDOVER --label site=a -o name':
      'the nodes of a site that lost lock',
    "ptp-watch status --json | jq '.nodes[].publisher.url'": 'where the publishers are',
    'PORT=8081 ptp-watch status --serve': 'the same over HTTP',
  },
  environment: ['State', 'Merge', 'Status'],
  required: [],
  modes: { serve: true, run: true },
  async open(config, { clock, log, random, newId }) {
    const { historyPerNode, holdoverBudgetMs, merge } = config
    // Not created: a wrong path would look like an empty fleet.
    const store = await openStore(config, { log, random }, { create: false })
    const shownStore = shownStateUrl(config.stateUrl)
    const deps = { store, clock, settings: { ...merge, holdoverBudgetMs }, historyPerNode, log, shownStore }
    const gate = config.statusTokenFile === undefined ? undefined : await openGate(config.statusTokenFile)
    const fleet = createFleet(deps, newId())
    return {
      handle: createStatusHandler({ ...deps, fleet, assets: await readAssets(), gate }),
      scrape: createScrape({ fleet, clock, gate }),
      run: (flags, { signal, terminal }) => printStatus(sourceOf(deps), flags, { signal, terminal }),
      ping: () => store.ping(),
      close: () => store.close(),
    }
  },
}

import { type Source, sourceOf } from '../print.ts'
import { readConfig } from '#shared/config/index.ts'
import type { Access } from '#shared/kubernetes/client.ts'
import type { Log } from '#shared/log.ts'
import { openStore } from '#shared/state/store/open.ts'
import type { Clock } from '#shared/time.ts'
import type { Install } from './install.ts'

/** The settings that decide how state is read: what is shown here is what the functions in the cluster go by. */
const READ = [
  'OVERALL_KINDS',
  'STALE_AFTER_SECONDS',
  'SETTLE_SECONDS',
  'REORDER_SECONDS',
  'HISTORY_PER_NODE',
  'HOLDOVER_BUDGET_SECONDS',
]

/** The fleet as its ConfigMaps have it: whoever may read them needs no pod of ours. */
export async function openLocal(
  { namespace, settings }: Install,
  access: Access,
  { clock, log, random }: { clock: Clock; log: Log; random: () => number },
): Promise<Source & { close(): Promise<void> }> {
  const own = settings.STATE_URL === 'configmap://' ? `configmap://${namespace}` : settings.STATE_URL
  const config = await readConfig({
    ...Object.fromEntries(READ.map((name) => [name, settings[name]])),
    STATE_URL: own,
  })
  const { historyPerNode, merge, holdoverBudgetMs, stateUrl } = config
  const store = await openStore(
    { stateUrl, stateOptions: { kubernetes: access }, historyPerNode },
    { log, random },
  )
  const deps = {
    store,
    clock,
    settings: { ...merge, holdoverBudgetMs },
    historyPerNode,
    shownStore: stateUrl,
  }
  return {
    ...sourceOf(deps),
    close: () => store.close(),
  }
}

import { type Source, sourceOf } from '../terminal/print.ts'
import { readConfig } from '#shared/config/index.ts'
import type { Access } from '#shared/kubernetes/client.ts'
import type { Host } from '#shared/runtime/function.ts'
import { openStore } from '#shared/state/store/open.ts'
import type { Install } from './install.ts'

/** The settings that decide how state is read, so that it is shown here as the functions in the cluster see it. */
const READ = [
  'OVERALL_KINDS',
  'STALE_AFTER_SECONDS',
  'SETTLE_SECONDS',
  'REORDER_SECONDS',
  'HISTORY_PER_NODE',
  'HOLDOVER_BUDGET_SECONDS',
]

/** Reads the fleet from its ConfigMaps: whoever may read those does not need a pod of ours. */
export async function openLocal(
  { namespace, settings }: Install,
  access: Access,
  { clock, log, random }: Host,
): Promise<Source & { close(): Promise<void> }> {
  const own = settings.STATE_URL === 'configmap://' ? `configmap://${namespace}` : settings.STATE_URL
  const read = Object.fromEntries(READ.map((name) => [name, settings[name]]))
  const { historyPerNode, merge, holdoverBudgetMs, stateUrl } = await readConfig({ ...read, STATE_URL: own })
  const from = { stateUrl, stateOptions: { kubernetes: access }, historyPerNode }
  const store = await openStore(from, { log, random })
  const shown = { settings: { ...merge, holdoverBudgetMs }, historyPerNode, shownStore: stateUrl }
  return { ...sourceOf({ store, clock, ...shown }), close: () => store.close() }
}

import type { Terminal } from '#shared/runtime/function.ts'
import { viewOf } from '#shared/state/view.ts'
import { allNodes, type Deps, withLog } from './nodes.ts'
import { fleetTable } from './table.ts'

/** `ptp-watch status [--json]`: prints the fleet once. */
export async function printStatus(
  deps: Deps,
  { json, signal, terminal }: { json: boolean; signal: AbortSignal; terminal: Terminal },
): Promise<number> {
  const views = []
  for await (const state of allNodes(deps.store, signal)) {
    views.push(json ? await withLog(deps, state) : viewOf(state, deps.clock.now(), deps.settings))
  }
  if (json) terminal.out(`${JSON.stringify({ nodes: views, continue: null }, null, 2)}\n`)
  else terminal.out(`${fleetTable(views, deps.clock.now(), terminal).join('\n')}\n`)
  return 0
}

import { damagedState, type NodeState } from '#shared/state/document.ts'
import type { Store } from '#shared/state/store/store.ts'
import type { Clock } from '#shared/time.ts'
import { type Settings, type ShownNode, shownOf } from './shown.ts'

export type Deps = {
  readonly store: Store
  readonly clock: Clock
  readonly settings: Settings
  readonly historyPerNode: number
}

const PAGE = 200
/** How much of its log a node is shown with; the rest is in its log by time. */
const SHOWN_LOG = 100

/** The document of a node as it is shown: one that cannot be read is {@link damagedState}. */
export const readShown = (store: Pick<Store, 'read'>, node: string): Promise<NodeState | undefined> =>
  store.read(node).catch((error: unknown) => damagedState(node, error))

/** A node with the newest entries of its log. */
export async function withLog(deps: Deps, state: NodeState): Promise<ShownNode> {
  const limit = Math.min(deps.historyPerNode, SHOWN_LOG)
  const range = { after: Math.max(0, state.seq - limit), limit }
  const log = state.damaged === undefined ? await deps.store.log(state.node, range) : undefined
  return shownOf(state, deps.clock.now(), deps.settings, log)
}

/** Every node of the store, a page at a time. */
export async function* allNodes(store: Store, signal: AbortSignal): AsyncGenerator<NodeState> {
  let from: string | undefined
  do {
    signal.throwIfAborted()
    const page = await store.list({ limit: PAGE, from })
    for (const { state } of page.nodes) yield state
    from = page.next
  } while (from !== undefined)
}

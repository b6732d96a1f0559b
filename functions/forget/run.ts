import { isDeepStrictEqual } from 'node:util'
import { reasonOf, StoreError } from '#shared/errors.ts'
import type { NodeState } from '#shared/state/document.ts'
import type { Store } from '#shared/state/store/store.ts'

/** What became of one node. */
export type Forgotten =
  | { readonly node: string; readonly outcome: 'removed'; readonly state: NodeState; readonly unsent: number }
  | { readonly node: string; readonly outcome: 'unknown' }
  /** Something came in between; it was not removed. */
  | { readonly node: string; readonly outcome: 'changed' }
  | { readonly node: string; readonly outcome: 'failed'; readonly reason: string }

/**
 * Removes a node's document and log, as they are when this is called: what comes in meanwhile keeps the node. Nothing
 * is removed where the store fails.
 */
export async function forgetNode(store: Pick<Store, 'read' | 'remove'>, node: string): Promise<Forgotten> {
  try {
    const state = await store.read(node)
    if (state === undefined) return { node, outcome: 'unknown' }
    let changed = false
    const removed = await store.remove(node, (current) => {
      changed = !isDeepStrictEqual(current, state)
      return !changed
    })
    // Not there any more, and not changed: somebody else has removed it.
    if (!removed) return { node, outcome: changed ? 'changed' : 'unknown' }
    return { node, outcome: 'removed', state, unsent: state.seq - (state.forwarded ?? state.seq) }
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    return { node, outcome: 'failed', reason: reasonOf(error) }
  }
}

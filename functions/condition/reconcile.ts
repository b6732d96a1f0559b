import { damagedState } from '#shared/state/document.ts'
import type { Overall } from '#shared/state/merge/overall.ts'
import { viewOf } from '#shared/state/view.ts'
import type { Announcer } from './announce.ts'
import { conditionsOf, patchFor, unknownConditions } from './conditions.ts'
import type { ConditionDeps } from './metrics.ts'
import { type ClusterNode, despiteOthers } from './nodes.ts'

/** How many names without a Node are remembered: an event may contain any name. */
const MOST_ABSENT = 10_000

/** A Node, the state that was found, and its site. */
export type Swept = {
  readonly node: ClusterNode
  readonly overall: Overall | 'NotWatched' | 'Unreadable'
  readonly site: string
}

export type Reconcile = (
  name: string,
  options: {
    /** Write the time of our check even if nothing changed. */
    readonly heartbeat: boolean
    /** The Node as just read; it is read again if somebody has written since. `absent`: there was none. */
    readonly node?: ClusterNode | 'absent' | undefined
  },
) => Promise<Swept | undefined>

const ABSENT = { outcome: 'absent', swept: undefined } as const

/**
 * Brings a Node's conditions and Events in line with the store; undefined if the cluster has no such Node.
 *
 * The Node is read before the document, and the patch names the version that was read: an instance that knows less than
 * the Node already shows gets a conflict and checks again. So neither the order of calls nor a second instance can set
 * a Node back.
 */
export function createReconcile(deps: ConditionDeps, announcer: Announcer): Reconcile {
  const { store, nodes, clock, log, metrics, settings } = deps
  const absent = new Set<string>()

  /** What the store says about a node, and the conditions that follow. */
  const read = async (name: string) => {
    const state = await store.read(name).catch((error: unknown) => damagedState(name, error))
    if (state === undefined) {
      const wanted = unknownConditions('NotWatched', 'PTP Watch knows nothing of this node any more')
      return { overall: 'NotWatched', wanted } as const
    }
    if (state.damaged !== undefined) {
      return { overall: 'Unreadable', wanted: unknownConditions('Unreadable', state.damaged) } as const
    }
    const view = viewOf(state, clock.now(), settings)
    return { state, view, overall: view.overall, wanted: conditionsOf(view) }
  }

  const attempt = async (node: ClusterNode, heartbeat: boolean) => {
    const { state, view, overall, wanted } = await read(node.name)
    const swept: Swept = { node, overall, site: state?.labels?.site ?? '' }
    if (overall === 'NotWatched' && node.conditions.length === 0)
      return { outcome: 'unchanged', swept } as const
    const conditions = patchFor(node.conditions, wanted, clock.now(), { heartbeat })
    const patched = conditions === undefined ? 'done' : await nodes.patchConditions(node, conditions)
    if (patched === 'conflict') return patched
    if (patched === 'absent') return ABSENT
    const [after] = wanted
    const before = node.conditions.find(({ type }) => type === after?.type)
    const isChanged = before?.status !== after?.status || before?.reason !== after?.reason
    if (isChanged && after !== undefined) {
      const { status, reason, message } = after
      log.info('condition changed', { node: node.name, from: before?.reason, status, reason, why: message })
    }
    if (state !== undefined && view !== undefined) await announcer.announce(node, state, view)
    const outcome = conditions === undefined ? 'unchanged' : isChanged ? 'changed' : 'heartbeat'
    return { outcome, swept } as const
  }

  const tellAbsent = (name: string) => {
    if (!absent.has(name)) log.warn('no Node of this name in the cluster; no condition set', { node: name })
    if (absent.size >= MOST_ABSENT) absent.clear()
    absent.add(name)
  }

  return async (name, { heartbeat, node: given }) => {
    let node = given
    try {
      const { outcome, swept } = await despiteOthers(`the conditions of Node ${name}`, async () => {
        const current = node ?? (await nodes.get(name)) ?? 'absent'
        node = undefined
        return current === 'absent' ? ABSENT : attempt(current, heartbeat)
      })
      metrics.updates.inc({ outcome })
      if (outcome === 'absent') tellAbsent(name)
      else absent.delete(name)
      return swept
    } catch (error) {
      metrics.updates.inc({ outcome: 'failed' })
      throw error
    }
  }
}

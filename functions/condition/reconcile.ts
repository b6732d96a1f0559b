import { StoreError } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import { becauseOf } from '#shared/state/because.ts'
import { damagedState, type NodeState } from '#shared/state/document.ts'
import type { MergeSettings } from '#shared/state/merge/draft.ts'
import type { Overall } from '#shared/state/merge/overall.ts'
import type { Store } from '#shared/state/store/store.ts'
import { viewOf } from '#shared/state/view.ts'
import type { Clock } from '#shared/time.ts'
import type { Announcer } from './announce.ts'
import { conditionsOf, patchFor, unknownConditions } from './conditions.ts'
import type { ConditionMetrics } from './metrics.ts'
import type { ClusterNode, Nodes } from './nodes.ts'

/** How often in a row somebody else may write a Node between our reading and our patch. */
const CONFLICTS = 10

/** Names without a Node that are remembered as told. An event may bear any name. */
const MOST_ABSENT = 10_000

export type ReconcileDeps = {
  readonly store: Pick<Store, 'read'>
  readonly nodes: Nodes
  readonly announcer: Announcer
  readonly clock: Clock
  readonly log: Log
  readonly metrics: ConditionMetrics
  readonly settings: MergeSettings
}

/** What a node was found to be, and where it is. */
export type Found = { readonly overall: Overall | 'NotWatched'; readonly site: string }

/** A Node of a sweep, and what was found of it. */
export type Swept = { readonly node: ClusterNode } & Found

export type Reconcile = (
  name: string,
  options: {
    /** Says when we looked even where nothing changed. */
    readonly heartbeat: boolean
    /** The Node as it was just read; it is read again where somebody wrote it since. `absent`: there was none. */
    readonly node?: ClusterNode | 'absent' | undefined
  },
) => Promise<Found | undefined>

/**
 * Brings the conditions and the Events of one Node in line with the store; undefined where the cluster has no such Node.
 *
 * The Node is read before the document, and the patch names the version that was read: whoever knows less than what the
 * Node already says gets a conflict and looks again. So no order of calls, and no other instance, can take a Node back.
 */
export function createReconcile(deps: ReconcileDeps): Reconcile {
  const { store, nodes, announcer, clock, log, metrics, settings } = deps
  const absent = new Set<string>()

  const wantedFor = (state: NodeState | undefined) => {
    if (state?.damaged !== undefined) return { wanted: unknownConditions('Unreadable', state.damaged) }
    if (state === undefined) {
      return { wanted: unknownConditions('NotWatched', 'PTP Watch knows nothing of this node any more') }
    }
    const view = viewOf(state, clock.now(), settings)
    return { wanted: conditionsOf(view), view }
  }

  const attempt = async (node: ClusterNode, heartbeat: boolean): Promise<Attempt> => {
    const state = await store.read(node.name).catch((error: unknown) => damagedState(node.name, error))
    const isOurs = state !== undefined || node.conditions.length > 0
    if (!isOurs) return { outcome: 'unchanged', found: NOTHING }
    const { wanted, view } = wantedFor(state)
    const overall = view?.overall ?? (state === undefined ? 'NotWatched' : 'UNKNOWN')
    const found: Found = { overall, site: state?.labels?.site ?? '' }
    const conditions = patchFor(node.conditions, wanted, clock.now(), { heartbeat })
    const patched = conditions === undefined ? 'done' : await nodes.patchConditions(node, conditions)
    if (patched !== 'done') return { outcome: patched }
    const [after] = wanted
    const before = node.conditions.find(({ type }) => type === after?.type)
    const isChanged = before?.status !== after?.status || before?.reason !== after?.reason
    if (isChanged && after !== undefined) {
      const { status, reason, message } = after
      log.info('condition changed', { node: node.name, from: before?.reason, status, reason, why: message })
    }
    if (state !== undefined && view !== undefined) {
      await announcer.announce(node, state, { overall: view.overall, because: becauseOf(view) })
    }
    return { outcome: conditions === undefined ? 'unchanged' : isChanged ? 'changed' : 'heartbeat', found }
  }

  const reconcile: Reconcile = async (name, { heartbeat, node: given }) => {
    let node = given
    for (let conflicts = 0; conflicts < CONFLICTS; conflicts += 1) {
      node ??= (await nodes.get(name)) ?? 'absent'
      const { outcome, found } = node === 'absent' ? NO_NODE : await attempt(node, heartbeat)
      node = undefined
      if (outcome === 'conflict') continue
      metrics.updates.inc({ outcome })
      if (outcome !== 'absent') {
        absent.delete(name)
        return found
      }
      if (!absent.has(name))
        log.warn('the cluster has no Node of this name: it gets no condition', { node: name })
      if (absent.size >= MOST_ABSENT) absent.clear()
      absent.add(name)
      return undefined
    }
    throw new StoreError(
      `Others changed Node ${name} again and again while its conditions were being patched`,
    )
  }

  return async (name, options) => {
    try {
      return await reconcile(name, options)
    } catch (error) {
      metrics.updates.inc({ outcome: 'failed' })
      throw error
    }
  }
}

const NOTHING: Found = { overall: 'NotWatched', site: '' }

type Attempt = {
  readonly outcome: 'changed' | 'heartbeat' | 'unchanged' | 'conflict' | 'absent'
  readonly found?: Found
}
const NO_NODE: Attempt = { outcome: 'absent' }

import pLimit from 'p-limit'
import { reasonOf, StoreError } from '#shared/errors.ts'
import type { Announcer } from './announce.ts'
import { isOutdated, patchFor, unknownConditions } from './conditions.ts'
import type { ConditionDeps } from './metrics.ts'
import type { ClusterNode } from './nodes.ts'
import type { Reconcile, Swept } from './reconcile.ts'
import type { Taints } from './taints.ts'

/** How many Nodes are updated at once. */
const AT_ONCE = 8

/** How many Nodes are up to date, and what failed, one line each. */
type Sweep = { readonly done: number; readonly failures: readonly string[] }

/**
 * Brings every Node up to date: it finds what time alone has changed, and what no event reported. A failure for one
 * Node does not hold up the others.
 * @throws StoreError if the Nodes or the store cannot be listed.
 */
export function createSweep(
  { store, nodes, clock, log, metrics }: ConditionDeps,
  announcer: Announcer,
  reconcile: Reconcile,
  taints: Taints | undefined,
): (signal: AbortSignal) => Promise<Sweep> {
  /** Without its store PTP Watch knows nothing, and old conditions must not pass for current ones. */
  const doubt = async (node: ClusterNode, reason: string) => {
    if (!isOutdated(node.conditions, clock.now())) return
    const unknown = unknownConditions('StoreDown', `PTP Watch cannot read its store: ${reason}`)
    const conditions = patchFor(node.conditions, unknown, clock.now(), { heartbeat: false })
    if (conditions === undefined) return
    try {
      // Whoever writes it now knows more.
      await nodes.patchConditions(node, conditions)
    } catch (error) {
      const fields = { node: node.name, reason: reasonOf(error) }
      log.warn('cannot set the condition of a Node to Unknown', fields)
    }
  }

  const sweep = async (signal: AbortSignal): Promise<Sweep> => {
    const listed = await nodes.list(signal)
    const all = [...listed.values()]
    const watched = await store.versions().catch(async (error: unknown) => {
      const reason = reasonOf(error)
      await pLimit(AT_ONCE).map(all, async (node) => signal.aborted || doubt(node, reason))
      throw error
    })
    announcer.keepOnly(watched)
    const ours = all.filter(({ name, conditions }) => watched.has(name) || conditions.length > 0)
    const names = new Set([...ours.map(({ name }) => name), ...watched.keys()])
    const failures: string[] = []
    const swept: Swept[] = []
    await pLimit(AT_ONCE).map([...names], async (name) => {
      signal.throwIfAborted()
      try {
        const found = await reconcile(name, { heartbeat: true, node: listed.get(name) ?? 'absent' })
        if (found !== undefined) swept.push(found)
      } catch (error) {
        failures.push(`Node ${name}: ${reasonOf(error)}`)
      }
    })
    // An unreadable document says as little as one that could not be checked.
    const known = swept.filter(({ overall }) => overall !== 'Unreadable')
    await taints?.(known, listed, { signal, failures })
    return { done: swept.length, failures }
  }

  return async (signal) => {
    const startedAt = clock.now()
    let outcome: 'ok' | 'failed' = 'failed'
    try {
      const { done, failures } = await sweep(signal)
      const fields = { nodes: done, durationMs: clock.now() - startedAt }
      if (failures.length === 0) {
        outcome = 'ok'
        metrics.lastSweep.set({}, clock.now() / 1_000)
        log.info('sweep', fields)
      } else {
        log.warn('sweep partly failed', { ...fields, failed: failures.length, reason: failures[0] })
      }
      return { done, failures }
    } catch (error) {
      if (signal.aborted) throw new StoreError('The sweep was ended early by a shutdown')
      throw error
    } finally {
      metrics.sweeps.inc({ outcome })
    }
  }
}

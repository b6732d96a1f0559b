import pLimit from 'p-limit'
import { reasonOf, StoreError } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import type { Store } from '#shared/state/store/store.ts'
import type { Clock } from '#shared/time.ts'
import type { Announcer } from './announce.ts'
import { isOutdated, patchFor, unknownConditions } from './conditions.ts'
import type { ConditionMetrics } from './metrics.ts'
import type { ClusterNode, Nodes } from './nodes.ts'
import type { Reconcile, Swept } from './reconcile.ts'
import type { Taints } from './taints.ts'

/** Nodes that are brought up to date at once. */
const AT_ONCE = 8

export type SweepDeps = {
  readonly store: Pick<Store, 'versions'>
  readonly nodes: Nodes
  readonly reconcile: Reconcile
  readonly announcer: Announcer
  /** Absent where no taint is wanted. */
  readonly taints: Taints | undefined
  readonly clock: Clock
  readonly log: Log
  readonly metrics: ConditionMetrics
}

export type Sweep = {
  /** Nodes that are up to date now. */
  readonly done: number
  /** What could not be done, one line each. */
  readonly failures: readonly string[]
}

/**
 * Brings every Node up to date: it finds what time alone has changed, and what no event told us of. What fails for one
 * Node does not hold up the others.
 * @throws StoreError where the Nodes or the store cannot be listed.
 */
export function createSweep(deps: SweepDeps): (signal: AbortSignal) => Promise<Sweep> {
  const { store, nodes, reconcile, announcer, taints, clock, log, metrics } = deps

  /** Without its store PTP Watch knows nothing: what a Node says of a while ago must not pass for the present. */
  const doubtAll = (all: readonly ClusterNode[], reason: string, signal: AbortSignal) =>
    pLimit(AT_ONCE).map(all, async (node) => {
      if (signal.aborted || !isOutdated(node.conditions, clock.now())) return
      const unknown = unknownConditions('StoreDown', `PTP Watch cannot read its store: ${reason}`)
      const conditions = patchFor(node.conditions, unknown, clock.now(), { heartbeat: false })
      if (conditions === undefined) return
      // Somebody who writes it now knows more.
      await nodes.patchConditions(node, conditions).catch((failure: unknown) => {
        log.warn('cannot set the condition of a Node to Unknown', {
          node: node.name,
          reason: reasonOf(failure),
        })
      })
    })

  const sweep = async (signal: AbortSignal): Promise<Sweep> => {
    const listed = await nodes.list(signal)
    const watched = await store.versions().catch(async (error: unknown) => {
      await doubtAll([...listed.values()], reasonOf(error), signal)
      throw error
    })
    announcer.keepOnly(watched)
    const ours = [...listed.values()].filter(
      ({ name, conditions }) => watched.has(name) || conditions.length > 0,
    )
    const withoutNode = [...watched.keys()].filter((name) => !listed.has(name))
    const failures: string[] = []
    const swept: Swept[] = []
    await pLimit(AT_ONCE).map([...ours, ...withoutNode], async (one) => {
      signal.throwIfAborted()
      const [name, node] = typeof one === 'string' ? [one] : [one.name, one]
      try {
        const found = await reconcile(name, { heartbeat: true, node: node ?? 'absent' })
        if (found !== undefined && node !== undefined) swept.push({ node, ...found })
      } catch (error) {
        failures.push(`Node ${name}: ${reasonOf(error)}`)
      }
    })
    if (taints !== undefined) failures.push(...(await taints.apply(swept, listed, signal)))
    return { done: swept.length, failures }
  }

  return async (signal) => {
    const startedAt = clock.now()
    let outcome: 'ok' | 'failed' = 'failed'
    try {
      const { done, failures } = await sweep(signal)
      const durationMs = clock.now() - startedAt
      if (failures.length === 0) {
        outcome = 'ok'
        metrics.lastSweep.set({}, clock.now() / 1_000)
        log.info('sweep', { nodes: done, durationMs })
      } else {
        log.warn('sweep failed in part', {
          nodes: done,
          failed: failures.length,
          reason: failures[0],
          durationMs,
        })
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

/** What a sweep failed to do, as the error of the whole. */
export function failureOf({ done, failures }: Sweep): StoreError | undefined {
  const [first] = failures
  if (first === undefined) return undefined
  return new StoreError(`${failures.length} failures, ${done} Nodes up to date; first: ${first}`)
}

import { reasonOf, StoreError } from '#shared/errors.ts'
import type { TaintConfig } from '#shared/config/index.ts'
import type { Log } from '#shared/log.ts'
import type { Announcer } from './announce.ts'
import type { ConditionMetrics } from './metrics.ts'
import type { ClusterNode, Nodes, Taint } from './nodes.ts'
import type { Places } from './places.ts'
import type { Swept } from './sweep.ts'

/** Of a site, how many Nodes may be tainted at once; one always may. A grandmaster that is lost must not close a site. */
const MOST_TAINTED = 0.1
const CONFLICTS = 10

type Listed = ReadonlyMap<string, ClusterNode>

export type Taints = {
  /** Adds and removes our taint as a sweep found the Nodes, of all that the cluster has. What failed, one line each. */
  apply(swept: readonly Swept[], all: Listed, signal: AbortSignal): Promise<string[]>
}

export type TaintDeps = {
  readonly nodes: Nodes
  /** Who may be tainted, kept where all instances see it. */
  readonly places: Places
  readonly announcer: Announcer
  readonly log: Log
  readonly metrics: ConditionMetrics
}

/**
 * Taints Nodes that free-run. A place is taken before a Node is tainted and given back after its taint is removed, by
 * compare-and-set: also two instances, or one that dies half-way, never taint more than the limit.
 *
 * A Node that is UNKNOWN keeps what it has; one that is watched no more loses the taint.
 */
export function createTaints(taint: TaintConfig, deps: TaintDeps): Taints {
  const { nodes, places, announcer, log, metrics } = deps
  const isOurs = ({ key, effect }: Taint) => key === taint.key && effect === taint.effect
  const isTainted = ({ taints }: ClusterNode) => taints.some(isOurs)
  /** Those that were told to be without. */
  let withheldBefore: ReadonlySet<string> = new Set()

  /** Whether it has the taint afterwards as was asked; a Node that is gone has not. */
  const set = async (name: string, wanted: boolean): Promise<void> => {
    for (let conflicts = 0; conflicts < CONFLICTS; conflicts += 1) {
      const node = await nodes.get(name)
      if (node === undefined || isTainted(node) === wanted) return
      const others = node.taints.filter((one) => !isOurs(one))
      const patched = await nodes.patchTaints(node, wanted ? [...others, taint] : others)
      if (patched === 'conflict') continue
      if (patched === 'done')
        log.info(wanted ? 'Node tainted' : 'taint removed', { node: name, taint: taint.key })
      return
    }
    throw new StoreError(`Others changed Node ${name} again and again while its taint was being set`)
  }

  const apply = async (swept: readonly Swept[], all: Listed, signal: AbortSignal, failures: string[]) => {
    const each = async (names: Iterable<string>, wanted: boolean): Promise<string[]> => {
      const done: string[] = []
      for (const name of names) {
        signal.throwIfAborted()
        try {
          await set(name, wanted)
          done.push(name)
        } catch (error) {
          failures.push(`Node ${name}: ${reasonOf(error)}`)
        }
      }
      return done
    }
    const byName = new Map(swept.map((one) => [one.node.name, one]))
    const tainted = swept.filter(({ node }) => isTainted(node)).map(({ node }) => node.name)
    // A Node of which nothing could be found out now keeps what it has.
    const isOver = (name: string) => {
      const one = byName.get(name)
      return one === undefined ? !all.has(name) : one.overall !== 'FREERUN' && one.overall !== 'UNKNOWN'
    }
    const held = new Set([...(await places.read()), ...tainted])
    const removed = await each([...held].filter(isOver), false)
    const wanted = swept.filter(({ overall }) => overall === 'FREERUN')
    const { taken } = await places.change((before) => {
      const taken = new Set([...before, ...tainted].filter((name) => !removed.includes(name)))
      for (const { node, site } of wanted) {
        if (taken.has(node.name)) continue
        const group = swept.filter((one) => one.site === site)
        const used = group.filter((one) => taken.has(one.node.name)).length
        if (used < limitOf(group.length)) taken.add(node.name)
      }
      return taken
    })
    const allowed = wanted.filter(({ node }) => taken.has(node.name))
    const added = await each(
      allowed.filter(({ node }) => !isTainted(node)).map(({ node }) => node.name),
      true,
    )
    // Another instance that knew more may have given a place back meanwhile.
    if (added.length > 0) {
      const now = await places.read()
      await each(
        added.filter((name) => !now.has(name)),
        false,
      )
    }
    metrics.tainted.set({}, taken.size)
    await tellWithheld(
      swept,
      wanted.filter(({ node }) => !taken.has(node.name)),
      failures,
    )
  }

  const tellWithheld = async (swept: readonly Swept[], withheld: readonly Swept[], failures: string[]) => {
    metrics.withheld.set({}, withheld.length)
    const fresh = withheld.filter(({ node }) => !withheldBefore.has(node.name))
    for (const site of new Set(fresh.map((one) => one.site))) {
      const inSite = (some: readonly Swept[]) => some.filter((one) => one.site === site).length
      const total = inSite(swept)
      log.warn('taint withheld: too many Nodes of the site free-run', {
        ...{ site, withheld: inSite(withheld), nodes: total, limit: limitOf(total), taint: taint.key },
      })
    }
    const told = new Set(withheld.map(({ node }) => node.name).filter((name) => withheldBefore.has(name)))
    for (const { node, site } of fresh) {
      const limit = limitOf(swept.filter((one) => one.site === site).length)
      try {
        await announcer.withheld(
          node,
          `The node free-runs but is not tainted with ${taint.key}: at most ${limit} of site ${JSON.stringify(site)} may be at once`,
        )
        told.add(node.name)
      } catch (error) {
        failures.push(`Node ${node.name}: ${reasonOf(error)}`)
      }
    }
    withheldBefore = told
  }

  return {
    async apply(swept, all, signal) {
      const failures: string[] = []
      try {
        await apply(swept, all, signal, failures)
      } catch (error) {
        signal.throwIfAborted()
        failures.push(`Taints: ${reasonOf(error)}`)
      }
      return failures
    },
  }
}

const limitOf = (nodes: number) => Math.max(1, Math.floor(nodes * MOST_TAINTED))

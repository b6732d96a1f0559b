import { reasonOf } from '#shared/errors.ts'
import type { TaintConfig } from '#shared/config/index.ts'
import type { Announcer } from './announce.ts'
import { countBySite, mostTainted, sizesOf, withinLimit } from './brake.ts'
import type { ConditionDeps } from './metrics.ts'
import { type ClusterNode, despiteOthers, type Taint } from './nodes.ts'
import type { Places } from './places.ts'
import type { Swept } from './reconcile.ts'

/** `failures`: collects failures, one line each. */
type Run = { readonly signal: AbortSignal; readonly failures: string[] }

export type Taints = ReturnType<typeof createTaints>

/**
 * Taints Nodes in FREERUN. A place is taken before a Node is tainted and given back after its taint is removed, by
 * compare-and-set: two instances, or one that dies half-way, never taint more than the limit.
 *
 * `places`: who may be tainted, stored where all instances see it. A Node that is UNKNOWN keeps its taint or stays
 * without; one that is no longer watched loses it.
 */
export function createTaints(
  { taint, places }: { readonly taint: TaintConfig; readonly places: Places },
  { nodes, log, metrics }: ConditionDeps,
  announcer: Announcer,
) {
  const isOurs = ({ key, effect }: Taint) => key === taint.key && effect === taint.effect
  const isTainted = ({ taints }: ClusterNode) => taints.some(isOurs)
  /** Those last told that they get no taint. */
  let withheldBefore: ReadonlySet<string> = new Set()

  /** Sets or removes the taint; does nothing if that is already so, or the Node is gone. */
  const set = (name: string, wanted: boolean) =>
    despiteOthers(`the taints of Node ${name}`, async () => {
      const node = await nodes.get(name)
      if (node === undefined || isTainted(node) === wanted) return
      const others = node.taints.filter((one) => !isOurs(one))
      const patched = await nodes.patchTaints(node, wanted ? [...others, taint] : others)
      if (patched === 'conflict') return patched
      if (patched === 'done')
        log.info(wanted ? 'Node tainted' : 'taint removed', { node: name, taint: taint.key })
      return
    })

  /** Sets or removes it for each; returns those for which that worked. */
  const setAll = async (names: readonly string[], wanted: boolean, { signal, failures }: Run) => {
    const done = new Set<string>()
    for (const name of names) {
      signal.throwIfAborted()
      try {
        await set(name, wanted)
        done.add(name)
      } catch (error) {
        failures.push(`Node ${name}: ${reasonOf(error)}`)
      }
    }
    return done
  }

  /** Each is logged once, for as long as it lasts. */
  const tellWithheld = async (
    withheld: readonly Swept[],
    sizes: ReadonlyMap<string, number>,
    { failures }: Run,
  ) => {
    metrics.withheld.set({}, withheld.length)
    const counts = countBySite(withheld)
    const fresh = withheld.filter(({ node }) => !withheldBefore.has(node.name))
    const limitIn = (site: string) => mostTainted(sizes.get(site) ?? 0)
    for (const site of countBySite(fresh).keys()) {
      log.warn('taint withheld: too many Nodes of the site in FREERUN', {
        ...{ site, withheld: counts.get(site), nodes: sizes.get(site), limit: limitIn(site) },
        taint: taint.key,
      })
    }
    withheldBefore = new Set(namesOf(withheld))
    for (const { node, site } of withheld) {
      const place = site === '' ? 'of the Nodes without a site' : `of site ${site}`
      const message = `The node free-runs but is not tainted with ${taint.key}: at most ${limitIn(site)} ${place} may be at once`
      try {
        await announcer.withheld(node, message)
      } catch (error) {
        failures.push(`Node ${node.name}: ${reasonOf(error)}`)
      }
    }
  }

  /** Updates our taints after a sweep. `all`: every Node of the cluster. */
  return async (swept: readonly Swept[], all: ReadonlyMap<string, ClusterNode>, run: Run): Promise<void> => {
    try {
      const states = new Map(swept.map(({ node, overall }) => [node.name, overall]))
      /** A Node whose state could not be read keeps its taint. */
      const isOver = (name: string) => {
        const state = states.get(name)
        return state === undefined ? !all.has(name) : state !== 'FREERUN' && state !== 'UNKNOWN'
      }
      const tainted = namesOf(swept.filter(({ node }) => isTainted(node)))
      const held = new Set([...(await places.read()), ...tainted])
      const removed = await setAll([...held].filter(isOver), false, run)
      const taken = await places.change((before) => {
        const kept = [...before, ...tainted].filter((name) => !removed.has(name))
        return withinLimit(new Set(kept), swept)
      })
      const freerunning = swept.filter(({ overall }) => overall === 'FREERUN')
      const allowed = freerunning.filter(({ node }) => !isTainted(node) && taken.has(node.name))
      const added = await setAll(namesOf(allowed), true, run)
      // Another instance that knew more may have given a place back meanwhile.
      const now = added.size > 0 ? await places.read() : taken
      const givenBack = [...added].filter((name) => !now.has(name))
      await setAll(givenBack, false, run)
      metrics.tainted.set({}, taken.size)
      const withheld = freerunning.filter(({ node }) => !taken.has(node.name))
      await tellWithheld(withheld, sizesOf(swept), run)
    } catch (error) {
      run.signal.throwIfAborted()
      run.failures.push(`Taints: ${reasonOf(error)}`)
    }
  }
}

const namesOf = (swept: readonly Swept[]) => swept.map(({ node }) => node.name)

import { PtpWatchError, reasonOf } from '#shared/errors.ts'
import type { CallOptions } from '#shared/publishers/dialects/client.ts'
import type { Http } from '#shared/http/client.ts'
import type { Registry } from '#shared/publishers/dialects/registry.ts'
import type { Target } from '#shared/publishers/target.ts'
import { checkCallback, type CallbackDeps, type Later } from './checks/callback.ts'
import { checkClock } from './checks/clock.ts'
import { checkNamed, checkStates } from './checks/state.ts'
import { checkEvents, checkState, type EventDeps, missedSinceSubscribed } from './checks/events.ts'
import { checkFigures } from './checks/metrics.ts'
import { createReport, EACH, type Finding, type Report } from './report.ts'
import { otherNodeIn, pullAll } from './checks/pulls.ts'
import { checkHealth, checkName, type Lookup } from './checks/reach.ts'
import { checkDialect } from './checks/release.ts'
import { checkAddresses, checkSubscriptions } from './checks/subscriptions.ts'

export type ExamineDeps = EventDeps &
  CallbackDeps & {
    readonly registry: Registry
    readonly http: Pick<Http, 'request'>
    /** The same to others than publishers, without the credentials for publishers. */
    readonly others: Pick<Http, 'request'>
    readonly resolve: Lookup
    /** The wanted kinds. */
    readonly kinds: readonly string[]
    /** The nodes of every configured publisher. */
    readonly configured: ReadonlySet<string>
    /** Those whose node's name could not be learnt, with why: discovered ones that do not say it. */
    readonly unnamed: ReadonlyMap<Target, string>
    /** Whether the store answers: what stands in it is not asked for otherwise. */
    readonly storeUp: boolean
  }

/**
 * Everything about one publisher. What cannot be asked since something before it failed is skipped. Gives how to wait
 * for what is under way and then get the findings: while it waits, others may be asked.
 */
export async function examine(
  deps: ExamineDeps,
  target: Target,
  call: CallOptions,
): Promise<() => Promise<Finding[]>> {
  const report = createReport(target.node)
  const guarded = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof PtpWatchError) || error.code === 'configuration') throw error
      report.failed('state', 'the store', reasonOf(error), 'Look after the store first')
      return undefined
    }
  }
  const later = await guarded(() => ask(report, deps, target, call))
  return async () => {
    if (later !== undefined) await guarded(later)
    return report.findings(EACH)
  }
}

async function ask(
  report: Report,
  deps: ExamineDeps,
  target: Target,
  call: CallOptions,
): Promise<Later | undefined> {
  const { storeUp, settings, kinds } = deps
  if (!(await checkName(report, target, deps.resolve))) return undefined
  const reached = await checkHealth(report, target, deps, call)
  if (reached === undefined) return undefined
  const unnamed = deps.unnamed.get(target)
  if (unnamed !== undefined) {
    const todo = 'It is named by what it publishes: PTP must run on its node, and may still be starting'
    report.failed('addresses', 'the name of its node', unnamed, todo)
    return undefined
  }
  const offer = await checkAddresses(report, reached, target, kinds, call)
  if (offer === undefined) return undefined
  const state = storeUp ? await deps.store.read(target.node) : undefined
  const held = await checkSubscriptions(report, reached, offer, state, deps, call)
  if (held === undefined) return undefined
  const pulls = await pullAll(reached.client, offer.resources, call)
  checkDialect(
    report,
    reached,
    offer.resources.map(({ kind }) => kind),
    held,
    pulls,
  )
  checkNamed(report, reached, pulls)
  if (otherNodeIn(reached.client, pulls) !== undefined) return undefined
  checkStates(report, reached, pulls, held, settings.overallKinds)
  checkClock(report, reached, pulls)
  const { strangers } = held
  const missedSince = state && (await missedSinceSubscribed(state, deps.store))
  const figures = { state, strangers, missedSince, http: deps.others }
  await checkFigures(report, reached, target, figures, call)
  if (!storeUp) return undefined
  // Before the proof, which itself lets the store hear of the node.
  await checkEvents(report, reached, target, pulls, deps, call)
  await checkState(report, target.node, deps)
  return checkCallback(report, reached, held, pulls, deps, call)
}

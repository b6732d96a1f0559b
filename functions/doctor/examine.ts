import { PtpWatchError, reasonOf } from '#shared/errors.ts'
import type { CallOptions } from '#shared/publishers/client.ts'
import type { Http } from '#shared/publishers/http.ts'
import type { Registry } from '#shared/publishers/registry.ts'
import type { Target } from '#shared/publishers/target.ts'
import { checkCallback, type CallbackDeps } from './callback.ts'
import { checkClock } from './clock.ts'
import { checkNamed, checkStates } from './current-state.ts'
import { checkEvents, checkState, type EventDeps } from './events.ts'
import { checkFigures } from './figures.ts'
import { createReport, EACH, type Finding, type Report } from './finding.ts'
import { otherNodeIn, pullAll } from './pulls.ts'
import { checkHealth, checkName, type Lookup } from './reach.ts'
import { checkDialect } from './release.ts'
import { checkAddresses, checkSubscriptions } from './subscriptions.ts'

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

/** Everything about one publisher. What cannot be asked since something before it failed is skipped. */
export async function examine(deps: ExamineDeps, target: Target, call: CallOptions): Promise<Finding[]> {
  const report = createReport(target.node)
  try {
    await ask(report, deps, target, call)
  } catch (error) {
    if (!(error instanceof PtpWatchError) || error.code === 'configuration') throw error
    report.failed('state', 'the store', reasonOf(error), 'Look after the store first')
  }
  return report.findings(EACH)
}

async function ask(report: Report, deps: ExamineDeps, target: Target, call: CallOptions): Promise<void> {
  const { storeUp, settings, kinds } = deps
  if (!(await checkName(report, target, deps.resolve))) return
  const reached = await checkHealth(report, target, deps, call)
  if (reached === undefined) return
  const unnamed = deps.unnamed.get(target)
  if (unnamed !== undefined) {
    const todo = 'It is named by what it publishes: PTP must run on its node, and may still be starting'
    report.failed('addresses', 'the name of its node', unnamed, todo)
    return
  }
  const offer = await checkAddresses(report, reached, target, kinds, call)
  if (offer === undefined) return
  const state = storeUp ? await deps.store.read(target.node) : undefined
  const held = await checkSubscriptions(report, reached, offer, state, deps, call)
  if (held === undefined) return
  const pulls = await pullAll(reached.client, offer.resources, call)
  checkDialect(
    report,
    reached,
    offer.resources.map(({ kind }) => kind),
    held,
    pulls,
  )
  checkNamed(report, reached, pulls)
  if (otherNodeIn(reached.client, pulls) !== undefined) return
  checkStates(report, reached, pulls, held, settings.overallKinds)
  checkClock(report, reached, pulls)
  const { strangers } = held
  if (storeUp) {
    // Before the proof, which itself lets the store hear of the node.
    await checkEvents(report, reached, target, pulls, deps, call)
    await checkState(report, target.node, deps)
    await checkCallback(report, reached, held, pulls, deps, call)
  }
  await checkFigures(report, reached, target, { state, strangers, http: deps.others }, call)
}

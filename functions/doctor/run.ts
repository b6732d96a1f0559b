import pLimit from 'p-limit'
import { PtpWatchError, reasonOf } from '#shared/errors.ts'
import { placeOf, type Target } from '#shared/publishers/target.ts'
import { checkCallback } from './checks/callback.ts'
import { checkClock } from './checks/clock.ts'
import { checkEvents, checkState } from './checks/events.ts'
import { checkMetrics } from './checks/metrics.ts'
import { checkDialect, checkName, reach } from './checks/reach.ts'
import { checkNodeName, checkStates, pullAll } from './checks/state.ts'
import { checkAddresses, checkSubscriptions, offerOf } from './checks/subscriptions.ts'
import { type DoctorDeps, type Exam, Stop } from './exam.ts'
import { createReport, EACH, type Finding, type Report } from './report.ts'
import { FIX } from './words.ts'

/** Limit for one publisher, in ms: some twenty requests, each with a deadline of its own. */
const DEADLINE_MS = 60_000

/**
 * Examines publishers, `concurrency` at once. `onDone` gets the findings of each when it is done. Gives them in the order
 * of `targets`; none of those that `signal` has cut off.
 */
export function examineAll(
  deps: DoctorDeps,
  targets: readonly Target[],
  options: { concurrency: number; signal: AbortSignal; onDone: (findings: readonly Finding[]) => void },
): Promise<Finding[][]> {
  const { concurrency, signal, onDone } = options
  const asking = pLimit(concurrency)
  const reading = pLimit(concurrency)
  const store = { ...deps.store, read: (node: string) => reading(() => deps.store.read(node)) }
  const examine = async (target: Target): Promise<Finding[]> => {
    const report = createReport(target.node)
    // While one waits for the store, others are asked.
    const later = await asking(() => {
      const call = { signal: AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]) }
      const exam = { deps: { ...deps, store }, target, place: placeOf(target.url), call }
      return signal.aborted ? undefined : stoppable(report, () => askAll(exam, report))
    })
    if (later !== undefined) await stoppable(report, later)
    if (signal.aborted) return []
    const findings = report.findings(EACH)
    onDone(findings)
    return findings
  }
  return Promise.all(targets.map(examine))
}

/** Every check of one publisher. Gives what is left to do once nothing more is asked of it. */
async function askAll(exam: Exam, report: Report): Promise<(() => Promise<void>) | undefined> {
  const { deps, target } = exam
  report.add('dns', await checkName(exam))
  const reached = await reach(exam)
  report.add('health', ['ok', `200 ${reached.health.body.trim().slice(0, 40)}`])
  const offer = await offerOf(reached)
  const listsAddresses = reached.client.dialect === 'red-hat-v2'
  if (listsAddresses) report.add('addresses', checkAddresses(offer, target.node))
  const state = deps.storeUp ? await deps.store.read(target.node) : undefined
  const { listed, verdict } = await checkSubscriptions(reached, offer, state)
  report.add('subscriptions', verdict)
  const pulls = await pullAll(listed, offer.resources)
  report.add('dialect', checkDialect(listed, pulls))
  const named = checkNodeName(listed, pulls)
  if (!listsAddresses) report.add('addresses', named)
  report.add('current-state', ...checkStates(listed, pulls))
  report.add('clock', checkClock(listed, pulls))
  report.add('metrics', await checkMetrics(listed, state))
  if (!deps.storeUp) return undefined
  // Before the callback, whose notification changes the store.
  report.add('events', await checkEvents(listed, pulls))
  report.add('state', await checkState(exam))
  const callback = await checkCallback(listed, pulls)
  if (typeof callback === 'function') return async () => report.add('callback', await callback())
  report.add('callback', callback)
  return undefined
}

/** The failure that ended the examination, or a store that failed meanwhile, is a finding. */
async function stoppable<T>(report: Report, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof Stop) report.add(error.check, ['failed', error.message, error.fix])
    else if (error instanceof PtpWatchError && error.code !== 'configuration')
      report.add('state', ['failed', reasonOf(error), FIX.store.first])
    else throw error
    return undefined
  }
}

import pLimit from 'p-limit'
import { PtpWatchError, reasonOf } from '#shared/errors.ts'
import { placeOf, type Target } from '#shared/publishers/target.ts'
import { checkCallback, type Later } from './checks/callback.ts'
import { checkClock } from './checks/clock.ts'
import { checkEvents, checkState } from './checks/events.ts'
import { checkMetrics } from './checks/metrics.ts'
import { checkDialect, checkHealth, checkName } from './checks/reach.ts'
import { checkNodeName, checkStates, pullAll } from './checks/state.ts'
import { checkAddresses, checkSubscriptions } from './checks/subscriptions.ts'
import type { DoctorDeps, Exam } from './exam.ts'
import { createReport, EACH, type Finding } from './report.ts'

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
      const exam = { deps: { ...deps, store }, report, target, place: placeOf(target.url), call }
      return signal.aborted ? undefined : withStore(exam, () => askAll(exam))
    })
    if (later !== undefined) await later()
    if (signal.aborted) return []
    const findings = report.findings(EACH)
    onDone(findings)
    return findings
  }
  return Promise.all(targets.map(examine))
}

/** Every check of one publisher; those that an earlier failure prevents are left out. */
async function askAll(exam: Exam): Promise<Later | undefined> {
  const { deps, report, target, call } = exam
  if (!(await checkName(exam))) return undefined
  const reached = await checkHealth(exam)
  if (reached === undefined) return undefined
  const unnamed = deps.unnamed.get(target)
  if (unnamed !== undefined) {
    const fix =
      'Its node is named by what it publishes: check that PTP runs on that node, or wait until it has started'
    report.failed('addresses', `the name of its node is unknown: ${unnamed}`, fix)
    return undefined
  }
  const offer = await checkAddresses(reached)
  if (offer === undefined) return undefined
  const state = deps.storeUp ? await deps.store.read(target.node) : undefined
  const listed = await checkSubscriptions(reached, offer, state)
  if (listed === undefined) return undefined
  const pulls = await pullAll(listed.client, offer.resources, call)
  checkDialect(listed, pulls)
  if (!checkNodeName(listed, pulls)) return undefined
  checkStates(listed, pulls)
  checkClock(listed, pulls)
  await checkMetrics(listed, state)
  if (!deps.storeUp) return undefined
  // Before the callback, whose notification changes the store.
  await checkEvents(listed, pulls)
  await checkState(listed)
  const later = await checkCallback(listed, pulls)
  return later && (() => withStore(exam, later))
}

/** A store that fails meanwhile is a finding. */
async function withStore<T>({ report }: Exam, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof PtpWatchError) || error.code === 'configuration') throw error
    report.failed('state', reasonOf(error), 'Fix the store first')
    return undefined
  }
}

import pLimit from 'p-limit'
import { PtpWatchError, reasonOf } from '#shared/errors.ts'
import { placeOf, type Target } from '#shared/publishers/target.ts'
import { checkCallback } from './checks/callback.ts'
import { checkClock } from './checks/clock.ts'
import { checkEvents, checkState } from './checks/events.ts'
import { checkMetrics } from './checks/metrics.ts'
import { checkName, offerOf, reach, releaseOf } from './checks/reach.ts'
import { checkNodeName, checkStates } from './checks/state.ts'
import { checkSubscriptions } from './checks/subscriptions.ts'
import {
  type Asked,
  count,
  type Doctor,
  EACH,
  type Exam,
  type Finding,
  findingsOf,
  pullAll,
  Stop,
  type Verdicts,
} from './exam.ts'
import { FIX } from './words.ts'

/** Limit for one publisher, in ms: some twenty requests, each with a deadline of its own. */
const DEADLINE_MS = 60_000

/**
 * Examines publishers, `concurrency` at once. `onDone` gets the findings of each when it is done. Gives them in the order
 * of `targets`; none of those that `signal` has cut off.
 */
export function examineAll(
  doctor: Doctor,
  targets: readonly Target[],
  {
    concurrency,
    signal,
    onDone,
  }: { concurrency: number; signal: AbortSignal; onDone: (findings: readonly Finding[]) => void },
): Promise<Finding[][]> {
  const asking = pLimit(concurrency)
  const reading = pLimit(concurrency)
  const store = { ...doctor.store, read: (node: string) => reading(() => doctor.store.read(node)) }
  const examine = async (target: Target): Promise<Finding[]> => {
    const verdicts: Verdicts = {}
    // While one waits for the store, others are asked.
    const later = await asking(() => {
      const call = { signal: AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]) }
      const asked = { ...doctor, store, target, place: placeOf(target.url), call }
      return signal.aborted ? undefined : stoppable(verdicts, () => askAll(asked, verdicts))
    })
    if (later !== undefined) await stoppable(verdicts, later)
    if (signal.aborted) return []
    const findings = findingsOf(target.node, EACH, verdicts)
    onDone(findings)
    return findings
  }
  return Promise.all(targets.map(examine))
}

/** Every check of one publisher. Gives what is left to do once nothing more is asked of it. */
async function askAll(asked: Asked, verdicts: Verdicts): Promise<(() => Promise<void>) | undefined> {
  const { target, storeUp, store } = asked
  verdicts.dns = [await checkName(asked)]
  const reached = await reach(asked)
  verdicts.health = [['ok', `200 ${reached.health.body.trim().slice(0, 40)}`]]
  const offer = await offerOf(reached)
  const { resources, unpublished } = offer
  const without = unpublished.length === 0 ? '' : `, without ${unpublished.join(' ')}`
  const listed = `${count(resources.length, 'resource')} of ${target.node}${without}`
  if (reached.client.dialect === 'red-hat-v2') verdicts.addresses = [['ok', listed]]
  const state = storeUp ? await store.read(target.node) : undefined
  const { verdict, ...subscriptions } = await checkSubscriptions(reached, offer, state)
  verdicts.subscriptions = [verdict]
  const pulls = await pullAll(reached, resources)
  const exam: Exam = { ...reached, ...subscriptions, state, pulls }
  verdicts.dialect = [['ok', `${exam.client.dialect}, ${releaseOf(exam)}`]]
  const named = checkNodeName(exam)
  verdicts.addresses ??= [named]
  verdicts['current-state'] = checkStates(exam)
  verdicts.clock = [checkClock(exam)]
  verdicts.metrics = [await checkMetrics(exam)]
  if (!storeUp) return undefined
  // Before the callback, whose notification changes the store.
  verdicts.events = [await checkEvents(exam)]
  verdicts.state = [await checkState(exam)]
  const callback = await checkCallback(exam)
  if (typeof callback === 'function')
    return async () => {
      verdicts.callback = [await callback()]
    }
  verdicts.callback = [callback]
  return undefined
}

/** The failure that ended the examination, or a store that failed meanwhile, is a finding. */
async function stoppable<T>(verdicts: Verdicts, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof Stop) verdicts[error.check] = [['failed', error.message, error.fix]]
    else if (error instanceof PtpWatchError && error.code !== 'configuration')
      verdicts.state = [['failed', reasonOf(error), FIX.storeFirst]]
    else throw error
    return undefined
  }
}

import { pause } from '#shared/publishers/backoff.ts'
import type { NodeState } from '#shared/state/document.ts'
import { isMissable, shownValue } from '#shared/state/merge/clock.ts'
import type { Pull } from '#shared/state/merge/draft.ts'
import { conditionOf } from '#shared/state/merge/overall.ts'
import { mergePulls } from '#shared/state/merge/pull.ts'
import { milliseconds } from '#shared/time.ts'
import type { Exam, Listed, Pulled } from '../exam.ts'
import { amount, count, type Verdict } from '../report.ts'
import { FIX } from '../words.ts'
import { pullAll } from './state.ts'

/** A clock for which the publisher reports something else than the store shows, or than it has pushed. */
type Difference = {
  readonly name: string
  readonly pulled: string
  readonly known: string | undefined
  readonly by: 'store' | 'push'
}

/**
 * Whether the store shows what the publisher says; and how old the newest event is, which says little, as nothing is
 * sent while nothing changes. What differs is pulled again after the settle time: pushes may be under way.
 */
export async function checkEvents(listed: Listed, pulls: readonly Pulled[]): Promise<Verdict> {
  const { deps, client, target, call } = listed
  let state = await deps.store.read(client.node)
  let differing = differencesOf(listed, state, pulls)
  if (differing.length > 0) {
    await pause(deps.settings.settleMs, call.signal)
    const answered = pulls.filter(({ answer }) => answer.outcome === 'answered')
    const again = await pullAll(
      listed,
      answered.map(({ resource }) => resource),
    )
    state = await deps.store.read(client.node)
    const before = new Set(differing.map(({ name }) => name))
    differing = differencesOf(listed, state, again).filter(({ name }) => before.has(name))
  }
  if (state === undefined) return ['warning', 'the store does not know this node', FIX.events.unknown]
  const texts = differing.map(({ name, pulled, known, by }) => {
    if (known === undefined) return `${name} is ${pulled}, unknown to the store`
    return `${name} is ${pulled}, ${by === 'push' ? 'last pushed' : 'in the store'} ${known}`
  })
  const result = [...texts, newestOf(state, deps.clock.now())].join('; ')
  if (differing.length === 0) return ['ok', result]
  if (differing.every(({ known }) => known === undefined)) return ['warning', result, FIX.events.unpolled]
  if (differing.every(({ by }) => by === 'push')) return ['warning', result, FIX.events.missed]
  const isStuck = client.dialect === 'red-hat-v1'
  return ['failed', result, isStuck ? FIX.events.stuck(target.transport) : FIX.events.lost]
}

function differencesOf(
  { deps, client }: Listed,
  state: NodeState | undefined,
  pulled: readonly Pulled[],
): Difference[] {
  if (state === undefined) return []
  const pulls = pulled.flatMap((one) => pullOf(one, client.queryTime))
  const merged = mergePulls(state, pulls, deps.settings, { now: deps.clock.now() })
  const nameOf = (one: { kind: string; instance: string }) => `${one.kind} ${one.instance}`
  const byStore = (merged.state?.clocks ?? []).flatMap((after): Difference[] => {
    const before = state.clocks.find((one) => nameOf(one) === nameOf(after) && !one.retired)
    const [now, known] = [shownValue(after), before && shownValue(before)]
    if (!isMissable(after.kind) || now === known) return []
    return [{ name: nameOf(after), pulled: now, known, by: 'store' }]
  })
  const byPush = merged.result.disagreements.map(
    (one): Difference => ({ name: nameOf(one), pulled: one.pulled, known: one.pushed, by: 'push' }),
  )
  return [...byStore, ...byPush.filter(({ name }) => byStore.every((one) => one.name !== name))]
}

/** As the merge rules take it; nothing where it holds no reading of its kind. */
function pullOf({ resource: { kind }, answer }: Pulled, queryTime: boolean): Pull[] {
  if (answer.outcome !== 'answered' || answer.readings === undefined) return []
  const observations = answer.readings.observations.filter((reading) => reading.kind === kind)
  if (observations.length === 0) return []
  const { sentAt, receivedAt } = answer
  const named = answer.readings.named.filter((clock) => clock.kind === kind)
  return [{ kind, via: 'poll', observations, named, sentAt, receivedAt, queryTime, none: false }]
}

function newestOf({ clocks, counters }: NodeState, now: number): string {
  const pushed = clocks.flatMap(({ pushedAt }) => (pushedAt === undefined ? [] : milliseconds(pushedAt)))
  const { received, duplicate, late, missed, quarantined } = counters
  const newest =
    pushed.length === 0
      ? 'no event has arrived yet, only initial notifications'
      : `the newest event arrived ${amount(Math.max(0, now - Math.max(...pushed)))} ago`
  return `${newest} (received ${received}, duplicate ${duplicate}, late ${late}, missed ${missed}, quarantined ${quarantined})`
}

/** What the store says of the node. Stale: nobody polls, or the publisher does not answer. */
export async function checkState({ deps, target }: Exam): Promise<Verdict> {
  const state = await deps.store.read(target.node)
  if (state === undefined || state.clocks.length === 0)
    return ['warning', 'no clock of this node is known', FIX.state.unknown]
  const now = deps.clock.now()
  const { overall, stale } = conditionOf(state, now, deps.settings)
  const { checkedAt, problem } = state.publisher ?? {}
  const polled =
    checkedAt === undefined
      ? 'never polled'
      : `polled ${amount(Math.max(0, now - milliseconds(checkedAt)))} ago`
  const clocks = count(state.clocks.filter(({ retired }) => !retired).length, 'clock')
  const result = `overall ${overall}, ${clocks}, ${polled}`
  if (!stale) return ['ok', result]
  const fix = problem === undefined ? FIX.state.notPolled : FIX.state.pollFailed(problem)
  return ['warning', `${result}, stale`, fix]
}

import { pause } from '#shared/publishers/backoff.ts'
import type { NodeState } from '#shared/state/document.ts'
import { isMissable, shownValue } from '#shared/state/merge/clock.ts'
import type { Pull } from '#shared/state/merge/draft.ts'
import { conditionOf } from '#shared/state/merge/overall.ts'
import { mergePulls } from '#shared/state/merge/pull.ts'
import { milliseconds } from '#shared/time.ts'
import { amount, count, type Exam, type Pulled, pullAll, type Verdict } from '../exam.ts'
import { FIX } from '../words.ts'

/**
 * Whether the store shows what the publisher says; and how old the newest event is, which says little, as nothing is
 * sent while nothing changes. What differs is pulled again after the settle time: pushes may be under way.
 */
export async function checkEvents(exam: Exam): Promise<Verdict> {
  const { store, clock, settings, client, target, call, pulls } = exam
  let state = await store.read(client.node)
  let differing = differencesOf(exam, state, pulls)
  if (differing.length > 0) {
    await pause(settings.settleMs, call.signal)
    const answered = pulls.filter(({ said }) => said !== undefined).map(({ resource }) => resource)
    const again = await pullAll(exam, answered)
    state = await store.read(client.node)
    const before = new Set(differing.map(({ name }) => name))
    differing = differencesOf(exam, state, again).filter(({ name }) => before.has(name))
  }
  if (state === undefined) return ['warning', 'the store does not know this node', FIX.unknown]
  const texts = differing.map(({ name, pulled, known, by }) =>
    known === undefined
      ? `${name} is ${pulled}, unknown to the store`
      : `${name} is ${pulled}, ${by} ${known}`,
  )
  const result = [...texts, newestOf(state, clock.now())].join('; ')
  if (differing.length === 0) return ['ok', result]
  if (differing.every(({ known }) => known === undefined)) return ['warning', result, FIX.unpolled]
  if (differing.every(({ by }) => by === 'last pushed')) return ['warning', result, FIX.missed]
  return ['failed', result, client.dialect === 'red-hat-v1' ? FIX.stuck(target.transport) : FIX.eventsLost]
}

/** Clocks for which the publisher reports something else than the store shows, or than it has pushed. */
function differencesOf(
  { clock, settings, client }: Exam,
  state: NodeState | undefined,
  pulled: readonly Pulled[],
) {
  if (state === undefined) return []
  const pulls = pulled.flatMap(({ resource: { kind }, said }): Pull[] => {
    const isOfKind = (one: { kind: string }) => one.kind === kind
    const observations = said?.readings?.observations.filter(isOfKind) ?? []
    if (said?.readings === undefined || observations.length === 0) return []
    const { sentAt, receivedAt } = said
    const times = { sentAt, receivedAt, queryTime: client.queryTime }
    return [
      { kind, via: 'poll', observations, named: said.readings.named.filter(isOfKind), ...times, none: false },
    ]
  })
  const merged = mergePulls(state, pulls, settings, { now: clock.now() })
  const nameOf = (one: { kind: string; instance: string }) => `${one.kind} ${one.instance}`
  const byStore = (merged.state?.clocks ?? []).flatMap((after) => {
    const name = nameOf(after)
    const before = state.clocks.find((one) => nameOf(one) === name && !one.retired)
    const [pulled, known] = [shownValue(after), before && shownValue(before)]
    return isMissable(after.kind) && pulled !== known ? [{ name, pulled, known, by: 'in the store' }] : []
  })
  const byPush = merged.result.disagreements
    .map((one) => ({ name: nameOf(one), pulled: one.pulled, known: one.pushed, by: 'last pushed' }))
    .filter(({ name }) => byStore.every((one) => one.name !== name))
  return [...byStore, ...byPush]
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
export async function checkState({ store, clock, settings, target }: Exam): Promise<Verdict> {
  const state = await store.read(target.node)
  if (state === undefined || state.clocks.length === 0)
    return ['warning', 'no clock of this node is known', FIX.unknown]
  const now = clock.now()
  const { overall, stale } = conditionOf(state, now, settings)
  const { checkedAt, problem } = state.publisher ?? {}
  const age = checkedAt && amount(Math.max(0, now - milliseconds(checkedAt)))
  const clocks = count(state.clocks.filter(({ retired }) => !retired).length, 'clock')
  const result = `overall ${overall}, ${clocks}, ${age === undefined ? 'never polled' : `polled ${age} ago`}`
  if (!stale) return ['ok', result]
  return ['warning', `${result}, stale`, problem === undefined ? FIX.notPolled : FIX.pollFailed(problem)]
}

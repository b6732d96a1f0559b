import { pause } from '#shared/publishers/backoff.ts'
import type { NodeState } from '#shared/state/document.ts'
import { isMissable, shownValue } from '#shared/state/merge/clock.ts'
import { conditionOf } from '#shared/state/merge/overall.ts'
import { mergePulls } from '#shared/state/merge/pull.ts'
import type { Pull } from '#shared/state/merge/draft.ts'
import { milliseconds } from '#shared/time.ts'
import type { Exam, Listed } from '../exam.ts'
import { count, type Verdict } from '../report.ts'
import { type Pulled, pullAll } from './state.ts'

const SUBSCRIBE = 'Run `ptp-watch subscribe`, and `ptp-watch poll` every minute'
const MISSED =
  'A poll found what no event reported, and the store is right. If this goes on (`missed` rises), see `subscriptions`, `callback` and `metrics`'
const LOST =
  'Events do not arrive: see `subscriptions` and `callback`. Until then `ptp-watch poll` keeps the store up to date. If it happens again, look for failed deliveries in the log of the publisher'
const STUCK = 'Most likely the sidecar is stuck: it passes each event on only when the next one comes.'
const UNSTICK = 'Run `ptp-watch poll` twice, which unsticks it, or restart the sidecar'
const NO_TRANSPORT =
  'Set `transport` of this publisher to its transport port (9085 or 9043) and run `ptp-watch poll`, which unsticks it, or restart the sidecar'

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
      client,
      answered.map(({ resource }) => resource),
      call,
    )
    state = await deps.store.read(client.node)
    const before = new Set(differing.map(({ name }) => name))
    differing = differencesOf(listed, state, again).filter(({ name }) => before.has(name))
  }
  if (state === undefined) return ['warning', 'the store does not know this node', SUBSCRIBE]
  const newest = newestOf(state, deps.clock.now())
  if (differing.length === 0) return ['ok', newest]
  const texts = differing.map(({ name, pulled, known, by }) => {
    if (known === undefined) return `${name} is ${pulled}, unknown to the store`
    return `${name} is ${pulled}, ${by === 'push' ? 'last pushed' : 'in the store'} ${known}`
  })
  const result = `${texts.join('; ')}; ${newest}`
  if (differing.every(({ known }) => known === undefined))
    return ['warning', result, 'Run `ptp-watch poll`: events report changes only']
  if (differing.every(({ by }) => by === 'push')) return ['warning', result, MISSED]
  if (client.dialect !== 'red-hat-v1') return ['failed', result, LOST]
  return ['failed', result, `${STUCK} ${target.transport === undefined ? NO_TRANSPORT : UNSTICK}`]
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
    if (!isMissable(after.kind)) return []
    const before = state.clocks.find((one) => nameOf(one) === nameOf(after) && !one.retired)
    const [now, known] = [shownValue(after), before && shownValue(before)]
    return now === known ? [] : [{ name: nameOf(after), pulled: now, known, by: 'store' }]
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

function newestOf(state: NodeState, now: number): string {
  const pushed = state.clocks.flatMap(({ pushedAt }) =>
    pushedAt === undefined ? [] : milliseconds(pushedAt),
  )
  const { received, duplicate, late, missed, quarantined } = state.counters
  const counted = `received ${received}, duplicate ${duplicate}, late ${late}, missed ${missed}, quarantined ${quarantined}`
  return pushed.length === 0
    ? `no event has arrived yet, only initial notifications (${counted})`
    : `the newest event arrived ${ago(now - Math.max(...pushed))} ago (${counted})`
}

/** What the store says of the node. Stale: nobody polls, or the publisher does not answer. */
export async function checkState({ deps, target }: Exam): Promise<Verdict> {
  const state = await deps.store.read(target.node)
  if (state === undefined || state.clocks.length === 0)
    return ['warning', 'no clock of this node is known', SUBSCRIBE]
  const now = deps.clock.now()
  const { overall, stale } = conditionOf(state, now, deps.settings)
  const { checkedAt, problem } = state.publisher ?? {}
  const polled = checkedAt === undefined ? 'never polled' : `polled ${ago(now - milliseconds(checkedAt))} ago`
  const clocks = count(state.clocks.filter(({ retired }) => !retired).length, 'clock')
  const result = `overall ${overall}, ${clocks}, ${polled}`
  if (!stale) return ['ok', result]
  if (problem !== undefined) return ['warning', `${result}, stale`, `The last poll failed: ${problem}`]
  return ['warning', `${result}, stale`, 'Check that poll runs every minute, and its log']
}

function ago(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000))
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`
  return `${Math.round(seconds / 86_400)} days`
}

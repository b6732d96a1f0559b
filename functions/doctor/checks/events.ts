import { pause } from '#shared/publishers/backoff.ts'
import type { CallOptions } from '#shared/publishers/dialects/client.ts'
import type { Target } from '#shared/publishers/target.ts'
import { isMissable, shownValue } from '#shared/state/merge/clock.ts'
import { mergePulls } from '#shared/state/merge/pull.ts'
import type { NodeState } from '#shared/state/document.ts'
import { conditionOf } from '#shared/state/merge/overall.ts'
import type { MergeSettings } from '#shared/state/merge/draft.ts'
import type { Store } from '#shared/state/store/store.ts'
import { type Clock, compareTimes, milliseconds } from '#shared/time.ts'
import type { Report } from '../report.ts'
import { type Pulled, pullAll, toPull } from './pulls.ts'
import type { Reached } from './reach.ts'
import { count } from './subscriptions.ts'

export type EventDeps = {
  readonly store: Pick<Store, 'read' | 'log'>
  readonly clock: Clock
  readonly settings: MergeSettings
}

/** Entries of the log that are looked through for what was missed. */
const LOOK_BACK = 500

/** Whether a change was missed that came after our subscriptions were last made anew. */
export async function missedSinceSubscribed(
  state: NodeState,
  store: Pick<EventDeps['store'], 'log'>,
): Promise<boolean> {
  const log = await store.log(state.node, { after: Math.max(0, state.seq - LOOK_BACK), limit: LOOK_BACK })
  const restored = log.findLast(({ type }) => type === 'restored')?.notAfter
  // What only a poll has shown is missed by the next one.
  const undated = state.clocks.flatMap((clock) => clock.undated ?? [])
  return [...log.filter(({ type }) => type === 'missed'), ...undated].some(({ notBefore, notAfter }) => {
    const earliest = notBefore ?? notAfter
    return restored === undefined || earliest === undefined || compareTimes(earliest, restored) > 0
  })
}

/** A clock of which the publisher says something else than the store shows, or than it has pushed. */
type Difference = {
  readonly name: string
  readonly pulled: string
  readonly shown: string | undefined
  readonly by: 'store' | 'push'
}

/**
 * How old the newest event is, which says little, for nothing is sent while nothing changes; and whether the store
 * shows what the publisher says, which says all. What differs is asked again after the settle time, for pushes may be
 * under way.
 */
export async function checkEvents(
  report: Report,
  { client }: Reached,
  target: Target,
  pulls: readonly Pulled[],
  deps: EventDeps,
  call: CallOptions,
): Promise<void> {
  const { store, clock, settings } = deps
  const asked = 'the store, beside CurrentState'
  let state = await store.read(client.node)
  let differing = state === undefined ? [] : differencesOf(state, client, pulls, deps)
  if (differing.length > 0) {
    await pause(settings.settleMs, call.signal)
    const again = await pullAll(
      client,
      pulls.flatMap(({ outcome, resource }) => (outcome === 'answered' ? [resource] : [])),
      call,
    )
    state = await store.read(client.node)
    const still = state === undefined ? [] : differencesOf(state, client, again, deps)
    differing = still.filter(({ name }) => differing.some((before) => before.name === name))
  }
  if (state === undefined) {
    report.warning('events', asked, 'the store knows nothing of this node', SUBSCRIBE)
    return
  }
  const came = newestOf(state, clock.now())
  if (differing.length === 0) {
    report.ok('events', asked, came)
    return
  }
  const texts = differing.map(({ name, pulled, shown, by }) =>
    shown === undefined
      ? `${name} is ${pulled}, of which the store knows nothing`
      : `${name} is ${pulled}, ${by === 'push' ? 'last pushed' : 'in the store'} ${shown}`,
  )
  const text = `${texts.join('; ')}; ${came}`
  if (differing.every(({ shown }) => shown === undefined)) {
    report.warning('events', asked, text, 'Run `ptp-watch poll`: until then only a change would be told')
    return
  }
  if (differing.every(({ by }) => by === 'push')) {
    report.warning('events', asked, text, MISSED)
    return
  }
  report.failed('events', asked, text, client.dialect === 'red-hat-v1' ? unstick(target) : LOST)
}

const SUBSCRIBE = 'Run `ptp-watch subscribe`, and `ptp-watch poll` every minute'

const MISSED =
  'A poll has shown what no event said, and the store is right. Nothing to do if that was once (`missed`); if it goes on, look at `subscriptions`, `callback` and `figures`'

const LOST =
  'Events do not arrive: see `subscriptions` and `callback`. `ptp-watch poll` brings the store up to date meanwhile; if it happens again, look into the log of the publisher for what it could not deliver'

function unstick({ transport }: Target): string {
  const cure =
    transport === undefined
      ? 'set `transport` of this publisher to its transport port (9085 or 9043) and run `ptp-watch poll`, which cures it, or restart the sidecar'
      : 'run `ptp-watch poll` twice, which cures it, or restart the sidecar'
  return `Most likely the sidecar is stuck, and passes each event on only when the next one comes. ${cure[0]?.toUpperCase()}${cure.slice(1)}`
}

function differencesOf(
  state: NodeState,
  client: Reached['client'],
  pulled: readonly Pulled[],
  { clock, settings }: EventDeps,
): Difference[] {
  const pulls = pulled.flatMap((one) => toPull(client, one) ?? [])
  const merged = mergePulls(state, pulls, settings, { now: clock.now() })
  const named = (one: { kind: string; instance: string }) => `${one.kind} ${one.instance}`
  const byStore = (merged.state?.clocks ?? []).flatMap((after): Difference[] => {
    if (!isMissable(after.kind)) return []
    const before = state.clocks.find((one) => named(one) === named(after) && !one.retired)
    const [now, then] = [shownValue(after), before === undefined ? undefined : shownValue(before)]
    return now === then ? [] : [{ name: named(after), pulled: now, shown: then, by: 'store' }]
  })
  const byPush = merged.result.disagreements.map(
    (one): Difference => ({ name: named(one), pulled: one.pulled, shown: one.pushed, by: 'push' }),
  )
  return [...byStore, ...byPush.filter(({ name }) => byStore.every((one) => one.name !== name))]
}

function newestOf(state: NodeState, now: number): string {
  const pushed = state.clocks.flatMap(({ pushedAt }) =>
    pushedAt === undefined ? [] : milliseconds(pushedAt),
  )
  const { received, duplicate, late, missed, quarantined } = state.counters
  const counted = `received ${received}, duplicate ${duplicate}, late ${late}, missed ${missed}, quarantined ${quarantined}`
  return pushed.length === 0
    ? `no event has come yet, initial notifications aside (${counted})`
    : `the newest event came ${ago(now - Math.max(...pushed))} ago (${counted})`
}

/** What the store makes of the node: stale means that nobody polls, or that the publisher does not answer. */
export async function checkState(
  report: Report,
  node: string,
  { store, clock, settings }: EventDeps,
): Promise<void> {
  const asked = 'the store'
  const state = await store.read(node)
  if (state === undefined || state.clocks.length === 0) {
    report.warning('state', asked, 'no clock of this node is known', SUBSCRIBE)
    return
  }
  const now = clock.now()
  const { overall, stale } = conditionOf(state, now, settings)
  const { checkedAt, problem } = state.publisher ?? {}
  const looked = checkedAt === undefined ? 'never polled' : `polled ${ago(now - milliseconds(checkedAt))} ago`
  const came = `overall ${overall}, ${count(
    state.clocks.filter(({ retired }) => !retired),
    'clock',
  )}, ${looked}`
  if (stale) {
    const todo =
      problem === undefined ? 'Does poll run every minute? See its log' : `The last poll says: ${problem}`
    report.warning('state', asked, `${came}, stale`, todo)
  } else report.ok('state', asked, came)
}

export function ago(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000))
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`
  return `${Math.round(seconds / 86_400)} days`
}

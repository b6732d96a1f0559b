import { PublisherError, reasonOf, tried } from '#shared/errors.ts'
import { pause } from '#shared/publishers/backoff.ts'
import type { NodeState } from '#shared/state/document.ts'
import { isMissable, shownValue } from '#shared/state/merge/clock.ts'
import type { Pull } from '#shared/state/merge/draft.ts'
import { conditionOf } from '#shared/state/merge/overall.ts'
import { mergePulls } from '#shared/state/merge/pull.ts'
import type { Store } from '#shared/state/store/store.ts'
import { compareTimes, milliseconds } from '#shared/time.ts'
import { type Exam, type Pulled, pullEach } from './exam.ts'
import { amount, plural, type Verdict } from './report.ts'
import { FIX } from './words.ts'

/**
 * Checks that the store shows what the publisher says, and reports the age of the newest event: none is sent while
 * nothing changes.
 */
export async function checkEvents(exam: Exam): Promise<Verdict> {
  const { store, clock, merge, client, target, call, pulls } = exam
  let state = await store.read(target.node)
  let differing = differencesOf(exam, state, pulls)
  if (differing.length > 0) {
    // Pushes may be on their way.
    await pause(merge.settleMs, call.signal)
    const told = pulls.flatMap(({ said, resource }) => (said === undefined ? [] : [resource]))
    const again = await pullEach(exam, told)
    state = await store.read(target.node)
    const before = new Set(differing.map(({ name }) => name))
    differing = differencesOf(exam, state, again).filter(({ name }) => before.has(name))
  }
  if (state === undefined) return ['warning', 'the store does not know this node', FIX.unknown]
  const texts = differing.map(({ name, pulled, known, by }) => {
    return `${name} is ${pulled}, ${known === undefined ? 'unknown to the store' : `${by} ${known}`}`
  })
  const result = [...texts, newestOf(state, clock.now())].join('; ')
  if (differing.length === 0) return ['ok', result]
  if (differing.every(({ known }) => known === undefined)) return ['warning', result, FIX.unpolled]
  if (differing.every(({ by }) => by === 'last pushed')) return ['warning', result, FIX.missed]
  return ['failed', result, client.dialect === 'red-hat-v1' ? FIX.stuck(target.transport) : FIX.eventsLost]
}

/** Clocks for which the publisher reports something other than the store shows, or than it pushed. */
function differencesOf(exam: Exam, state: NodeState | undefined, pulled: readonly Pulled[]) {
  if (state === undefined) return []
  const pulls = pulled.flatMap(({ resource: { kind }, said }): Pull[] => {
    const isOfKind = (one: { kind: string }) => one.kind === kind
    const observations = said?.readings?.observations.filter(isOfKind) ?? []
    if (said?.readings === undefined || observations.length === 0) return []
    const named = said.readings.named.filter(isOfKind)
    return [
      { ...said, kind, via: 'poll', observations, named, queryTime: exam.client.queryTime, none: false },
    ]
  })
  const merged = mergePulls(state, pulls, exam.merge, { now: exam.clock.now() })
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

const ago = (time: string, now: number) => `${amount(Math.max(0, now - milliseconds(time)))} ago`

function newestOf({ clocks, counters }: NodeState, now: number): string {
  const { received, duplicate, late, missed, quarantined } = counters
  const [newest] = clocks.flatMap(({ pushedAt }) => pushedAt ?? []).sort((a, b) => (a < b ? 1 : -1))
  const arrived = newest && `the newest event arrived ${ago(newest, now)}`
  return `${arrived ?? 'no event has arrived yet, only initial notifications'} (received ${received}, duplicate ${duplicate}, late ${late}, missed ${missed}, quarantined ${quarantined})`
}

/** What the store says about the node. Stale: nobody polls, or the publisher does not answer. */
export async function checkState({ store, clock, merge, target }: Exam): Promise<Verdict> {
  const state = await store.read(target.node)
  if (state === undefined || state.clocks.length === 0)
    return ['warning', 'no clock of this node is known', FIX.unknown]
  const now = clock.now()
  const { overall, stale } = conditionOf(state, now, merge)
  const { checkedAt, problem } = state.publisher ?? {}
  const polled = checkedAt === undefined ? 'never polled' : `polled ${ago(checkedAt, now)}`
  const clocks = plural(state.clocks.filter(({ retired }) => !retired).length, 'clock')
  const result = `overall ${overall}, ${clocks}, ${polled}`
  if (!stale) return ['ok', result]
  return ['warning', `${result}, stale`, problem === undefined ? FIX.notPolled : FIX.pollFailed(problem)]
}

/**
 * Compares the metrics of the proxy or v1 sidecar with our counters. Often they are not reachable, which is not a
 * failure.
 */
export async function checkMetrics(exam: Exam): Promise<Verdict> {
  const { client, target, others, call, store, state, foreign } = exam
  if (client.dialect === 'starlingx-v2' && target.metrics === undefined)
    return ['skipped', 'StarlingX has none']
  // The default address of Red Hat's proxies (`--metrics-addr`).
  const url = target.metrics ?? `http://${new URL(target.url).hostname}:9091/metrics`
  const { origin, pathname: path } = new URL(url)
  const request = { method: 'GET', path } as const
  const answer = await tried(others.request(origin, request, { deadlineMs: 3_000, ...call }))
  if (answer instanceof PublisherError) return ['skipped', reasonOf(answer), FIX.elsewhere]
  const { status, body: page } = answer
  const why = status === 200 ? 'no cne_ metrics (there are none before the first event)' : status
  if (status !== 200 || !/^cne_/m.test(page)) return ['skipped', `GET ${url} answered ${why}`, FIX.elsewhere]

  const delivered = sumIn(page, 'cne_events_received', 'success')
  const failed = sumIn(page, 'cne_events_received', 'failed')
  const dropped = sumIn(page, 'cne_api_events_published', 'fail')
  const carried = sumIn(page, 'cne_transport_events_received', 'success')
  const resets = sumIn(page, 'cne_transport_connection_reset')
  const { received = 0, quarantined = 0, duplicate = 0, missed = 0 } = state?.counters ?? {}
  const theirs = [
    `delivered ${delivered}`,
    failed > 0 && `failed ${failed}`,
    dropped > 0 && `dropped ${dropped}`,
    carried > 0 && `over its transport ${carried}`,
    resets > 0 && `connection resets ${resets}`,
    /^cne_api_subscriptions/m.test(page) && `subscriptions ${sumIn(page, 'cne_api_subscriptions', 'active')}`,
  ].filter((text) => text !== false)
  const ours = `received ${received}, duplicate ${duplicate}, missed ${missed}, quarantined ${quarantined}`
  const result = `publisher: ${theirs.join(', ')}; ours: ${ours}`
  const heldBack = carried - delivered - failed
  const more = delivered - received - quarantined
  const isAlone = foreign.length === 0
  if (client.dialect === 'red-hat-v1' && heldBack > 0) return ['warning', result, FIX.heldBack(heldBack)]
  if (failed > 0 && isAlone && (await missedSinceSubscribed(state, store)) !== false)
    return ['warning', result, FIX.deliveriesFailed]
  if (dropped > 0) return ['warning', result, FIX.dropped]
  // Up to ten may be on their way.
  if (more > 10 && isAlone) return ['warning', result, FIX.moreThanOurs(more)]
  return ['ok', `${result}. ${differenceOf(more, failed, foreign.length)}`]
}

function differenceOf(more: number, failed: number, foreign: number): string {
  if (foreign > 0)
    return `The publisher counts deliveries${failed > 0 ? ' and failures' : ''} of all its consumers, with ${foreign} foreign subscriptions`
  // These counters start with the publisher and have no times; failures since we subscribed would be `missed`.
  if (failed > 0) return 'The failures are older than our subscriptions: nothing was missed since'
  if (more === 0) return 'They agree'
  if (more < 0) return 'Ours also count initial notifications and events before the publisher restarted'
  return "The publisher's also count placeholders, which change no state, and events under way"
}

/** Whether a transition was missed after our subscriptions were last recreated; undefined if unknown. */
export async function missedSinceSubscribed(state: NodeState | undefined, store: Pick<Store, 'log'>) {
  if (state === undefined) return undefined
  const log = await store.log(state.node, { after: Math.max(0, state.seq - 500), limit: 500 })
  const restored = log.findLast(({ type }) => type === 'restored')?.notAfter
  // A transition that only a poll has shown counts as missed at the next poll.
  const undated = state.clocks.flatMap((clock) => clock.undated ?? [])
  return [...log.filter(({ type }) => type === 'missed'), ...undated].some(({ notBefore, notAfter }) => {
    const earliest = notBefore ?? notAfter
    return restored === undefined || earliest === undefined || compareTimes(earliest, restored) > 0
  })
}

/** The sum of all series of a name, and of a status if given, in a page in Prometheus text format. */
export function sumIn(page: string, name: string, status = ''): number {
  const series = page.matchAll(new RegExp(`^${name}(?:\\{(.*)\\})?\\s+(\\S+)`, 'gm'))
  return [...series]
    .filter(([, labels = '']) => status === '' || labels.includes(`status="${status}"`))
    .reduce((sum, [, , value]) => sum + (Number(value) || 0), 0)
}

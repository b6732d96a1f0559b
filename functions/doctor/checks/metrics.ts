import { PublisherError, reasonOf, tried } from '#shared/errors.ts'
import type { NodeState } from '#shared/state/document.ts'
import type { Store } from '#shared/state/store/store.ts'
import { compareTimes } from '#shared/time.ts'
import type { Exam, Verdict } from '../exam.ts'
import { FIX } from '../words.ts'

/** Where the proxies of Red Hat serve their metrics by default (`--metrics-addr`). */
const PORT = 9091
const DEADLINE_MS = 3_000
/** More deliveries apart than this are not just those under way. */
const SLACK = 10
/** Log entries that are searched for missed transitions. */
const LOOK_BACK = 500

/**
 * Compares the metrics of the proxy, or of the v1 sidecar, with our counters. They are mostly out of reach, bound to
 * the inside of a pod: that is no fault.
 */
export async function checkMetrics({
  client,
  target,
  others,
  call,
  store,
  state,
  foreign,
}: Exam): Promise<Verdict> {
  if (client.dialect === 'starlingx-v2' && target.metrics === undefined)
    return ['skipped', 'StarlingX has none']
  const url = target.metrics ?? `http://${new URL(target.url).hostname}:${PORT}/metrics`
  const { origin, pathname: path } = new URL(url)
  const answer = await tried(
    others.request(origin, { method: 'GET', path }, { deadlineMs: DEADLINE_MS, ...call }),
  )
  if (answer instanceof PublisherError) return ['skipped', reasonOf(answer), FIX.elsewhere]
  const { status, body: page } = answer
  if (status !== 200 || !/^cne_/m.test(page)) {
    const why = status === 200 ? 'no cne_ metrics (there are none before the first event)' : status
    return ['skipped', `GET ${url} answered ${why}`, FIX.elsewhere]
  }

  const delivered = sumIn(page, 'cne_events_received', 'success')
  const failed = sumIn(page, 'cne_events_received', 'failed')
  const dropped = sumIn(page, 'cne_api_events_published', 'fail')
  const carried = sumIn(page, 'cne_transport_events_received', 'success')
  const resets = sumIn(page, 'cne_transport_connection_reset')
  const active = sumIn(page, 'cne_api_subscriptions', 'active')
  const { received = 0, quarantined = 0, duplicate = 0, missed = 0 } = state?.counters ?? {}
  const theirs = [
    `delivered ${delivered}`,
    failed > 0 && `failed ${failed}`,
    dropped > 0 && `dropped ${dropped}`,
    carried > 0 && `over its transport ${carried}`,
    resets > 0 && `connection resets ${resets}`,
    /^cne_api_subscriptions/m.test(page) && `subscriptions ${active}`,
  ].filter((text) => text !== false)
  const ours = `received ${received}, duplicate ${duplicate}, missed ${missed}, quarantined ${quarantined}`
  const result = `publisher: ${theirs.join(', ')}; ours: ${ours}`
  const heldBack = carried - delivered - failed
  const more = delivered - received - quarantined
  const isAlone = foreign === 0
  if (client.dialect === 'red-hat-v1' && heldBack > 0) return ['warning', result, FIX.heldBack(heldBack)]
  if (failed > 0 && isAlone && (await missedSinceSubscribed(state, store)) !== false)
    return ['warning', result, FIX.deliveriesFailed]
  if (dropped > 0) return ['warning', result, FIX.dropped]
  if (more > SLACK && isAlone) return ['warning', result, FIX.moreThanOurs(more)]
  return ['ok', `${result}. ${differenceOf(more, failed, foreign)}`]
}

/** Why the two need not be equal. */
function differenceOf(more: number, failed: number, foreign: number): string {
  if (foreign > 0)
    return `The publisher counts deliveries${failed > 0 ? ' and failures' : ''} of all its consumers, with ${foreign} foreign subscriptions`
  // They start with the publisher and have no times; what they cost since we subscribed would be `missed`.
  if (failed > 0) return 'The failures are older than our subscriptions: nothing was missed since'
  if (more === 0) return 'They agree'
  return more < 0
    ? 'Ours also count initial notifications and events before the publisher restarted'
    : "The publisher's also count placeholders, which change no state, and events under way"
}

/** Whether a transition was missed after our subscriptions were last recreated; undefined where that is not known. */
export async function missedSinceSubscribed(
  state: NodeState | undefined,
  store: Pick<Store, 'log'>,
): Promise<boolean | undefined> {
  if (state === undefined) return undefined
  const log = await store.log(state.node, { after: Math.max(0, state.seq - LOOK_BACK), limit: LOOK_BACK })
  const restored = log.findLast(({ type }) => type === 'restored')?.notAfter
  // What only a poll has shown counts as missed at the next one.
  const undated = state.clocks.flatMap((clock) => clock.undated ?? [])
  return [...log.filter(({ type }) => type === 'missed'), ...undated].some(({ notBefore, notAfter }) => {
    const earliest = notBefore ?? notAfter
    return restored === undefined || earliest === undefined || compareTimes(earliest, restored) > 0
  })
}

/** The sum of the series of a name, and of a status where one is given, in a page in Prometheus text format. */
export function sumIn(page: string, name: string, status = ''): number {
  const series = page.matchAll(new RegExp(`^${name}(?:\\{(.*)\\})?\\s+(\\S+)`, 'gm'))
  return [...series]
    .filter(([, labels = '']) => status === '' || labels.includes(`status="${status}"`))
    .reduce((sum, [, , value]) => sum + (Number(value) || 0), 0)
}

import { PublisherError, reasonOf } from '#shared/errors.ts'
import type { NodeState } from '#shared/state/document.ts'
import type { Store } from '#shared/state/store/store.ts'
import { compareTimes } from '#shared/time.ts'
import type { Listed } from '../exam.ts'
import type { Verdict } from '../report.ts'

/** Where the proxies of Red Hat serve their metrics by default (`--metrics-addr`). */
const PORT = 9091
const DEADLINE_MS = 3_000
/** More deliveries apart than this are not just those under way. */
const SLACK = 10
/** Log entries that are searched for missed transitions. */
const LOOK_BACK = 500

const ELSEWHERE =
  'For information only. If they are served elsewhere, set `metrics` of this publisher in PUBLISHERS; --metrics-addr=127.0.0.1:9091 is reachable in its own pod only'

/**
 * Compares the metrics of the proxy, or of the v1 sidecar, with our counters. They are mostly out of reach, bound to
 * the inside of a pod: that is no fault.
 */
export async function checkMetrics(listed: Listed, state: NodeState | undefined): Promise<Verdict> {
  const { client, target, deps, call } = listed
  if (client.dialect === 'starlingx-v2' && target.metrics === undefined)
    return ['skipped', 'StarlingX has none']
  const url = target.metrics ?? `http://${new URL(target.url).hostname}:${PORT}/metrics`
  const { origin, pathname } = new URL(url)
  try {
    const request = { method: 'GET', path: pathname } as const
    const { status, body } = await deps.others.request(origin, request, { deadlineMs: DEADLINE_MS, ...call })
    const metrics = readMetrics(status === 200 ? body : '')
    if (metrics.has('cne_'))
      return compare(listed, metrics, state, await missedSinceSubscribed(state, deps.store))
    const why = status === 200 ? 'no cne_ metrics (there are none before the first event)' : status
    return ['skipped', `GET ${url} answered ${why}`, ELSEWHERE]
  } catch (error) {
    if (!(error instanceof PublisherError)) throw error
    return ['skipped', reasonOf(error), ELSEWHERE]
  }
}

function compare(
  { client, foreign }: Listed,
  { has, sum }: Metrics,
  state: NodeState | undefined,
  missedSince: boolean | undefined,
): Verdict {
  const delivered = sum('cne_events_received', { status: 'success' })
  const failed = sum('cne_events_received', { status: 'failed' })
  const dropped = sum('cne_api_events_published', { status: 'fail' })
  const carried = sum('cne_transport_events_received', { status: 'success' })
  const resets = sum('cne_transport_connection_reset')
  const active = sum('cne_api_subscriptions', { status: 'active' })
  const { received = 0, quarantined = 0, duplicate = 0, missed = 0 } = state?.counters ?? {}
  const theirs = [
    `delivered ${delivered}`,
    failed > 0 && `failed ${failed}`,
    dropped > 0 && `dropped ${dropped}`,
    carried > 0 && `over its transport ${carried}`,
    resets > 0 && `connection resets ${resets}`,
    has('cne_api_subscriptions') && `subscriptions ${active}`,
  ].filter((text) => text !== false)
  const ours = `received ${received}, duplicate ${duplicate}, missed ${missed}, quarantined ${quarantined}`
  const result = `publisher: ${theirs.join(', ')}; ours: ${ours}`
  const heldBack = carried - delivered - failed
  const more = delivered - received - quarantined
  if (client.dialect === 'red-hat-v1' && heldBack > 0)
    return [
      'warning',
      result,
      `The sidecar did not pass on ${heldBack} of the events it received: ${HELD_BACK}`,
    ]
  if (failed > 0 && foreign === 0 && missedSince !== false) return ['warning', result, FAILED]
  if (dropped > 0) return ['warning', result, DROPPED]
  if (more > SLACK && foreign === 0)
    return [
      'warning',
      result,
      `It got 204 for ${more} more events than this store received: ${ANOTHER_STORE}`,
    ]
  return ['ok', `${result}. ${differenceOf(more, failed, foreign)}`]
}

const HELD_BACK = 'it may hold one back (see `events`), or nobody subscribed to them'
const FAILED =
  'These deliveries to us failed since the publisher started; after ten in a row it drops our subscriptions. Check whether ingest was down or slower than 2 s. Polls have found what was missed'
const DROPPED =
  'Its queue was full and it dropped events: one of its consumers is slow or gone. Look for failed deliveries in its log'
const ANOTHER_STORE = 'check that ingest uses this STATE_URL; or the node was removed from the store since'

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

/** A page in Prometheus text format. */
export type Metrics = {
  /** Whether there is a series whose name starts so. */
  has(prefix: string): boolean
  /** The sum of all series of that name with these labels; 0 where there is none. */
  sum(name: string, labels?: Readonly<Record<string, string>>): number
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g

/** Reads what it understands of a page; lines that are no series are left out. */
export function readMetrics(text: string): Metrics {
  const series = text.split('\n').flatMap((line) => {
    const [, name, inner = '', number] = LINE.exec(line) ?? []
    const value = Number(number)
    if (name === undefined || Number.isNaN(value)) return []
    const labels = new Map(Array.from(inner.matchAll(LABEL), ([, label, word]) => [label, word]))
    return [{ name, labels, value }]
  })
  return {
    has: (prefix) => series.some(({ name }) => name.startsWith(prefix)),
    sum: (name, wanted = {}) =>
      series
        .filter((one) => one.name === name)
        .filter(({ labels }) => Object.entries(wanted).every(([label, word]) => labels.get(label) === word))
        .reduce((sum, { value }) => sum + value, 0),
  }
}

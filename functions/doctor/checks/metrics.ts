import { PublisherError } from '#shared/errors.ts'
import type { CallOptions } from '#shared/publishers/dialects/client.ts'
import type { Http } from '#shared/http/client.ts'
import { placeOf, type Target } from '#shared/publishers/target.ts'
import type { NodeState } from '#shared/state/document.ts'
import { adviceOn } from '../advice.ts'
import type { Report } from '../report.ts'
import { type Exposition, readExposition } from './exposition.ts'
import type { Reached } from './reach.ts'

/** Where the proxies of Red Hat show their figures unless told otherwise (`--metrics-addr`). */
const PORT = 9091
const DEADLINE_MS = 3_000

/** More than this many deliveries apart is no matter of what is under way. */
const SLACK = 10

/**
 * The figures of the proxy, or of the v1 sidecar, beside our counters, with the difference explained. They are
 * mostly out of reach, bound to the inside of a pod: that is no fault.
 */
export async function checkFigures(
  report: Report,
  { client }: Reached,
  target: Target,
  about: {
    state: NodeState | undefined
    strangers: number
    /** Whether something was missed since we last subscribed; undefined where that is not known. */
    missedSince: boolean | undefined
    http: Pick<Http, 'request'>
  },
  call: CallOptions,
): Promise<void> {
  if (client.dialect === 'starlingx-v2' && target.metrics === undefined) {
    report.skipped('figures', 'its own figures', 'StarlingX has none')
    return
  }
  const url = target.metrics ?? metricsUrl(target.url)
  const asked = `GET ${url}`
  const { origin, pathname } = new URL(url)
  try {
    const request = { method: 'GET', path: pathname } as const
    const answer = await about.http.request(origin, request, { deadlineMs: DEADLINE_MS, ...call })
    const figures = answer.status === 200 ? readExposition(answer.body) : undefined
    if (figures === undefined || !figures.has('cne_')) {
      const came =
        answer.status === 200 ? 'no cne_ figures (none are shown before the first event)' : `${answer.status}`
      report.skipped('figures', asked, came, ELSEWHERE)
      return
    }
    compare(report, asked, { ...about, figures, isSidecar: client.dialect === 'red-hat-v1' })
  } catch (error) {
    if (!(error instanceof PublisherError)) throw error
    report.skipped('figures', asked, adviceOn(error, placeOf(target.url)).came, ELSEWHERE)
  }
}

const ELSEWHERE =
  'For information only. If they are shown elsewhere, set `metrics` of this publisher in PUBLISHERS; --metrics-addr=127.0.0.1:9091 can be reached in its own pod alone'

function metricsUrl(url: string): string {
  return `http://${new URL(url).hostname}:${PORT}/metrics`
}

function compare(
  report: Report,
  asked: string,
  about: {
    figures: Exposition
    state: NodeState | undefined
    strangers: number
    missedSince: boolean | undefined
    isSidecar: boolean
  },
): void {
  const { figures, state, strangers, missedSince, isSidecar } = about
  const taken = figures.sum('cne_events_received', { status: 'success' })
  const failed = figures.sum('cne_events_received', { status: 'failed' })
  const dropped = figures.sum('cne_api_events_published', { status: 'fail' })
  const carried = figures.sum('cne_transport_events_received', { status: 'success' })
  const resets = figures.sum('cne_transport_connection_reset')
  const active = figures.sum('cne_api_subscriptions', { status: 'active' })
  const { received = 0, quarantined = 0, duplicate = 0, missed = 0 } = state?.counters ?? {}
  const theirs = [
    `delivered ${taken}`,
    ...(failed > 0 ? [`failed ${failed}`] : []),
    ...(dropped > 0 ? [`dropped ${dropped}`] : []),
    ...(carried > 0 ? [`over its transport ${carried}`] : []),
    ...(resets > 0 ? [`connection resets ${resets}`] : []),
    ...(figures.has('cne_api_subscriptions') ? [`subscriptions ${active}`] : []),
  ].join(', ')
  const ours = `received ${received}, duplicate ${duplicate}, missed ${missed}, quarantined ${quarantined}`
  const came = `its: ${theirs}; ours: ${ours}`
  const more = taken - received - quarantined

  if (isSidecar && carried > taken + failed) {
    const todo = `It did not pass on ${carried - taken - failed} of what came to it: it may hold one back (see \`events\`), or nobody subscribed to them`
    report.warning('figures', asked, came, todo)
  } else if (failed > 0 && strangers === 0 && missedSince !== false) {
    const todo =
      'These deliveries to us failed since it started; ten in a row and it drops our subscriptions. Was ingest down, or slower than 2 s? Polls have found what was missed'
    report.warning('figures', asked, came, todo)
  } else if (dropped > 0) {
    const todo =
      'It dropped events, for its queue was full: one of its consumers is slow or gone. Look for deliveries that fail in its log'
    report.warning('figures', asked, came, todo)
  } else if (more > SLACK && strangers === 0) {
    const todo = `It was answered 204 for ${more} more than this store has: does ingest write to another store, or was the node's document removed since?`
    report.warning('figures', asked, came, todo)
  } else report.ok('figures', asked, `${came}. ${difference(more, failed, strangers)}`)
}

/** Why the two need not be equal. */
function difference(more: number, failed: number, strangers: number): string {
  if (strangers > 0) {
    const failures = failed > 0 ? ', the failed ones too' : ''
    return `It counts deliveries to all of its consumers${failures}; ${strangers} subscriptions are of others`
  }
  // They begin with its start, and cannot be dated; what they cost since we subscribed would be `missed`.
  if (failed > 0) return 'Nothing was missed since we last subscribed: the failed ones are from before'
  if (more === 0) return 'They agree'
  return more < 0
    ? 'Ours has more: initial notifications, and what came before its last restart, which sets its figures to 0'
    : 'It has more: placeholders, which are answered and change no state, and what is being counted just now'
}

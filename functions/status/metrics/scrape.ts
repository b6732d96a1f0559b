import { within } from '#shared/deadline.ts'
import { StoreError } from '#shared/errors.ts'
import { METRICS_CONTENT_TYPE } from '#shared/metrics.ts'
import type { HttpRequest, Reply } from '#shared/runtime/reply.ts'
import type { Clock } from '#shared/time.ts'
import { compressed } from '../http/compress.ts'
import { type Fleet, readable } from '../fleet.ts'
import type { Gate } from '../http/gate.ts'
import { OVERALL } from '../http/schemas.ts'
import { NODE_METRICS, type NodeSeries } from './series.ts'

/** How many nodes' lines are sent as one piece. */
const CHUNK = 200
/** Prometheus's default scrape timeout in seconds, and the share of it that the store may take. */
const SCRAPE_TIMEOUT = 10
const STORE_SHARE = 0.7

/**
 * Answers a scrape with the series of the fleet after those of the process (`text`). It shares the page's looks at the
 * store, at most one every 2 s.
 *
 * While the store is down there is `ptp_watch_store_up 0` and no series of any node: an unknown state must not look
 * like LOCKED.
 */
export function createScrape({
  fleet,
  clock,
  gate,
}: {
  readonly fleet: Pick<Fleet, 'current'>
  readonly clock: Clock
  readonly gate?: Gate | undefined
}) {
  return async (request: HttpRequest, text: string): Promise<Reply> => {
    const refusal = await gate?.(request)
    if (refusal !== undefined) return refusal
    const late = () => new StoreError('The store did not answer within the time of the scrape')
    const known = await readable(within(timeoutOf(request) * STORE_SHARE, fleet.current(), late))
    const series = known && [...known.values()].map((each) => each.series)
    const reply = {
      status: 200,
      headers: { 'content-type': METRICS_CONTENT_TYPE },
      stream: expose(text, series, clock.now()),
    }
    return compressed(reply, request)
  }
}

/** In milliseconds. */
function timeoutOf({ headers }: HttpRequest): number {
  const seconds = Number(headers['x-prometheus-scrape-timeout-seconds'])
  return 1000 * (seconds > 0 && seconds < 3600 ? seconds : SCRAPE_TIMEOUT)
}

type Series = readonly (NodeSeries | undefined)[] | undefined

async function* expose(text: string, series: Series, now: number): AsyncGenerator<string> {
  yield text
  yield gauge('ptp_watch_store_up', '1 if the store can be read.', { '': Number(series !== undefined) })
  if (series === undefined) return
  const nodes = series.filter((each) => each !== undefined)
  const counts = OVERALL.map((word) => {
    const count = nodes.filter(({ overall }) => overall === word).length
    return [`{state="${word}"}`, count] as const
  })
  yield gauge(
    'ptp_watch_fleet_nodes',
    'Nodes by state, without those that are gone.',
    Object.fromEntries(counts),
  )
  yield gauge(
    'ptp_watch_fleet_gone_nodes',
    'Nodes that are neither listed nor discovered any more, and silent: they have no series of their own.',
    { '': series.length - nodes.length },
  )
  for (const [name, help] of Object.entries(NODE_METRICS)) {
    let head = headOf(name, help)
    for (let i = 0; i < nodes.length; i += CHUNK) {
      const lines = nodes.slice(i, i + CHUNK).map((node) => node.lines(name, now))
      const piece = lines.join('')
      if (piece === '') continue
      yield head + piece
      head = ''
    }
  }
}

function headOf(name: string, help: string): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${name.endsWith('_total') ? 'counter' : 'gauge'}\n`
}

/** Values by their labels. */
function gauge(name: string, help: string, values: Readonly<Record<string, number>>): string {
  const lines = Object.entries(values).map(([labels, value]) => `${name}${labels} ${value}\n`)
  return headOf(name, help) + lines.join('')
}

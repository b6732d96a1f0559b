import { StoreError } from '#shared/errors.ts'
import { METRICS_CONTENT_TYPE } from '#shared/metrics.ts'
import type { HttpRequest, Reply } from '#shared/runtime/reply.ts'
import type { Clock } from '#shared/time.ts'
import { compressed } from './compress.ts'
import type { Fleet } from './fleet.ts'
import type { Gate } from './gate.ts'
import { OVERALL } from './select.ts'
import { NODE_METRICS, type NodeSeries } from './series.ts'

/** Nodes whose lines are sent as one piece. */
const CHUNK = 200
/** How long Prometheus waits for a scrape unless it says so, in seconds; and how much of that the store may take. */
const SCRAPE_TIMEOUT = 10
const STORE_SHARE = 0.7

export type ScrapeDeps = {
  readonly fleet: Pick<Fleet, 'current'>
  readonly clock: Clock
  readonly gate?: Gate | undefined
}

/**
 * Answers a scrape with the series of the fleet behind those of the process (`text`). The store is looked at as for the
 * page, at most every 2 s; nothing is read for a scrape alone.
 *
 * While the store is away there is `ptp_watch_store_up 0` and no series of any node: what happened since the last look is
 * not known, and a LOCKED that is not known must not look like one that is.
 */
export function createScrape({ fleet, clock, gate }: ScrapeDeps) {
  return async (request: HttpRequest, text: string): Promise<Reply> => {
    const refusal = await gate?.(request)
    if (refusal !== undefined) return refusal
    const series = await seriesWithin(fleet, timeoutOf(request) * STORE_SHARE)
    const reply = {
      status: 200,
      headers: { 'content-type': METRICS_CONTENT_TYPE },
      stream: expose(text, series, clock.now()),
    }
    return compressed(reply, request)
  }
}

/** Undefined where the store cannot be read within `ms`. */
async function seriesWithin(fleet: ScrapeDeps['fleet'], ms: number): Promise<FleetSeries | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>()
  const timer = setTimeout(resolve, ms, undefined)
  try {
    const known = await Promise.race([fleet.current(), late])
    if (known === undefined) return undefined
    const nodes = [...known.values()].flatMap(({ series }) => (series === undefined ? [] : [series]))
    return { nodes, gone: known.size - nodes.length }
  } catch (error) {
    if (error instanceof StoreError) return undefined
    throw error
  } finally {
    clearTimeout(timer)
  }
}

/** In milliseconds. */
function timeoutOf({ headers }: HttpRequest): number {
  const seconds = Number(headers['x-prometheus-scrape-timeout-seconds'])
  return 1000 * (seconds > 0 && seconds < 3600 ? seconds : SCRAPE_TIMEOUT)
}

type FleetSeries = {
  readonly nodes: readonly NodeSeries[]
  /** Nodes that have no series. */
  readonly gone: number
}

async function* expose(text: string, fleet: FleetSeries | undefined, now: number): AsyncGenerator<string> {
  yield text
  yield gauge('ptp_watch_store_up', '1 if the store can be read.', { '': Number(fleet !== undefined) })
  if (fleet === undefined) return
  const { nodes, gone } = fleet
  const counts: Record<string, number> = {}
  for (const state of OVERALL) counts[`{state="${state}"}`] = 0
  for (const { overall } of nodes) counts[`{state="${overall}"}`] = (counts[`{state="${overall}"}`] ?? 0) + 1
  yield gauge('ptp_watch_fleet_nodes', 'Nodes by state, without those that are gone.', counts)
  yield gauge(
    'ptp_watch_fleet_gone_nodes',
    'Nodes that are neither listed nor discovered any more, and silent: they have no series of their own.',
    { '': gone },
  )
  for (const { name, type, help } of NODE_METRICS) {
    let head = headOf(name, type, help)
    for (let i = 0; i < nodes.length; i += CHUNK) {
      let lines = ''
      for (const node of nodes.slice(i, i + CHUNK)) lines += node.lines(name, now)
      if (lines === '') continue
      yield head + lines
      head = ''
    }
  }
}

function headOf(name: string, type: string, help: string): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`
}

/** Values by their labels. */
function gauge(name: string, help: string, values: Readonly<Record<string, number>>): string {
  const lines = Object.entries(values).map(([labels, value]) => `${name}${labels} ${value}\n`)
  return headOf(name, 'gauge', help) + lines.join('')
}

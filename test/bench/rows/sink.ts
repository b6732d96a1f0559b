import * as z from 'zod/mini'
import { alternate, type Sides } from '../rounds.ts'
import type { Row } from '../row.ts'
import type { World } from '../world.ts'

const NODES = 500
const RATE = 500
/** Ingest stays for weeks: its first seconds, in which code is compiled and documents are made, are not measured. */
const WARM_UP = 8

const listening = z.object({ url: z.string() })
const ran = z.object({ p50: z.number(), p99: z.number(), refused: z.number() })

/** From the POST of a FREERUN to its CloudEvent at the sink, with the store in between. */
async function measure(world: World, what: 'p50' | 'p99'): Promise<Sides> {
  const worker = await world.worker('through.ts')
  const sink = await worker.ask(listening, { do: 'listen' })
  const ours = await world.server([...world.bundles.main, 'ingest'], {
    STATE_URL: (await world.redis()).url,
    PUBLISHERS: await world.publishersOf(NODES),
    K_SINK: sink.url,
    LOG_LEVEL: 'warn',
  })
  const bare = await world.server([world.bundles.bareForward], { SINK: sink.url })
  const through = (url: string, seconds: number) => async () => {
    const done = await worker.ask(ran, { do: 'run', url, nodes: NODES, seconds, rate: RATE })
    if (done.refused > 0) throw new Error(`${url} refused ${done.refused} requests`)
    return done[what]
  }
  for (const { url } of [ours, bare]) await through(url, WARM_UP)()
  // A whole number of seconds, so that each side begins with FREERUN.
  const seconds = 2 * Math.ceil(world.seconds / 2)
  return alternate(world.rounds, { ours: through(ours.url, seconds), yardstick: through(bare.url, seconds) })
}

export const sinkRows: readonly Row[] = [
  { name: 'push-to-sink', unit: 'ms p50', bar: { most: 3 }, measure: (world) => measure(world, 'p50') },
  { name: 'push-to-sink-tail', unit: 'ms p99', bar: { most: 5 }, measure: (world) => measure(world, 'p99') },
]

import { get } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import type { Server } from '../processes.ts'
import { alternate } from '../rounds.ts'
import type { Row } from '../row.ts'
import type { World } from '../world.ts'

const NODES = 5_000
const CLIENTS = 50
const CHANGES_PER_SECOND = 20

/** Follows the stream and reads what comes; `close` ends it. */
async function follow(url: string): Promise<() => void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const request = get(`${url}/api/stream`, (response) => {
    response.once('data', () => resolve())
    response.resume()
  }).on('error', reject)
  await promise
  return () => {
    request.on('error', () => {})
    request.destroy()
  }
}

/** `status` over Redis with 5,000 nodes, and what brings changes to them. */
async function fleet(world: World): Promise<{ status: Server; ingest: Server }> {
  const { url: STATE_URL } = await world.redis()
  const env = { STATE_URL, LOG_LEVEL: 'warn' }
  const PUBLISHERS = await world.publishersOf(NODES)
  const ingest = await world.server([...world.bundles.main, 'ingest'], { ...env, PUBLISHERS })
  await world.load(ingest.url, { nodes: NODES, count: NODES * 7, what: 'each-kind' })
  const status = await world.server([...world.bundles.main, 'status', '--serve'], env)
  return { status, ingest }
}

/** Processor seconds that `status` takes in a round with so many clients. */
async function cost(
  world: World,
  { status, ingest }: { status: Server; ingest: Server },
  clients: number,
  rate: number,
): Promise<number> {
  const ends = await Promise.all(Array.from({ length: clients }, () => follow(status.url)))
  // The first look, and the snapshots, are not what lasts.
  await pause(3_000)
  const before = status.cpuSeconds()
  const seconds = world.seconds * 4
  if (rate > 0) await world.load(ingest.url, { nodes: NODES, what: 'changes', rate, seconds })
  else await pause(seconds * 1000)
  const took = status.cpuSeconds() - before
  for (const end of ends) end()
  return took
}

const stream: Row = {
  name: 'stream',
  unit: 'CPU s',
  bar: { most: 3 },
  async measure(world) {
    const sides = await fleet(world)
    return alternate(world.rounds, {
      ours: () => cost(world, sides, CLIENTS, CHANGES_PER_SECOND),
      yardstick: () => cost(world, sides, 1, CHANGES_PER_SECOND),
    })
  },
}

/** What one client costs while nothing changes, as a share of a core. */
const streamAtRest: Row = {
  name: 'stream-at-rest',
  unit: 'CPU s',
  bar: { most: 0.05 },
  async measure(world) {
    const sides = await fleet(world)
    return alternate(world.rounds, {
      ours: () => cost(world, sides, 1, 0),
      yardstick: async () => world.seconds * 4,
    })
  },
}

export const streamRows: readonly Row[] = [stream, streamAtRest]

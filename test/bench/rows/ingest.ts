import { onFramework } from '../../runtime/processes.ts'
import { alternate } from '../rounds.ts'
import type { Row } from '../row.ts'
import type { Server } from '../processes.ts'
import type { World } from '../world.ts'

export const NODES = 1_000

type Store = 'memory' | 'redis' | 'sqlite'

async function stateUrl(world: World, store: Store): Promise<string> {
  if (store === 'memory') return 'memory:'
  return store === 'redis' ? (await world.redis()).url : `sqlite:${await world.folder()}/state.db`
}

/** `ingest` as it is shipped, with `nodes` configured. Transitions are counted, not logged. */
export async function ingest(world: World, store: Store, nodes = NODES): Promise<Server> {
  return world.server([...world.bundles.main, 'ingest'], {
    STATE_URL: await stateUrl(world, store),
    PUBLISHERS: await world.publishersOf(nodes),
    LOG_LEVEL: 'warn',
  })
}

const requests = 'requests/s'

function throughput(name: string, store: Store, bar: number, nodes = NODES): Row {
  return {
    name,
    unit: requests,
    bar: { least: bar },
    async measure(world) {
      const ours = await ingest(world, store)
      const bare = await world.server([world.bundles.bare])
      const { rounds, seconds } = world
      const rateOf = async ({ url }: Server) => (await world.load(url, { nodes, seconds })).rate
      return alternate(rounds, { ours: () => rateOf(ours), yardstick: () => rateOf(bare) })
    },
  }
}

/** Events a second at which `ingest-tail` is measured: a storm of a large fleet, not the most that a process takes. */
const STORM = 2_500
/** By then each node has its document, and the code on the way is compiled. */
const WARM_UP_SECONDS = 4

const tail: Row = {
  name: 'ingest-tail',
  unit: 'ms p99',
  bar: { most: 3 },
  async measure(world) {
    const ours = await ingest(world, 'redis')
    const bare = await world.server([world.bundles.bare])
    const { rounds, seconds } = world
    const p99Of = async ({ url }: Server, lasting = seconds) =>
      (await world.load(url, { nodes: NODES, seconds: lasting, rate: STORM })).p99
    for (const server of [ours, bare]) await p99Of(server, WARM_UP_SECONDS)
    return alternate(rounds, { ours: () => p99Of(ours), yardstick: () => p99Of(bare) })
  },
}

const framework: Row = {
  name: 'ingest-framework',
  unit: requests,
  bar: { least: 0.7 },
  async measure(world) {
    const hosted = async (source: string, target: string, env: Record<string, string>) => {
      const server = await onFramework(source, target, { LOG_LEVEL: 'warn', ...env })
      world.later(server.stop)
      return server.url
    }
    const PUBLISHERS = await world.publishersOf(NODES)
    const ours = await hosted('functions/framework.ts', 'ingest', { STATE_URL: 'memory:', PUBLISHERS })
    const hello = await hosted('test/bench/children/hello.ts', 'hello', {})
    const { rounds, seconds } = world
    const rateOf = async (url: string) => (await world.load(url, { nodes: NODES, seconds })).rate
    return alternate(rounds, { ours: () => rateOf(ours), yardstick: () => rateOf(hello) })
  },
}

const scaling: Row = {
  name: 'nodes-scaling',
  unit: requests,
  bar: { least: 0.8 },
  async measure(world) {
    const many = await ingest(world, 'redis', 10_000)
    const few = await ingest(world, 'redis', 100)
    const { rounds, seconds } = world
    // Each node's first event makes its document, which is no part of the steady state.
    await world.load(many.url, { nodes: 10_000, count: 20_000 })
    await world.load(few.url, { nodes: 100, count: 20_000 })
    return alternate(rounds, {
      ours: async () => (await world.load(many.url, { nodes: 10_000, seconds })).rate,
      yardstick: async () => (await world.load(few.url, { nodes: 100, seconds })).rate,
    })
  },
}

const memory: Row = {
  name: 'memory',
  unit: 'MiB',
  bar: { most: 1.9 },
  async measure(world) {
    const ours = await ingest(world, 'redis')
    const bare = await world.server([world.bundles.bare])
    const count = 200_000
    await world.load(ours.url, { nodes: NODES, count })
    await world.load(bare.url, { nodes: NODES, count })
    return { ours: ours.residentMiB(), yardstick: bare.residentMiB() }
  },
}

export const ingestRows: readonly Row[] = [
  throughput('ingest-memory', 'memory', 0.4),
  throughput('ingest-redis', 'redis', 0.28),
  throughput('ingest-sqlite', 'sqlite', 0.2),
  throughput('ingest-one-node', 'redis', 0.4, 1),
  tail,
  framework,
  memory,
  scaling,
]

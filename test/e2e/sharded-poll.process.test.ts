import { expect, onTestFinished, test } from 'vitest'
import type { Publisher } from '#local/publishers/index.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { clocksIn, redHatV2 } from './support/publishers.ts'
import { type Finished, listening, startSystem, type System } from './support/system.ts'
import { overallTruthOf, shownOf, truthOf } from './support/truth.ts'
import type { View } from './support/view.ts'

const SHARDS = 2
const NODES = 60
const KINDS = ['lock-state', 'os-clock-sync-state', 'clock-class']

/** A run of poll as the Pod of that index of an Indexed Job. */
function shard(system: System, index: number): Promise<Finished> {
  return system.run(['poll'], {
    JOB_COMPLETION_INDEX: String(index),
    JOB_COMPLETION_COUNT: String(SHARDS),
  })
}

const allShards = (system: System) =>
  Promise.all(Array.from({ length: SHARDS }, (_, index) => shard(system, index)))

/** The nodes that a run says it has polled. */
function polledBy({ err }: Finished): string[] {
  return Array.from(err.matchAll(/"message":"polled".*?"node":"([^"]+)"/g), ([, node = '']) => node)
}

/** How many writes Redis has refused since its figures began, for another had come first, and how many it took. */
async function writesOf(redis: RedisServer): Promise<{ taken: number; refused: number }> {
  const stats = await redis.cli(['INFO', 'commandstats'])
  const calls = (command: string) =>
    Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0)
  // Each write is a script, and sets the document only where its version still stood.
  const taken = calls('hset')
  return { taken, refused: calls('evalsha') + calls('eval') - taken }
}

const inTruth = (nodes: readonly View[], publishers: readonly Publisher[]) =>
  publishers.map((publisher) => {
    const found = nodes.find(({ node }) => node === publisher.node)
    const shown = found && shownOf(found)
    return Object.entries(truthOf(publisher))
      .filter(([clock]) => !clock.startsWith('sync-state'))
      .every(([clock, value]) => shown?.[clock] === value)
  })

test('two shards of poll over one Redis: each of 60 nodes is polled by one of them, and all is as it is', async () => {
  const redis = await startRedis()
  onTestFinished(() => redis.close())
  const names = Array.from({ length: NODES }, (_, number) => `worker-${number}.site-a.example.com`)
  const publishers = await listening(...names.map((name) => redHatV2(name)))
  for (const publisher of publishers) publisher.setClock(...clocksIn('LOCKED'))
  const system = await startSystem(publishers, {
    STATE_URL: `redis://127.0.0.1:${redis.port}`,
    RESOURCES: KINDS.join(','),
  })

  // From nothing: they subscribe too, and ingest takes in what comes of it.
  const first = await allShards(system)
  expect(first.map(({ code, out }) => [code, out])).toEqual(
    first.map(() => [0, '30 of 30 publishers polled\n']),
  )
  expect(first.flatMap(polledBy).toSorted()).toEqual(names.toSorted())
  for (const publisher of publishers)
    expect(
      publisher
        .subscriptions()
        .map(({ resource }) => resource.split('/').at(-1))
        .toSorted(),
    ).toEqual(KINDS.toSorted())
  expect((await system.nodes()).map(({ overall }) => overall)).toEqual(names.map(() => 'LOCKED'))

  // What only a pull shows, shows at the nodes of the shard that ran.
  for (const publisher of publishers)
    publisher.setClock({ kind: 'lock-state', state: 'FREERUN', offset: 900, announce: 'never' })
  const one = await shard(system, 1)
  const free = (await system.nodes()).filter(({ overall }) => overall === 'FREERUN').map(({ node }) => node)
  expect(free.toSorted()).toEqual(polledBy(one).toSorted())
  expect(free).toHaveLength(NODES / SHARDS)
  await shard(system, 0)
  expect(inTruth(await system.nodes(), publishers)).toEqual(names.map(() => true))

  // Both, while every clock flaps.
  await redis.cli(['CONFIG', 'RESETSTAT'])
  const running = allShards(system)
  for (let turn = 0; turn < 5; turn += 1) {
    for (const publisher of publishers)
      publisher.setClock(
        { kind: 'clock-class', clockClass: 100 + turn },
        { kind: 'lock-state', state: turn % 2 === 0 ? 'HOLDOVER' : 'LOCKED', offset: turn },
      )
    await Promise.all(publishers.map((publisher) => publisher.idle()))
  }
  expect((await running).map(({ code }) => code)).toEqual([0, 0])
  await allShards(system)

  const { taken, refused } = await writesOf(redis)
  const nodes = await system.nodes()
  expect(inTruth(nodes, publishers)).toEqual(names.map(() => true))
  expect(nodes.map(({ overall }) => overall)).toEqual(publishers.map(overallTruthOf))
  const total = (name: keyof View['counters']) => nodes.reduce((sum, { counters }) => sum + counters[name], 0)
  const acknowledged = publishers
    .flatMap(({ deliveries }) => deliveries)
    .filter(({ outcome }) => outcome === 204)
  expect(total('received')).toBe(acknowledged.length)
  expect(total('duplicate')).toBe(0)
  // The one that was never pushed, and none of those that came while polls were under way.
  expect(total('missed')).toBe(NODES)
  // Two writers of a document meet now and then; they do not keep each other from writing.
  expect(taken).toBeGreaterThan(5 * NODES)
  expect(refused).toBeLessThan(taken)
})

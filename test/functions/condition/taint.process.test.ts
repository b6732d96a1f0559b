import { describe, expect, onTestFinished, test } from 'vitest'
import { startRedis } from '../../support/redis.ts'
import { conditionOf, eventsOf, startWorld, taintsOf, type World } from './world.ts'

const TAINT = 'ptp-watch.io/freerun:NoSchedule'
const ENV = { TAINT }
const names = (site: string, count: number) =>
  Array.from({ length: count }, (_, i) => `${site}-${String(i).padStart(2, '0')}`)

async function startTainting(sizes: Readonly<Record<string, number>>) {
  const redis = await startRedis()
  onTestFinished(() => redis.close())
  const world = await startWorld({ stateUrl: `redis://127.0.0.1:${redis.port}` })
  const { api } = world
  api.objects.create('from-context', { metadata: { name: 'ptp-watch-taints' } }, 'kubectl')
  const nodes = Object.entries(sizes).flatMap(([site, count]) => names(site, count))
  for (const name of nodes) api.nodes.add(name, {}, [{ key: 'other', effect: 'NoExecute' }])
  await become(world, nodes, 'LOCKED')
  let most = 0
  api.before(({ resource }) => {
    if (resource !== 'nodes') return
    for (const [site, count] of Object.entries(sizes))
      most = Math.max(most, tainted(world, names(site, count)).length)
  })
  return { ...world, redis, most: () => most }
}

const become = (
  world: World,
  nodes: readonly string[],
  overall: 'LOCKED' | 'FREERUN' | 'UNKNOWN' | 'HOLDOVER',
) =>
  Promise.all(
    nodes.map((name) => world.become(name, overall, { labels: { site: name.split('-')[0] ?? '' } })),
  )

const tainted = (world: Pick<World, 'api'>, nodes: readonly string[]) =>
  nodes.filter((name) => taintsOf(world.api, name).includes(TAINT))

test('a Node that free-runs is tainted until it no longer does; UNKNOWN leaves it as it is; other taints stay', async () => {
  const world = await startTainting({ a: 2 })
  const condition = await world.serve(ENV)
  const [node = ''] = names('a', 2)
  for (const [overall, expected] of [
    ['FREERUN', [`other:NoExecute`, TAINT]],
    ['UNKNOWN', [`other:NoExecute`, TAINT]],
    ['LOCKED', ['other:NoExecute']],
    ['UNKNOWN', ['other:NoExecute']],
    ['FREERUN', [`other:NoExecute`, TAINT]],
    ['HOLDOVER', ['other:NoExecute']],
  ] as const) {
    await become(world, [node], overall)
    expect(await condition.tick()).toMatchObject({ status: 202 })
    expect(taintsOf(world.api, node)).toEqual(expected)
  }
})

test('without TAINT nothing is tainted', async () => {
  const world = await startTainting({ a: 1 })
  await become(world, ['a-00'], 'FREERUN')
  expect(await world.run()).toMatchObject({ code: 0 })
  expect(taintsOf(world.api, 'a-00')).toEqual(['other:NoExecute'])
})

test('thirty nodes lost at once: a tenth of the site is tainted, which is told; another site is none the worse', async () => {
  const world = await startTainting({ a: 30, b: 5 })
  const condition = await world.serve(ENV)
  const site = names('a', 30)
  await become(world, [...site, 'b-00'], 'FREERUN')
  for (const _ of [1, 2]) expect(await condition.tick()).toMatchObject({ status: 202 })
  const closed = tainted(world, site)
  expect(closed).toHaveLength(3)
  expect(tainted(world, names('b', 5))).toEqual(['b-00'])
  const open = site.filter((name) => !closed.includes(name))
  expect(open.map((name) => eventsOf(world.api, name))).toEqual(
    open.map(() => ({ PTPFreerun: 1, PTPTaintWithheld: 1 })),
  )
  expect(closed.map((name) => eventsOf(world.api, name))).toEqual(closed.map(() => ({ PTPFreerun: 1 })))
  const told = condition.logged().filter(({ message }) => String(message).startsWith('taint withheld'))
  expect(told).toMatchObject([{ level: 'warn', site: 'a', withheld: 27, nodes: 30, limit: 3 }])
  const metrics = await fetch(`${condition.url}/metrics`).then((answer) => answer.text())
  expect(metrics).toMatch(/^ptp_watch_nodes_tainted 4$/m)
  expect(metrics).toMatch(/^ptp_watch_nodes_taint_withheld 27$/m)

  await become(world, site, 'LOCKED')
  await condition.tick()
  expect(tainted(world, site)).toEqual([])
  expect(world.most()).toBe(3)
})

test('two instances at once, and one that is killed half-way, never taint more than the limit', async () => {
  const world = await startTainting({ a: 30 })
  const site = names('a', 30)
  const [one, two] = await Promise.all([world.serve(ENV), world.serve(ENV)])
  await become(world, site, 'FREERUN')
  await Promise.all([one.tick(), two.tick()])
  await become(world, tainted(world, site), 'LOCKED')
  const ticks = Promise.allSettled([one.tick(), two.tick()])
  await expect.poll(() => tainted(world, site).length).toBeGreaterThan(0)
  one.running.kill('SIGKILL')
  await ticks
  for (const _ of [1, 2]) expect(await two.tick()).toMatchObject({ status: 202 })
  expect(tainted(world, site)).toHaveLength(3)
  expect(world.most()).toBe(3)
})

test('a tainted Node whose document is damaged keeps its place in a site that nobody can tell', async () => {
  const world = await startTainting({ a: 10, b: 10 })
  const condition = await world.serve(ENV)
  await become(world, ['a-00'], 'FREERUN')
  await condition.tick()
  const [, key = ''] = /^(.*:state:a-00)$/m.exec(await world.redis.cli(['KEYS', '*'])) ?? []
  await world.redis.cli(['HSET', key, 'state', '{'])
  await become(world, ['a-01'], 'FREERUN')
  expect(await condition.tick()).toMatchObject({ status: 202 })
  expect(conditionOf(world.api, 'a-00')).toMatchObject({ reason: 'Unreadable' })
  expect(tainted(world, names('a', 10))).toEqual(['a-00'])
})

test('a Node that another writes at the same time keeps what that one wrote', async () => {
  const world = await startTainting({ a: 1 })
  await become(world, ['a-00'], 'FREERUN')
  const { before } = world.api
  let others = 0
  before(({ verb, resource, subresource }) => {
    if (verb !== 'patch' || resource !== 'nodes' || subresource !== '' || others === 1) return
    others += 1
    const taints = [{ key: 'cordon', effect: 'NoSchedule' }]
    world.api.nodes.patch('', 'a-00', '', {
      type: 'application/merge-patch+json',
      body: { spec: { taints } },
    })
  })
  expect(await world.run(ENV)).toMatchObject({ code: 0 })
  expect(taintsOf(world.api, 'a-00')).toEqual(['cordon:NoSchedule', TAINT])
})

describe('where it cannot', () => {
  test('without the right to patch Nodes conditions are set all the same, and the failure is told', async () => {
    const world = await startTainting({ a: 1 })
    await become(world, ['a-00'], 'FREERUN')
    world.api.permitted.delete('patch nodes')
    expect(await world.run(ENV)).toMatchObject({
      code: 1,
      err: expect.stringMatching(/Node a-00: Cannot patch nodes a-00.*403/),
    })
    expect(eventsOf(world.api, 'a-00')).toEqual({ PTPFreerun: 1 })
  })

  test('without its ConfigMap it says which component brings it', async () => {
    const world = await startWorld()
    world.api.nodes.add('a-00')
    await world.become('a-00', 'FREERUN')
    expect(await world.run(ENV)).toMatchObject({
      code: 1,
      err: expect.stringContaining('component node-taint'),
    })
  })

  test.each(['ptp-watch.io/freerun:NoExecute', 'freerun', 'a/b/c:NoSchedule', ':NoSchedule'])(
    'TAINT=%s',
    async (taint) => {
      const { run } = await startWorld()
      expect(await run({ TAINT: taint })).toMatchObject({
        code: 2,
        err: expect.stringMatching(/TAINT must be a taint .*NoExecute would evict Pods/),
      })
    },
  )
})

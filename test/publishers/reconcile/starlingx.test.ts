import { expect, test } from 'vitest'
import { createStarlingX } from '#local/publishers/index.ts'
import { startConsumer, using } from '../support/consumer.ts'
import { createWorld } from '../support/world.ts'

const NODE = 'controller-0'

async function started(options: { node?: string } = {}) {
  const { node = NODE } = options
  const publisher = using(createStarlingX({ node: NODE, warmUpMs: 0 }))
  await publisher.listen()
  const consumer = await startConsumer()
  const target = { node, url: publisher.url, dialect: 'auto' } as const
  const world = createWorld({ targets: [target], callbackUrl: consumer.url })
  return { publisher, consumer, target, world, client: await world.registry.client(target) }
}

test('every wanted resource is subscribed to by itself, and a second run changes nothing', async () => {
  const { publisher, target, world } = await started()
  expect(await world.reconciler.reconcile(target)).toMatchObject({
    outcome: 'ok',
    dialect: 'starlingx-v2',
    problems: [],
  })
  const before = publisher.subscriptions()
  expect(before).toHaveLength(7)
  expect(await world.reconciler.reconcile(target)).toMatchObject({
    outcome: 'ok',
    applied: { created: [], removed: 0 },
  })
  expect(publisher.subscriptions()).toEqual(before)
})

test('a subscription of ours to the whole tree, which would refuse its parts, goes first', async () => {
  const { publisher, consumer, target, world, client } = await started()
  await client.create({ address: `/./${NODE}/sync`, endpoint: `${consumer.url}/event/${NODE}` })
  expect(await world.reconciler.reconcile(target)).toMatchObject({ outcome: 'ok', applied: { removed: 1 } })
  expect(publisher.subscriptions()).toHaveLength(7)
})

test('what another node wants of the same sidecar and what others want is left alone', async () => {
  const { publisher, consumer, target, world, client } = await started()
  await client.create({ address: `/./${NODE}/sync`, endpoint: `${consumer.url}/stranger` })
  const strangers = publisher.subscriptions()
  expect(await world.reconciler.reconcile(target)).toMatchObject({ outcome: 'ok', foreign: 1 })
  await world.reconciler.remove(target)
  expect(publisher.subscriptions()).toEqual(strangers)
})

test('dropped subscriptions are restored', async () => {
  const { publisher, target, world } = await started()
  await world.reconciler.reconcile(target)
  publisher.forget()
  const kept = await world.reconciler.reconcile(target)
  expect(kept.applied?.restored).toHaveLength(7)
  expect(publisher.subscriptions()).toHaveLength(7)
})

test('a node that the sidecar does not know is reported, with what it said', async () => {
  const { publisher, target, world } = await started({ node: 'controller-9' })
  const kept = await world.reconciler.reconcile(target)
  expect(kept.outcome).toBe('failed')
  expect(kept.problems.join()).toMatch(/controller-9|40[04]/)
  expect(publisher.subscriptions()).toEqual([])
})

test('ours for several nodes behind one sidecar are no subscriptions of others', async () => {
  const publisher = using(createStarlingX({ node: NODE, warmUpMs: 0, others: { 'controller-1': {} } }))
  await publisher.listen()
  const consumer = await startConsumer()
  const targets = [NODE, 'controller-1'].map(
    (node) => ({ node, url: publisher.url, dialect: 'auto' }) as const,
  )
  const world = createWorld({ targets, callbackUrl: consumer.url })
  for (const target of targets) {
    expect(await world.reconciler.reconcile(target)).toMatchObject({ outcome: 'ok', foreign: 0 })
  }
  expect(publisher.subscriptions()).toHaveLength(14)
  const [first] = targets
  if (first === undefined) throw new Error('no target')
  expect(await world.reconciler.remove(first)).toMatchObject({ foreign: 0, applied: { removed: 7 } })
  expect(publisher.subscriptions().every(({ resource }) => resource.includes('controller-1'))).toBe(true)
})

import { expect, test } from 'vitest'
import { createRedHatV2 } from '#local/publishers/index.ts'
import { startConsumer, using } from './support/consumer.ts'
import { createWorld } from './support/world.ts'

const NODE = 'worker-0.site-a.example.com'

async function started(options: { warmUpMs?: number; release?: 'main' | '4.18' } = {}) {
  const { warmUpMs = 0, release = 'main' } = options
  const publisher = using(createRedHatV2({ node: NODE, release, warmUpMs }))
  await publisher.listen()
  const consumer = await startConsumer()
  const target = { node: NODE, url: publisher.url, dialect: 'auto' } as const
  return { publisher, consumer, target, world: createWorld({ targets: [target], callbackUrl: consumer.url }) }
}

test('a publisher that holds nothing of ours is given every wanted subscription, and they are on record', async () => {
  const { publisher, consumer, target, world } = await started()
  publisher.setClock({ kind: 'lock-state', state: 'LOCKED', offset: -2 })

  const kept = await world.keeper.keep(target, { deadlineMs: 10_000 })

  expect(kept).toMatchObject({ outcome: 'kept', dialect: 'red-hat-v2', problems: [] })
  expect(publisher.subscriptions().map(({ endpoint }) => endpoint)).toEqual(
    Array.from({ length: 7 }, () => `${consumer.url}/event/${NODE}`),
  )
  const state = await world.store.read(NODE)
  expect(state?.subscriptions.map(({ id }) => id).toSorted()).toEqual(
    publisher
      .subscriptions()
      .map(({ id }) => id)
      .toSorted(),
  )
  expect(state?.publisher).toMatchObject({ url: publisher.url, dialect: 'red-hat-v2', reachable: true })
  expect(state?.pending).toEqual([])
})

test('a second run changes nothing', async () => {
  const { publisher, target, world } = await started()
  await world.keeper.keep(target, { deadlineMs: 10_000 })
  const before = publisher.subscriptions()

  const kept = await world.keeper.keep(target)

  expect(kept).toMatchObject({ outcome: 'kept', applied: { created: [], adopted: [], removed: 0 } })
  expect(publisher.subscriptions()).toEqual(before)
})

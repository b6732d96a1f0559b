import { expect, test } from 'vitest'
import { createRedHatV1 } from '#local/publishers/index.ts'
import { startConsumer, using } from '../support/consumer.ts'
import { createWorld } from '../support/world.ts'

const NODE = 'node1.example.com'
const OLD = 'the secret of before'
const NEW = 'the secret after it'

async function started(secrets?: readonly string[]) {
  const publisher = using(createRedHatV1({ node: NODE, release: '4.18', warmUpMs: 0, registerAfterMs: 0 }))
  await publisher.listen()
  const consumer = await startConsumer()
  const target = { node: NODE, url: publisher.url, dialect: 'auto' } as const
  const worldWith = (own?: readonly string[]) =>
    createWorld({ targets: [target], callbackUrl: consumer.url, ...(own !== undefined && { secrets: own }) })
  return { publisher, consumer, target, world: worldWith(secrets), worldWith }
}

test('v1: what --remove leaves in the memory of the sidecar is told, and what the next subscribe finds of it', async () => {
  const { publisher, target, world } = await started()
  await world.reconciler.reconcile(target)
  await world.reconciler.reconcile(target)
  const removed = await world.reconciler.remove(target)
  expect(removed).toMatchObject({ outcome: 'ok', problems: [], applied: { removed: 5 } })
  expect(removed.notes).toEqual([expect.stringMatching(/until it restarts.*restart it/)])

  const again = await world.reconciler.reconcile(target)
  expect(again).toMatchObject({ outcome: 'ok', problems: [] })
  expect(again.notes).toEqual([expect.stringMatching(/^lock-state .*does not list them.*Restart it/)])
  expect(publisher.subscriptions()).toEqual([])
  const warnings = () => world.lines.filter(({ level, node }) => level === 'warn' && node === NODE)
  expect(warnings()).toEqual([
    expect.objectContaining({ problem: expect.stringMatching(/does not list them/) }),
  ])

  // The fix that it names.
  await publisher.restart({ part: 'sidecar' })
  expect(await world.reconciler.reconcile(target)).toMatchObject({ outcome: 'ok', notes: [] })
  expect(publisher.subscriptions()).toHaveLength(5)
})

test('what works but needs looking after is logged for whoever prints the problems too, and those are not', async () => {
  const { publisher, target, world, consumer } = await started()
  const quietly = { quiet: true }
  const warnings = () => world.lines.filter(({ level }) => level === 'warn')
  consumer.answer(() => 403)
  expect((await world.reconciler.reconcile(target, quietly)).problems).not.toEqual([])
  expect(warnings()).toEqual([])
  consumer.answer(() => 204)
  await world.reconciler.reconcile(target, quietly)
  await world.reconciler.reconcile(target, quietly)
  await world.reconciler.remove(target)
  await world.reconciler.reconcile(target, quietly)
  expect(publisher.subscriptions()).toEqual([])
  expect(warnings()).toEqual([
    expect.objectContaining({ problem: expect.stringMatching(/does not list them/) }),
  ])
})

test('v1: without a repeated create the list is right after --remove, and nothing is told', async () => {
  const { publisher, target, world } = await started()
  await world.reconciler.reconcile(target)
  expect(await world.reconciler.remove(target)).toMatchObject({ outcome: 'ok', notes: [] })
  expect(await world.reconciler.reconcile(target)).toMatchObject({ outcome: 'ok', notes: [] })
  expect(publisher.subscriptions()).toHaveLength(5)
})

test('v1: a previous endpoint that the sidecar has in memory twice is told with its fix, which works', async () => {
  const { publisher, target, world, worldWith } = await started([OLD])
  await world.reconciler.reconcile(target)
  await world.reconciler.reconcile(target)
  const rotated = worldWith([NEW, OLD])
  const kept = await rotated.reconciler.reconcile(target)
  expect(kept).toMatchObject({ outcome: 'failed' })
  expect(kept.problems).toEqual([expect.stringMatching(/restart the sidecar.*previous CALLBACK_SECRET/)])
  await publisher.restart({ part: 'sidecar' })
  expect(await rotated.reconciler.reconcile(target)).toMatchObject({ outcome: 'ok', problems: [] })
  const endpoints = new Set(publisher.subscriptions().map(({ endpoint }) => endpoint))
  expect([...endpoints]).toEqual([rotated.callback.endpointFor(NODE)])
})

test('v1: a sidecar that refuses the new endpoint keeps the old subscriptions', async () => {
  const { publisher, consumer, target, world, worldWith } = await started([OLD])
  await world.reconciler.reconcile(target)
  const before = publisher.subscriptions()
  consumer.answer(() => 403)
  for (const proof of ['proven', 'unreachable', 'wrong'] as const) {
    const kept = await worldWith([NEW, OLD]).reconciler.reconcile(target, { proof })
    expect(kept).toMatchObject({ outcome: 'failed' })
    expect(publisher.subscriptions()).toEqual(before)
  }
})

test.each(['unreachable', 'wrong'] as const)(
  'v1: the sidecar’s own try is proof enough (%s from here)',
  async (proof) => {
    const { publisher, target, world, worldWith } = await started([OLD])
    await world.reconciler.reconcile(target)
    const rotated = worldWith([NEW, OLD])
    expect(await rotated.reconciler.reconcile(target, { proof })).toMatchObject({
      outcome: 'ok',
      applied: { withheld: 0, removed: 5 },
    })
    const endpoints = new Set(publisher.subscriptions().map(({ endpoint }) => endpoint))
    expect([...endpoints]).toEqual([rotated.callback.endpointFor(NODE)])
  },
)

import { expect, test } from 'vitest'
import { createRedHatV2, createStarlingX } from '#local/publishers/index.ts'
import { startConsumer, using } from '../support/consumer.ts'
import { createWorld } from '../support/world.ts'

const NODE = 'node1.example.com'
const OLD = 'the secret of before'
const NEW = 'the secret after it'

test.each([
  ['Red Hat v2', () => createRedHatV2({ node: NODE, release: 'main', warmUpMs: 0 })],
  ['StarlingX', () => createStarlingX({ node: NODE, warmUpMs: 0 })],
] as const)(
  '%s: old subscriptions stay beside the new ones until our callback is proven',
  async (_, create) => {
    const publisher = using(create())
    await publisher.listen()
    const consumer = await startConsumer()
    const target = { node: NODE, url: publisher.url, dialect: 'auto' } as const
    const worldWith = (secrets: readonly string[], kinds?: readonly string[]) =>
      createWorld({
        targets: [target],
        callbackUrl: consumer.url,
        secrets,
        ...(kinds !== undefined && { kinds }),
      })
    await worldWith([OLD]).reconciler.reconcile(target)
    const before = publisher.subscriptions()

    const rotated = worldWith([NEW, OLD])
    for (const proof of ['unreachable', 'wrong'] as const) {
      const kept = await rotated.reconciler.reconcile(target, { proof })
      expect(kept).toMatchObject({ problems: [], retryable: true, applied: { withheld: 7, removed: 0 } })
      expect(publisher.subscriptions()).toEqual(expect.arrayContaining([...before]))
    }
    const refused = await worldWith(['yet another one'], ['lock-state']).reconciler.reconcile(target, {
      proof: 'refused',
    })
    // Its pulls go on.
    expect(refused).toMatchObject({
      outcome: 'ok',
      applied: undefined,
      resources: [{ kind: 'lock-state' }],
    })
    expect(publisher.subscriptions()).toHaveLength(14)

    expect(await rotated.reconciler.reconcile(target, { proof: 'proven' })).toMatchObject({
      applied: { removed: 7 },
    })
    expect(publisher.subscriptions()).toHaveLength(7)
  },
)

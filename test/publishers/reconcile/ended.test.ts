import { once } from 'node:events'
import { createServer } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import { createRedHatV1, createRedHatV2 } from '#local/publishers/index.ts'
import type { Clock } from '#shared/time.ts'
import { startConsumer, using } from '../support/consumer.ts'
import { listen } from '../support/listen.ts'
import { createWorld } from '../support/world.ts'

const NODE = 'worker-0.site-a.example.com'
/** However slow the machine is, no time passes by it. */
const STILL: Clock = { now: () => Date.UTC(2026, 10, 23) }

/** A publisher whose one subscription is to be kept. */
async function started(create: typeof createRedHatV1 | typeof createRedHatV2, clock?: Clock) {
  const publisher = using(create({ node: NODE, release: '4.18', warmUpMs: 0 }))
  await publisher.listen()
  const target = { node: NODE, url: publisher.url, dialect: 'auto' } as const
  const { url: callbackUrl } = await startConsumer()
  const world = createWorld({
    targets: [target],
    callbackUrl,
    kinds: ['lock-state'],
    ...(clock && { clock }),
  })
  return { publisher, target, world }
}

/** One that held a subscription, and now takes requests and never answers. */
async function silent(clock?: Clock) {
  const { target, world } = await started(createRedHatV2, clock)
  await world.reconciler.reconcile(target)
  const server = createServer()
  const arrived = once(server, 'request')
  return { target: { ...target, url: await listen(server), dialect: 'red-hat-v2' } as const, world, arrived }
}

test.each(['reconcile', 'remove'] as const)(
  '%s: a run that is ended before the publisher can have answered says nothing of the publisher',
  async (run) => {
    const { target, world, arrived } = await silent(STILL)
    const before = await world.store.read(NODE)
    const end = new AbortController()

    const running = world.reconciler[run](target, { signal: end.signal, handOver: true })
    await arrived
    end.abort()
    const kept = await running

    expect(kept).toMatchObject({ outcome: 'failed' })
    expect(kept.closing).toBeUndefined()
    expect(await world.store.read(NODE)).toEqual(before)
    expect(world.lines.filter(({ message }) => message.startsWith('subscriptions '))).toEqual([])
  },
)

test('one that had its time is silent, though it was a short run that ended', async () => {
  const { target, world } = await silent()

  const kept = await world.reconciler.reconcile(target, { signal: AbortSignal.timeout(1_200) })

  expect(kept).toMatchObject({ outcome: 'failed' })
  expect((await world.store.read(NODE))?.publisher).toMatchObject({ reachable: false })
})

test('what was made before a run was ended is on record', async () => {
  const { publisher, target, world } = await started(createRedHatV1, STILL)
  await publisher.faults({ currentState: { all: 'hang' } })
  const end = new AbortController()
  const keeping = world.reconciler.reconcile(target, { signal: end.signal })
  await vi.waitFor(() => expect(publisher.subscriptions()).toHaveLength(1), { timeout: 30_000 })
  // The pull that shows the publisher's own name is under way, or about to be.
  await pause(100)
  end.abort()

  expect(await keeping).toMatchObject({ outcome: 'failed' })

  const state = await world.store.read(NODE)
  expect(state?.subscriptions.map(({ id }) => id)).toEqual(publisher.subscriptions().map(({ id }) => id))
  expect(state?.publisher).toBeUndefined()
})

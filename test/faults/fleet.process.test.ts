import { expect, test } from 'vitest'
import { clocksIn, redHatV1, redHatV2, starlingX, steady } from '../e2e/support/publishers.ts'
import { listening, startSystem } from '../e2e/support/system.ts'
import { entriesOf } from '../e2e/support/view.ts'
import { classChanges, proveTruth, startLife } from './support/life.ts'
import { heldIn } from './support/audit.ts'
import { redisStore, sinkOfTest } from './support/world.ts'

const HOUR_MS = 3_600_000

async function startFleet(env: Record<string, string> = {}) {
  const publishers = await listening(redHatV2('worker-0'), redHatV1('worker-1'), starlingX())
  for (const publisher of publishers) publisher.setClock(...clocksIn('LOCKED'))
  const sink = await sinkOfTest()
  const system = await startSystem(publishers, { HISTORY_PER_NODE: '1000', K_SINK: sink.url, ...env })
  for (const publisher of publishers) await steady(system, publisher)
  return { publishers, sink, system }
}

test('ingest and polls race on each node: the store ends with the truth, and calls nothing missed that came', async () => {
  // No push is under way for longer: publishers deliver one after another, and 20 changes a second would pile up on a
  // machine that has much else to do.
  const { publishers, sink, system } = await startFleet({ SETTLE_SECONDS: '6' })
  const life = startLife(publishers, { everyMs: 150 })
  for (let polls = 0; polls < 12; polls += 1) await system.tick()
  await life.more(20)
  await life.stop()
  await proveTruth(publishers, system, sink)
  // A pull of StarlingX does not say when it was taken, so what was under way meanwhile may seem to be missing.
  for (const publisher of publishers.filter(({ dialect }) => dialect !== 'starlingx-v2')) {
    expect(entriesOf(await system.node(publisher), 'missed'), publisher.node).toEqual([])
  }
})

test('publishers that come and go while their clocks flap: the store ends with the truth', async () => {
  const { publishers, sink, system } = await startFleet()
  const life = startLife(publishers)
  for (let times = 0; times < 4; times += 1) {
    await Promise.all(publishers.map((publisher) => publisher.restart({ downMs: 100, warmUpMs: 0 })))
    await system.tick()
    publishers[times % publishers.length]?.forget()
  }
  await system.tick()
  await life.more(10)
  await life.stop()
  await proveTruth(publishers, system, sink)
})

test('a publisher’s clock that is an hour ahead, and then set back: the store ends with the truth', async () => {
  const { publishers, sink, system } = await startFleet()
  const [v2, v1] = publishers
  const life = startLife(publishers)
  for (const publisher of [v2, v1]) await publisher.faults({ clockOffsetMs: HOUR_MS })
  await life.more(10)
  await system.tick()
  for (const publisher of [v2, v1]) await publisher.faults({ clockOffsetMs: 0 })
  await life.more(10)
  await system.tick()
  await life.more(10)
  await life.stop()
  await proveTruth(publishers, system, sink)
  for (const publisher of [v2, v1]) {
    expect((await system.node(publisher)).counters.clockSteps, publisher.node).toBeGreaterThan(0)
  }
})

test('Redis that is flushed: nothing is LOCKED without a reading, and the next poll brings everything back', async () => {
  const store = await redisStore()
  const { publishers, sink, system } = await startFleet(store.env)
  const nodes = publishers.map(({ node }) => node)
  const [lost] = publishers
  const life = startLife(publishers, { change: classChanges })
  await life.more(5)
  const before = await heldIn(system.env, nodes)
  lost.setClock({ kind: 'lock-state', state: 'FREERUN', offset: 4000, announce: 'never' })
  await store.server.cli(['FLUSHALL'])
  await life.more(5)
  // They are known again by what was pushed since, which says nothing of their clocks' lock.
  const between = await system.nodes()
  expect(between.map(({ overall }) => overall)).toEqual(between.map(() => 'UNKNOWN'))
  expect(between.length).toBeGreaterThan(0)

  await system.tick()
  const back = await system.nodes()
  expect(Object.fromEntries(back.map(({ node, overall }) => [node, overall]))).toEqual(
    Object.fromEntries(nodes.map((node) => [node, node === lost.node ? 'FREERUN' : 'LOCKED'])),
  )
  await life.stop()
  await proveTruth(publishers, system, sink, { counted: false })
  const after = await heldIn(system.env, nodes)
  for (const { node, incarnation } of before) {
    expect(after.find((one) => one.node === node)?.incarnation).not.toBe(incarnation)
  }
})

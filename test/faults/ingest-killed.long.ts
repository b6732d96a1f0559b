import { expect, test } from 'vitest'
import { NODES, openWorld, redisStore, sqliteStore } from './support/world.ts'

test.each([
  { name: 'SQLite', open: async () => sqliteStore() },
  { name: 'Redis', open: redisStore },
])('kill -9 of one ingest of four after the other over $name: nothing is lost', async ({ open }) => {
  const world = await openWorld(await open(), { processes: 4, everyMs: 100, clocks: 2 })
  for (const place of [0, 1, 2, 3]) {
    await world.killAndStart(place)
    await world.load.more(10 * NODES.length)
  }
  await world.prove()
  expect(world.load.sent.some(({ outcome }) => outcome !== 204)).toBe(true)
})

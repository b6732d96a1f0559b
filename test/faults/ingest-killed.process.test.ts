import { expect, test } from 'vitest'
import { NODES, openWorld, redisStore, sqliteStore } from './support/world.ts'

test.each([
  { name: 'SQLite', open: async () => sqliteStore() },
  { name: 'Redis', open: redisStore },
])('kill -9 of ingest over $name: all that it acknowledged is stored and sent', async ({ open }) => {
  const world = await openWorld(await open())
  await world.killAndStart()
  await world.load.more(5 * NODES.length)
  await world.killAndStart()
  await world.prove()
  // It was hit while it was at work.
  expect(world.load.sent.some(({ outcome }) => outcome === 'ECONNREFUSED')).toBe(true)
})

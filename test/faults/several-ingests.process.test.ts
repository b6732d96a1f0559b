import { expect, test } from 'vitest'
import { NODES, openWorld, redisStore, sqliteStore } from './support/world.ts'

test.each([
  { name: 'SQLite', open: async () => sqliteStore() },
  { name: 'Redis', open: redisStore },
])(
  'two ingests on one store ($name) share the notifications of each node, and lose none',
  async ({ open }) => {
    // Each clock's notifications go to both in turn, while others of its node are under way.
    const world = await openWorld(await open(), { processes: 2, everyMs: 40, clocks: 4 })
    await world.load.more(40 * NODES.length)
    await world.prove()
    expect(world.load.refused()).toEqual([])
  },
)

import { expect, test } from 'vitest'
import { NODES, openWorld, redisStore, sqliteStore } from './support/world.ts'

test.each([
  { processes: 2, name: 'SQLite', open: async () => sqliteStore() },
  { processes: 4, name: 'Redis', open: redisStore },
])(
  '$processes ingests on one store ($name) share the notifications of each node, and lose none',
  async (row) => {
    const { processes, open } = row
    // Each clock's notifications go to all of the processes in turn, while others of its node are under way.
    const world = await openWorld(await open(), { processes, everyMs: 40, clocks: 4 })
    await world.load.more(40 * NODES.length)
    await world.prove()
    expect(world.load.sent.filter(({ outcome }) => outcome !== 204)).toEqual([])
  },
)

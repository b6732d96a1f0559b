import { expect, test } from 'vitest'
import { NODES, openWorld, sqliteStore } from './support/world.ts'

test('two ingests on one store share the notifications of each node, and lose none', async () => {
  // Each clock's notifications go to both in turn, while others of its node are under way.
  const world = await openWorld(sqliteStore(), { processes: 2, everyMs: 40, clocks: 4 })
  await world.load.more(40 * NODES.length)
  await world.prove()
  expect(world.load.sent.filter(({ outcome }) => outcome !== 204)).toEqual([])
})

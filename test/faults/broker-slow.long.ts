import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { openWorld, sqliteStore } from './support/world.ts'

test('a Broker that takes 5 s for each event delays no answer, and gets everything', async () => {
  const world = await openWorld(sqliteStore(), { everyMs: 100 })
  world.sink.answer({ status: 202, afterMs: 5_000 })
  await pause(20_000)
  world.sink.answer(202)
  await world.prove()
  expect(world.load.refused()).toEqual([])
})

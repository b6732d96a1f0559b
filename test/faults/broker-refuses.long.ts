import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { openWorld, sqliteStore } from './support/world.ts'

test.each([
  { name: '500', answer: 500 },
  { name: '429', answer: { status: 429, headers: { 'retry-after': '3' } } },
])('a Broker that answers $name for 15 s delays no answer, and gets everything', async ({ answer }) => {
  const world = await openWorld(sqliteStore(), { everyMs: 100 })
  world.sink.answer(answer)
  await pause(15_000)
  world.sink.answer(202)
  await world.prove()
  expect(world.load.refused()).toEqual([])
})

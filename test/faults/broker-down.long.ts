import { setTimeout as pause } from 'node:timers/promises'
import { test } from 'vitest'
import { openWorld, sqliteStore } from './support/world.ts'

test('a Broker that is down for 30 s gets everything when it is back, though ingest is killed meanwhile', async () => {
  const world = await openWorld(sqliteStore(), { everyMs: 100 })
  await world.sink.down()
  await pause(15_000)
  await world.killAndStart()
  await pause(15_000)
  await world.sink.up()
  await world.prove()
})

import { setTimeout as pause } from 'node:timers/promises'
import { test } from 'vitest'
import { openWorld, redisStore } from './support/world.ts'

test('Redis that is killed and comes back after 20 s has all that was acknowledged, and what waited for it', async () => {
  const store = await redisStore()
  const world = await openWorld(store, { everyMs: 100 })
  await store.server.stop('SIGKILL')
  await pause(20_000)
  await store.server.start()
  await world.prove({ waited: 'buffered' })
})

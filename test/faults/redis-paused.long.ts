import { setTimeout as pause } from 'node:timers/promises'
import { test } from 'vitest'
import { openWorld, redisStore } from './support/world.ts'

test('Redis that is stopped for 20 s has all that was acknowledged, and what waited for it', async () => {
  const store = await redisStore()
  const world = await openWorld(store, { everyMs: 100 })
  store.server.signal('SIGSTOP')
  await pause(20_000)
  store.server.signal('SIGCONT')
  await world.prove({ waited: 'buffered' })
})

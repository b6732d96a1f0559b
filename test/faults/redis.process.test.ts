import { test } from 'vitest'
import { NODES, openWorld, redisStore } from './support/world.ts'

test('Redis that is killed and started again has all that was acknowledged, and what waited for it', async () => {
  const store = await redisStore()
  const world = await openWorld(store)
  await store.server.stop('SIGKILL')
  await world.load.more(2 * NODES.length, 503)
  await store.server.start()
  await world.prove({ waited: 'buffered' })
})

test('Redis that stops for a moment has all that was acknowledged, and what waited for it', async () => {
  const store = await redisStore()
  const world = await openWorld(store)
  store.server.signal('SIGSTOP')
  await world.load.more(2 * NODES.length, 503)
  store.server.signal('SIGCONT')
  await world.prove({ waited: 'buffered' })
})

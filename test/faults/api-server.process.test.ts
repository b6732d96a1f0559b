import { test } from 'vitest'
import { configMapStore, NODES, openWorld } from './support/world.ts'

test('an API server that is away for a moment: all that was acknowledged is stored, and what waited for it', async () => {
  const store = await configMapStore()
  const world = await openWorld(store)
  await store.api.away()
  await world.load.more(10 * NODES.length, 503)
  await store.api.back()
  await world.prove({ waited: 'buffered' })
})

import { setTimeout as pause } from 'node:timers/promises'
import { test } from 'vitest'
import { configMapStore, openWorld } from './support/world.ts'

test('an API server that is away for 30 s: all that was acknowledged is stored, and what waited for it', async () => {
  const store = await configMapStore()
  const world = await openWorld(store, { everyMs: 100 })
  await store.api.away()
  await pause(30_000)
  await store.api.back()
  await world.prove({ waited: 'buffered' })
})

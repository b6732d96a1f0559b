import { expect, test } from 'vitest'
import { createAnnouncer } from '#functions/condition/announce.ts'
import { createConditionMetrics } from '#functions/condition/metrics.ts'
import { createMetrics } from '#shared/metrics.ts'
import { openClient, startApi } from '../../kubernetes/api.ts'
import { openStore } from '../fleet.ts'
import { eventsOf } from './world.ts'

const MINUTE = 60_000

test('that a taint is withheld is told again before Kubernetes drops the Event, by however many instances', async () => {
  const api = await startApi()
  const client = await openClient({ kubeconfig: api.kubeconfig })
  const store = await openStore('memory:')
  const time = { now: Date.parse('2026-11-28T12:00:00Z') }
  const metrics = createConditionMetrics(createMetrics())
  const [one, two] = [0, 1].map(() =>
    createAnnouncer({ client, store, clock: { now: () => time.now }, metrics }),
  )
  const node = { name: 'a', uid: 'u', version: '1', conditions: [], taints: [] }
  const after = async (minutes: number) => {
    time.now += minutes * MINUTE
    for (const each of [one, two, one]) await each?.withheld(node, 'as many as may be')
    return eventsOf(api, 'a')
  }
  expect(await after(0)).toEqual({ PTPTaintWithheld: 1 })
  expect(await after(29)).toEqual({ PTPTaintWithheld: 1 })
  expect(await after(1)).toEqual({ PTPTaintWithheld: 2 })
  expect(api.events.all()).toMatchObject([
    { firstTimestamp: '2026-11-28T12:00:00Z', lastTimestamp: '2026-11-28T12:30:00Z' },
  ])
  for (const { metadata } of api.events.all()) api.events.remove('default', metadata.name)
  expect(await after(60)).toEqual({ PTPTaintWithheld: 1 })
  await store.close()
})

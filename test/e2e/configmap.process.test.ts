import { expect, test } from 'vitest'
import { createRedHatV2 } from '#local/publishers/index.ts'
import { startApi } from '../kubernetes/api.ts'
import type { KubernetesApi } from '../support/kubernetes-api.ts'
import { clocksIn, steady } from './support/publishers.ts'
import { eventually, listening, startSystem } from './support/system.ts'
import { clockOf, entriesOf } from './support/view.ts'

/** Each takes the API server away and gives the way to bring it back. */
const outages = [
  {
    name: 'away',
    async begin(api: KubernetesApi) {
      await api.away()
      return () => api.back()
    },
  },
  {
    name: 'silent',
    async begin(api: KubernetesApi) {
      const { promise, resolve } = Promise.withResolvers<void>()
      api.before(() => promise)
      return async () => resolve()
    },
  },
  {
    name: 'overloaded',
    async begin(api: KubernetesApi) {
      const reply = { code: 429, headers: { 'retry-after': '2' }, body: 'Too many requests' }
      api.refuseNext(Number.POSITIVE_INFINITY, reply)
      return async () => api.refuseNext(0, reply)
    },
  },
]

test.each(outages)('on ConfigMaps nothing is lost while the API server is $name', async ({ begin }) => {
  const api = await startApi()
  const [publisher] = await listening(
    createRedHatV2({ node: 'Node_1.example.com', release: '4.18', warmUpMs: 0 }),
  )
  publisher.setClock(...clocksIn('LOCKED'))
  const system = await startSystem([publisher], {
    STATE_URL: 'configmap://ptp-watch',
    KUBECONFIG: api.kubeconfig,
  })
  const lockState = async () => clockOf(await system.node(publisher), 'lock-state').state
  await steady(system, publisher)
  publisher.setClock({ kind: 'lock-state', state: 'HOLDOVER', offset: 9 })
  await publisher.idle()
  expect(await lockState()).toBe('HOLDOVER')

  const earlier = publisher.deliveries.length
  const end = await begin(api)
  publisher.setClock({ kind: 'lock-state', state: 'FREERUN', offset: 900 })
  await publisher.idle()
  const refused = publisher.deliveries.slice(earlier)
  expect(new Set(refused.map(({ outcome }) => outcome))).toEqual(new Set([503]))
  await end()
  await eventually(async () => expect(await lockState()).toBe('FREERUN'))
  const changes = entriesOf(await system.node(publisher), 'changed', 'lock-state')
  expect(changes.filter(({ via }) => via === 'push').map(({ to }) => to)).toEqual(['HOLDOVER', 'FREERUN'])
  expect(await system.run(['status'])).toMatchObject({
    code: 0,
    out: expect.stringContaining(publisher.node),
  })
})

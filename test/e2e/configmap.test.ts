import { expect, test } from 'vitest'
import { createRedHatV2 } from '#local/publishers/index.ts'
import { startApi } from '../kubernetes/api.ts'
import { clocksIn, steady } from './support/publishers.ts'
import { eventually, listening, startSystem } from './support/system.ts'
import { clockOf, entriesOf } from './support/view.ts'

test('the whole system works on ConfigMaps, and what came while the API server was away is there when it is back', async () => {
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
  await api.away()
  publisher.setClock({ kind: 'lock-state', state: 'FREERUN', offset: 900 })
  await publisher.idle()
  const refused = publisher.deliveries.slice(earlier)
  expect(new Set(refused.map(({ outcome }) => outcome))).toEqual(new Set([503]))
  await api.back()
  await eventually(async () => expect(await lockState()).toBe('FREERUN'))
  const changes = entriesOf(await system.node(publisher), 'changed', 'lock-state')
  expect(changes.filter(({ via }) => via === 'push').map(({ to }) => to)).toEqual(['HOLDOVER', 'FREERUN'])
  expect(await system.run(['status'])).toMatchObject({
    code: 0,
    out: expect.stringContaining(publisher.node),
  })
})

import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { createRedHatV2 } from '#local/publishers/index.ts'
import { clocksIn } from '../../e2e/support/publishers.ts'
import { listening, startSystem } from '../../e2e/support/system.ts'
import { startApi } from '../../kubernetes/api.ts'
import { NAMESPACE, serviceFor } from '../../publishers/discovery/world.ts'
import { examine } from './world.ts'

test('publishers that are discovered are examined too, and one that does not say its name is told of', async () => {
  const api = await startApi()
  const [well, starting] = await listening(
    createRedHatV2({ node: 'worker-0.site-a.example.com', release: 'main', warmUpMs: 0 }),
    createRedHatV2({ node: 'worker-1.site-a.example.com', release: 'main', warmUpMs: 3_600_000 }),
  )
  well.setClock(...clocksIn('FREERUN'))
  for (const { node, url } of [well, starting]) {
    api.services.put(NAMESPACE, serviceFor(node), { 'publisher-port': Number(new URL(url).port) })
  }
  const system = await startSystem([], {
    PUBLISHERS: `kubernetes://${NAMESPACE}`,
    KUBECONFIG: api.kubeconfig,
    NODE_OPTIONS: `--import=${fileURLToPath(new URL('../../support/cluster-dns.ts', import.meta.url))}`,
  })
  await system.tick()
  const { code, one } = await examine(system)
  expect(code).toBe(1)
  expect(one('publishers')).toMatchObject({
    asked: `PUBLISHERS=kubernetes://${NAMESPACE}`,
    came: '2 publishers',
  })
  expect(one('name', well)).toMatchObject({ asked: expect.stringContaining('.svc.'), came: '127.0.0.1' })
  for (const check of ['subscriptions', 'callback', 'events']) expect(one(check, well).result).toBe('ok')
  const unnamed = { node: serviceFor(starting.node) }
  expect(one('health', unnamed).result).toBe('ok')
  expect(one('addresses', unnamed)).toMatchObject({ result: 'failed', asked: 'the name of its node' })
  expect(one('subscriptions', unnamed).result).toBe('skipped')

  await api.close()
  const listless = await examine(system)
  expect(listless.code).toBe(1)
  expect(listless.one('publishers')).toMatchObject({
    result: 'failed',
    todo: expect.stringContaining(`list Services in ${NAMESPACE}`),
  })
  expect(listless.one('subscriptions', well).result).toBe('ok')
})

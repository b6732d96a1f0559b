import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { createRedHatV2 } from '#local/publishers/index.ts'
import { clocksIn } from '../../e2e/support/publishers.ts'
import { listening, startSystem } from '../../e2e/support/system.ts'
import { startApi } from '../../kubernetes/api.ts'
import { NAMESPACE, serviceFor } from '../../publishers/discovery/world.ts'
import { examine } from './world.ts'

test('labels that should come from Nodes: read, misspelt, of a node that is no Node, and not allowed', async () => {
  const api = await startApi()
  const [publisher] = await listening(createRedHatV2({ node: 'worker-0', release: 'main', warmUpMs: 0 }))
  const port = Number(new URL(publisher.url).port)
  api.services.put(NAMESPACE, serviceFor(publisher.node), { 'publisher-port': port })
  const system = await startSystem([], {
    PUBLISHERS: `kubernetes://${NAMESPACE}`,
    KUBECONFIG: api.kubeconfig,
    NODE_OPTIONS: `--import=${fileURLToPath(new URL('../../support/cluster-dns.ts', import.meta.url))}`,
  })
  const labels = async (label = 'zone') =>
    (await examine(system, { NODE_LABELS: `site=${label}` })).one('node-labels')
  expect(await labels()).toMatchObject({
    status: 'warning',
    result: 'the cluster has no Node worker-0',
    fix: expect.stringContaining('kubectl get nodes'),
  })
  api.nodes.add(publisher.node, { zone: 'hall-1' })
  expect(await labels()).toMatchObject({ status: 'ok', result: 'labels of 1 Node read' })
  expect(await labels('zones')).toMatchObject({
    status: 'warning',
    result: 'no Node of a publisher has a usable label zones',
    fix: expect.stringContaining('NODE_LABELS'),
  })
  api.permitted.clear()
  expect(await labels()).toMatchObject({
    status: 'warning',
    result: expect.stringMatching(/Cannot list nodes: .*\(403\)/),
    fix: expect.stringContaining('component node-labels'),
  })
  expect((await examine(system)).of('node-labels')).toEqual([])
})

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
    result: `2 publishers in namespace ${NAMESPACE}`,
  })
  expect(one('dns', well)).toMatchObject({ result: expect.stringMatching(/\.svc\..* is 127\.0\.0\.1$/) })
  for (const check of ['subscriptions', 'callback', 'events']) expect(one(check, well).status).toBe('ok')
  const unnamed = { node: serviceFor(starting.node) }
  expect(one('health', unnamed).status).toBe('ok')
  expect(one('addresses', unnamed)).toMatchObject({
    status: 'failed',
    result: expect.stringContaining('the name of its node is unknown'),
  })
  expect(one('subscriptions', unnamed).status).toBe('skipped')

  await api.close()
  const listless = await examine(system)
  expect(listless.code).toBe(1)
  expect(listless.one('publishers')).toMatchObject({
    status: 'failed',
    fix: expect.stringContaining(`list Services in ${NAMESPACE}`),
  })
  expect(listless.one('subscriptions', well).status).toBe('ok')
})

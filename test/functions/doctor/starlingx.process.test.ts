import { expect, test } from 'vitest'
import { createStarlingX, type StarlingX } from '#local/publishers/index.ts'
import { clocksIn } from '../../e2e/support/publishers.ts'
import { listening } from '../../e2e/support/system.ts'
import { postJson } from '../../local/endpoint.ts'
import { startConsumer } from '../../publishers/support/consumer.ts'
import { examine, startWatched } from './world.ts'

const LOCK = '/./controller-0/sync/ptp-status/lock-state'

async function startStarlingX(others = {}): Promise<StarlingX> {
  const publisher = createStarlingX({ node: 'controller-0', warmUpMs: 0, deliveryTimeoutMs: 30_000, others })
  await listening(publisher)
  publisher.setClock(...clocksIn('LOCKED'))
  return publisher
}

/** Somebody else subscribes; gives how to stop listening there. */
async function subscribeOther(publisher: StarlingX, address: string, endpoint?: string) {
  const url = endpoint ?? `${(await startConsumer()).url}/event/theirs/their-token`
  const body = { EndpointUri: url, ResourceAddress: address }
  const { status } = await postJson(`${publisher.url}/ocloudNotifications/v2/subscriptions`, body)
  expect(status).toBe(201)
  return url
}

/** Whether a change of the lock state reached ingest by itself. */
async function isPushed(publisher: StarlingX, system: Awaited<ReturnType<typeof startWatched>>) {
  publisher.setClock({ kind: 'lock-state', state: 'FREERUN' })
  await publisher.idle()
  const clock = (await system.node(publisher)).resources.find(({ kind }) => kind === 'lock-state')
  return clock?.state === 'FREERUN'
}

test('another consumer that is served before us is named, with what to do', async () => {
  const publisher = await startStarlingX()
  const url = await subscribeOther(publisher, LOCK)
  const system = await startWatched([publisher])
  expect(await isPushed(publisher, system)).toBe(false)

  const { code, one, findings } = await examine(system)
  expect(code).toBe(1)
  const found = one('subscriptions', publisher)
  expect(found.status).toBe('failed')
  expect(found.result).toContain(
    '7 of 7 subscriptions present, but another consumer is served before us: lock-state (',
  )
  expect(found.result).toContain(new URL(url).host)
  expect(found.fix).toContain('separate sidecar')
  expect(JSON.stringify(findings)).not.toContain('their-token')
})

test('a dead subscription before ours is found all the same, and that of all nodes or of this one', async () => {
  for (const address of ['/././sync/ptp-status/lock-state', '/./*/sync/ptp-status']) {
    const publisher = await startStarlingX()
    const consumer = await startConsumer()
    await subscribeOther(publisher, address, `${consumer.url}/gone`)
    consumer.answer(() => 500)
    const system = await startWatched([publisher])
    expect({ address, pushed: await isPushed(publisher, system) }).toEqual({ address, pushed: false })
    const { one } = await examine(system)
    expect(one('subscriptions', publisher)).toMatchObject({ status: 'failed' })
  }
})

test('beside one to /sync two are served: one before ours is to look at, two have failed', async () => {
  const publisher = await startStarlingX()
  await subscribeOther(publisher, '/./controller-0/sync')
  const system = await startWatched([publisher])
  expect(await isPushed(publisher, system)).toBe(true)
  expect((await examine(system)).one('subscriptions', publisher)).toMatchObject({
    status: 'warning',
    result: expect.stringContaining('another consumer is served before us'),
  })

  const crowded = await startStarlingX()
  await subscribeOther(crowded, '/./controller-0/sync')
  await subscribeOther(crowded, LOCK)
  const behind = await startWatched([crowded])
  expect(await isPushed(crowded, behind)).toBe(false)
  expect((await examine(behind)).one('subscriptions', crowded)).toMatchObject({
    status: 'failed',
    result: expect.stringMatching(/served before us: lock-state \(/),
  })
})

test('one that comes after ours is told of, for it gets no events', async () => {
  const publisher = await startStarlingX()
  const system = await startWatched([publisher])
  await subscribeOther(publisher, LOCK)
  expect(await isPushed(publisher, system)).toBe(true)
  const { code, one } = await examine(system)
  expect(code).toBe(0)
  expect(one('subscriptions', publisher)).toMatchObject({
    status: 'warning',
    result: expect.stringContaining('another consumer comes after us: lock-state'),
  })
})

test('neither another resource nor another node stands in our way, and ours of two nodes are no others', async () => {
  const publisher = await startStarlingX({ 'controller-1': {} })
  await subscribeOther(publisher, '/./controller-1/sync/ptp-status/lock-state')
  const entries = ['controller-0', 'controller-2'].map((node) => ({ node, url: publisher.url }))
  const system = await startWatched([publisher], { PUBLISHERS: JSON.stringify(entries) })
  const { one } = await examine(system, {}, ['--node', 'controller-0'])
  expect(one('subscriptions', publisher)).toMatchObject({
    status: 'ok',
    result: '7 of 7 subscriptions present; 1 foreign subscription left alone',
  })
})

test('a service that has just started is told from one whose clocks run free', async () => {
  const publisher = await startStarlingX()
  const system = await startWatched([publisher])
  await publisher.restart({ warmUpMs: Number.POSITIVE_INFINITY })
  const { code, one, of } = await examine(system)
  expect(code).toBe(1)
  for (const { status, result } of of('current-state', publisher)) {
    expect({ status, result }).toEqual({ status: 'failed', result: expect.stringContaining('start values') })
  }
  expect(one('callback', publisher)).toMatchObject({
    status: 'failed',
    result: expect.stringContaining('start values'),
  })
  publisher.becomeReady()
  await publisher.idle()
  expect((await examine(system)).code).toBe(0)
})

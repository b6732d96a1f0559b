import { expect, test } from 'vitest'
import type { Publisher } from '#local/publishers/index.ts'
import { postJson } from '../../local/endpoint.ts'
import { startConsumer } from '../../publishers/support/consumer.ts'
import { examine, startPublishers, startWatched } from './world.ts'

const V2 = '/api/ocloudNotifications/v2/subscriptions'
const lockOf = ({ node }: Publisher) => `/cluster/node/${node}/sync/ptp-status/lock-state`

test('subscriptions that are gone are missed by name, those of others counted, and none is made or removed', async () => {
  const publishers = await startPublishers()
  const [v2, v1, starlingX] = publishers
  const system = await startWatched(publishers)
  const other = await startConsumer()
  for (const publisher of [v2, starlingX, v1]) publisher.forget()
  const body = { EndpointUri: `${other.url}/theirs`, ResourceAddress: lockOf(v2) }
  expect((await postJson(`${v2.url}${V2}`, body)).status).toBe(201)
  const held = [v2, starlingX].map((publisher) => publisher.subscriptions())

  const { code, one, of } = await examine(system)
  expect(code).toBe(1)
  expect(one('subscriptions', v2)).toMatchObject({
    status: 'failed',
    fix: expect.stringContaining('subscribe'),
  })
  expect(one('subscriptions', v2).result).toMatch(
    /^0 of 7 subscriptions present, missing: lock-state .*synce-clock-quality; 1 foreign subscription left alone$/,
  )
  expect(one('subscriptions', starlingX).result).toMatch(/^0 of 7 subscriptions present, missing: /)
  // All the same they reach us.
  expect(one('callback', v2).status).toBe('ok')
  expect(one('callback', starlingX).status).toBe('ok')
  // Nobody is subscribed to these, so they cannot be asked for; the foreign one can.
  expect(of('current-state', v2).map(({ status }) => status)).toEqual(['ok', ...Array(6).fill('skipped')])
  // A v1 sidecar lists them still; its publisher knows of none.
  expect(one('subscriptions', v1)).toMatchObject({ status: 'ok', result: '5 of 5 subscriptions present' })
  const [lost] = of('current-state', v1)
  expect(lost).toMatchObject({
    status: 'failed',
    result: expect.stringContaining('client is not registered'),
  })
  expect([v2, starlingX].map((publisher) => publisher.subscriptions())).toEqual(held)

  expect((await system.run(['subscribe'])).code).toBe(0)
  expect((await examine(system)).code).toBe(0)
})

test('of a v1 sidecar without subscriptions it makes one of ours, and says so', async () => {
  const [, v1] = await startPublishers()
  const system = await startWatched([v1])
  await system.run(['subscribe', '--remove'])
  expect(v1.subscriptions()).toEqual([])
  const { one } = await examine(system)
  expect(one('subscriptions', v1)).toMatchObject({ status: 'failed' })
  expect(one('callback', v1)).toMatchObject({
    status: 'ok',
    result: expect.stringContaining('that created the missing subscription'),
  })
  expect(v1.subscriptions().map(({ resource }) => resource)).toEqual([lockOf(v1)])
})

test('a foreign subscription in our place at a v1 sidecar is named without its credentials, and left there', async () => {
  const [, v1] = await startPublishers()
  const other = await startConsumer()
  const endpointUri = `${other.url}/event/theirs/their-token`
  await v1.faults({ clear: true })
  const created = await postJson(`${v1.url}/api/ocloudNotifications/v1/subscriptions`, {
    endpointUri,
    resource: lockOf(v1),
  })
  expect(created.status).toBe(201)
  const system = await startWatched([v1])
  const { code, one, findings } = await examine(system)
  expect(code).toBe(1)
  expect(one('subscriptions', v1).result).toBe(
    '4 of 5 subscriptions present; 1 foreign subscription left alone',
  )
  expect(one('subscriptions', v1).fix).toContain(`${other.url}/event/theirs/***`)
  expect(JSON.stringify(findings)).not.toContain('their-token')
  expect(v1.subscriptions().filter(({ endpoint }) => endpoint === endpointUri)).toHaveLength(1)
})

test('what an interrupted run left behind is told, and taken away by the next poll, with none of ours', async () => {
  const [v2] = await startPublishers()
  const system = await startWatched([v2])
  const ours = v2.subscriptions()
  const EndpointUri = `${ours[0]?.endpoint}?doctor=interrupted`
  const body = { EndpointUri, ResourceAddress: lockOf(v2) }
  expect((await postJson(`${v2.url}${V2}`, body)).status).toBe(201)

  const { code, one } = await examine(system)
  expect(code).toBe(0)
  expect(one('subscriptions', v2)).toMatchObject({
    status: 'warning',
    result: '7 of 7 subscriptions present, and 1 unwanted of ours',
  })
  await system.tick()
  expect(v2.subscriptions()).toEqual(ours)
})

import { request } from 'undici'
import { describe, expect, test } from 'vitest'
import type { HeldSubscription, Publisher } from '#local/publishers/index.ts'
import { startConsumer } from '../publishers/support/consumer.ts'
import { clocksIn, NODE, redHatV1, redHatV2, starlingX } from './support/publishers.ts'
import { listening, startSystem } from './support/system.ts'

const BASES = {
  'red-hat-v1': '/api/ocloudNotifications/v1',
  'red-hat-v2': '/api/ocloudNotifications/v2',
  'starlingx-v2': '/ocloudNotifications/v2',
}

/** Another consumer subscribes. */
async function subscribe(publisher: Publisher, resource: string, endpoint: string): Promise<void> {
  const { dialect, url } = publisher
  const body =
    dialect === 'red-hat-v1'
      ? { resource, endpointUri: endpoint }
      : { ResourceAddress: resource, EndpointUri: endpoint }
  const answer = await request(`${url}${BASES[dialect]}/subscriptions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  await answer.body.dump()
  expect(answer.statusCode).toBe(201)
}

function heldBy(publisher: Publisher, consumer: string): HeldSubscription[] {
  return publisher.subscriptions().filter(({ endpoint }) => endpoint.startsWith(consumer))
}

describe('the subscriptions of another consumer at the same publisher', () => {
  test.each([
    {
      name: 'v2',
      create: redHatV2,
      theirs: ['ptp-status/lock-state', 'sync-status/os-clock-sync-state', 'sync-status/sync-state'].map(
        (name) => `/cluster/node/${NODE}/sync/${name}`,
      ),
    },
    {
      name: 'StarlingX',
      create: starlingX,
      theirs: ['/./controller-0/sync/ptp-status/lock-state', '/././sync/sync-status/sync-state'],
    },
  ])(
    '$name: are untouched by subscribe, poll and remove, and go on being served',
    async ({ create, theirs }) => {
      const [publisher] = await listening(create())
      publisher.setClock(...clocksIn('LOCKED'))
      const other = await startConsumer()
      for (const resource of theirs)
        await subscribe(publisher, resource, `${other.url}/event/${publisher.node}`)
      const before = publisher.subscriptions()
      const system = await startSystem([publisher])

      expect(await system.run(['subscribe'])).toMatchObject({ code: 0 })
      expect(heldBy(publisher, other.url)).toEqual(before)
      await system.tick()
      publisher.forget()
      for (const resource of theirs)
        await subscribe(publisher, resource, `${other.url}/event/${publisher.node}`)
      const again = publisher.subscriptions()
      await system.tick()
      expect(heldBy(publisher, other.url)).toEqual(again)
      expect(heldBy(publisher, system.ingest.url).length).toBeGreaterThan(0)

      expect(await system.run(['subscribe', '--remove'])).toMatchObject({ code: 0 })
      expect(publisher.subscriptions()).toEqual(again)
      expect((await system.node(publisher)).subscriptions).toEqual([])
      other.arrivals.length = 0
      publisher.setClock({ kind: 'lock-state', state: 'HOLDOVER', offset: 9 })
      await publisher.idle()
      expect(other.arrivals.filter(({ body }) => body.includes('HOLDOVER')).length).toBeGreaterThan(0)
    },
  )

  test('v1: one that stands where ours would is named and left alone; the others are ours', async () => {
    const [publisher] = await listening(redHatV1())
    publisher.setClock(...clocksIn('LOCKED'))
    const other = await startConsumer()
    const lock = `/cluster/node/${NODE}/sync/ptp-status/lock-state`
    await subscribe(publisher, lock, `${other.url}/event`)
    const theirs = publisher.subscriptions()
    const system = await startSystem([publisher])

    const subscribed = await system.run(['subscribe'])
    expect(subscribed.code).toBe(1)
    expect(`${subscribed.out}${subscribed.err}`).toContain(`${other.url}/event`)
    expect((await system.node(publisher)).publisher?.problem).toContain(`${other.url}/event`)
    expect(heldBy(publisher, other.url)).toEqual(theirs)
    expect(heldBy(publisher, system.ingest.url)).toHaveLength(4)

    await system.tick()
    expect(heldBy(publisher, other.url)).toEqual(theirs)
    await system.run(['subscribe', '--remove'])
    expect(publisher.subscriptions()).toEqual(theirs)
    publisher.setClock({ kind: 'lock-state', state: 'HOLDOVER', offset: 9 })
    await publisher.idle()
    expect(other.arrivals.filter(({ body }) => body.includes('HOLDOVER'))).toHaveLength(1)
  })
})

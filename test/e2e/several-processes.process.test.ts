import { request } from 'undici'
import { expect, test } from 'vitest'
import { clocksIn, redHatV1, redHatV2, starlingX } from './support/publishers.ts'
import { listening, serve, startSystem, tick } from './support/system.ts'
import { shownOf, truthOf } from './support/truth.ts'
import { clockOf, entriesOf } from './support/view.ts'

const NODE = 'worker-9.site-a.example.com'

test('two ingests over one store take in the events of one node: none is lost or counted twice', async () => {
  const targets = JSON.stringify([{ node: NODE, url: 'http://127.0.0.1:9' }])
  const system = await startSystem([], { PUBLISHERS: targets, CALLBACK_SECRET: '' })
  const second = await serve(['ingest'], system.env)
  const base = Date.now()
  const events = Array.from({ length: 300 }, (_, count) =>
    lockEvent(new Date(base + count).toISOString(), count === 299 ? 'HOLDOVER' : 'LOCKED'),
  )
  let next = 0
  const send = async (url: string): Promise<void> => {
    for (let event = events[next++]; event !== undefined; event = events[next++]) {
      const { statusCode, body } = await request(`${url}/event/${NODE}`, {
        method: 'POST',
        body: JSON.stringify(event),
      })
      await body.dump()
      expect(statusCode).toBe(204)
    }
  }
  await Promise.all([system.ingest, second].flatMap(({ url }) => Array.from({ length: 8 }, () => send(url))))

  // Counts of late events alone wait for a write to go with; the end of the process is the last one.
  await Promise.all([system.stopIngest(), second.stop()])
  const node = await system.node({ node: NODE })
  expect(node.counters).toMatchObject({ received: 300, duplicate: 0 })
  expect(clockOf(node, 'lock-state')).toMatchObject({
    state: 'HOLDOVER',
    since: new Date(base + 299).toISOString(),
  })
  expect(entriesOf(node, 'changed').map(({ to }) => to)).toEqual(['LOCKED', 'HOLDOVER'])
})

test('subscribe and two polls at the same moment leave one subscription for each resource', async () => {
  const publishers = await listening(redHatV2('worker-0'), redHatV1('worker-1'), starlingX())
  for (const publisher of publishers) publisher.setClock(...clocksIn('LOCKED'))
  const system = await startSystem(publishers)
  const second = await serve(['poll', '--serve'], system.env)

  await Promise.all([system.run(['subscribe']), tick(system.poll), tick(second)])
  // Whatever they did to each other, the next poll finds and mends.
  await system.tick()
  await system.tick()
  for (const publisher of publishers) {
    const resources = publisher.subscriptions().map(({ resource }) => resource)
    expect(new Set(resources).size).toBe(resources.length)
    const node = await system.node(publisher)
    expect(node.subscriptions.map(({ id }) => id).toSorted()).toEqual(
      publisher
        .subscriptions()
        .map(({ id }) => id)
        .toSorted(),
    )
    expect(node.overall).toBe('LOCKED')
    expect(shownOf(node)).toEqual(truthOf(publisher))
    expect(node.log?.filter(({ type }) => type === 'missed')).toEqual([])
  }
})

function lockEvent(time: string, value: string): object {
  return {
    specversion: '1.0',
    id: time,
    source: '/sync/ptp-status/lock-state',
    type: 'event.sync.ptp-status.ptp-state-change',
    time,
    data: {
      version: '1.0',
      values: [
        {
          ResourceAddress: `/cluster/node/${NODE}/ens5fx/master`,
          data_type: 'notification',
          value_type: 'enumeration',
          value,
        },
      ],
    },
  }
}

import { request } from 'undici'
import { expect, test } from 'vitest'
import type { Publisher } from '#local/publishers/index.ts'
import { acceptedTimes, clocksIn, forEach, oneOfEach, steady } from './support/publishers.ts'
import { listening, SECRET, startSystem } from './support/system.ts'
import { clockOf } from './support/view.ts'

const NEW = 'the secret that comes after it'

/** The one endpoint that all our subscriptions have. */
function endpointOf(publisher: Publisher): string {
  const [endpoint = '', ...others] = new Set(publisher.subscriptions().map((held) => held.endpoint))
  expect(others).toEqual([])
  return endpoint
}

async function post(url: string): Promise<number> {
  const { statusCode, body } = await request(url, { method: 'POST' })
  await body.dump()
  return statusCode
}

test('the callback secret changes hands without an event lost', async () => {
  const publishers = await listening(...oneOfEach())
  const [, v1] = publishers
  for (const publisher of publishers) publisher.setClock(...clocksIn('LOCKED'))
  const system = await startSystem(publishers)
  for (const publisher of publishers) await steady(system, publisher)
  // A poll posts again what a v1 sidecar has.
  await system.tick()
  const old = publishers.map(endpointOf)
  const lockOf = async (publisher: Publisher) => clockOf(await system.node(publisher), 'lock-state')
  const push = (state: 'HOLDOVER' | 'FREERUN' | 'LOCKED') =>
    forEach(publishers, async (publisher) => {
      publisher.setClock({ kind: 'lock-state', state, offset: 9 })
      await publisher.idle()
      expect(await lockOf(publisher)).toMatchObject({ state, via: 'push' })
    })

  // ingest learns the new secret first: what is subscribed with the old one still comes in.
  await system.stopIngest()
  const both = { CALLBACK_SECRET: `${NEW},${SECRET}` }
  await system.startIngest(both)
  await push('HOLDOVER')

  // What polls have posted again stays in the sidecar's memory: it says so, and what cures it.
  const stuck = await system.run(['subscribe'], { ...both, SUBSCRIBE_DEADLINE_SECONDS: '1' })
  expect(stuck.code).toBe(1)
  expect(stuck.err).toContain('restart the sidecar')
  for (const endpoint of old) expect(await post(endpoint)).toBe(204)
  await v1.restart({ part: 'sidecar' })

  expect(await system.run(['subscribe'], both)).toMatchObject({ code: 0 })
  for (const [i, publisher] of publishers.entries()) {
    expect(endpointOf(publisher)).not.toBe(old[i])
    expect(await post(old[i] ?? '')).toBe(204)
  }
  await push('FREERUN')

  await system.stopIngest()
  await system.startIngest({ CALLBACK_SECRET: NEW })
  for (const endpoint of old) expect(await post(endpoint)).toBe(403)
  await push('LOCKED')
  await forEach(publishers, async (publisher) => {
    const node = await system.node(publisher)
    // The v1 sidecar forgot when it restarted.
    const amiss = publisher === v1 ? ['missed'] : ['missed', 'restored']
    expect(node.log?.filter(({ type }) => amiss.includes(type))).toEqual([])
    expect(node.subscriptions).toHaveLength(publisher.subscriptions().length)
    // Each of the three came in once, whichever token was in its path.
    for (const word of ['HOLDOVER', 'FREERUN', 'LOCKED']) {
      expect(acceptedTimes(publisher, 'ptp-status/lock-state', word)).toHaveLength(1)
    }
    expect(publisher.deliveries.filter(({ outcome }) => outcome !== 204)).toEqual([])
  })
})

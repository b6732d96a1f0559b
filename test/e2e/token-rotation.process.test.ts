import { request } from 'undici'
import { expect, test } from 'vitest'
import type { Publisher } from '#local/publishers/index.ts'
import { acceptedTimes, clocksIn, everyDialect, steady } from './support/publishers.ts'
import { listening, SECRET, startSystem } from './support/system.ts'
import { clockOf } from './support/view.ts'

const NEW = 'the secret that comes after it'

function endpointsOf(publisher: Publisher): string[] {
  return [...new Set(publisher.subscriptions().map(({ endpoint }) => endpoint))]
}

async function post(url: string): Promise<number> {
  const { statusCode, body } = await request(url, { method: 'POST' })
  await body.dump()
  return statusCode
}

test.each(everyDialect)(
  '$name: the callback secret changes hands without an event lost',
  async ({ create }) => {
    const [publisher] = await listening(create())
    publisher.setClock(...clocksIn('LOCKED'))
    const system = await startSystem([publisher])
    await steady(system, publisher)
    // A poll posts again what a v1 sidecar has.
    await system.tick()
    const [old = '', ...others] = endpointsOf(publisher)
    expect(others).toEqual([])

    // ingest learns the new secret first: what is subscribed with the old one still comes in.
    await system.stopIngest()
    const both = { CALLBACK_SECRET: `${NEW},${SECRET}` }
    await system.startIngest(both)
    publisher.setClock({ kind: 'lock-state', state: 'HOLDOVER', offset: 9 })
    await publisher.idle()
    expect(clockOf(await system.node(publisher), 'lock-state').state).toBe('HOLDOVER')

    if (publisher.dialect === 'red-hat-v1') {
      // What polls have posted again stays in the sidecar's memory: it says so, and what cures it.
      const stuck = await system.run(['subscribe'], { ...both, SUBSCRIBE_DEADLINE_SECONDS: '1' })
      expect(stuck.code).toBe(1)
      expect(stuck.err).toContain('restart the sidecar')
      expect(await post(old)).toBe(204)
      await publisher.restart({ part: 'sidecar' })
    }
    expect(await system.run(['subscribe'], both)).toMatchObject({ code: 0 })
    const [replaced = '', ...more] = endpointsOf(publisher)
    expect(more).toEqual([])
    expect(replaced).not.toBe(old)
    expect(await post(old)).toBe(204)
    publisher.setClock({ kind: 'lock-state', state: 'FREERUN', offset: 900 })
    await publisher.idle()
    expect(clockOf(await system.node(publisher), 'lock-state').state).toBe('FREERUN')

    await system.stopIngest()
    await system.startIngest({ CALLBACK_SECRET: NEW })
    expect(await post(old)).toBe(403)
    publisher.setClock({ kind: 'lock-state', state: 'LOCKED', offset: 2 })
    await publisher.idle()
    const node = await system.node(publisher)
    expect(clockOf(node, 'lock-state')).toMatchObject({ state: 'LOCKED', via: 'push' })
    // The v1 sidecar forgot when it restarted.
    const amiss = publisher.dialect === 'red-hat-v1' ? ['missed'] : ['missed', 'restored']
    expect(node.log?.filter(({ type }) => amiss.includes(type))).toEqual([])
    expect(node.subscriptions).toHaveLength(publisher.subscriptions().length)
    // Each of the three came in once, whichever token was in its path.
    for (const word of ['HOLDOVER', 'FREERUN', 'LOCKED']) {
      expect(acceptedTimes(publisher, 'ptp-status/lock-state', word)).toHaveLength(1)
    }
    expect(publisher.deliveries.filter(({ outcome }) => outcome !== 204)).toEqual([])
  },
)

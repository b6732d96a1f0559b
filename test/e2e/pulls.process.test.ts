import { expect, test } from 'vitest'
import { acceptedTimes, clocksIn, redHatV1, redHatV2, steady } from './support/publishers.ts'
import { listening, startSystem } from './support/system.ts'
import { clockOf, entriesOf } from './support/view.ts'

const redHat = [
  { name: 'v2', create: redHatV2 },
  { name: 'v1', create: redHatV1 },
]

test.each(redHat)(
  '$name: a worse state that only a pull shows counts at once, a better one not while pushes may be under way',
  async ({ create }) => {
    const [publisher] = await listening(create())
    publisher.setClock(...clocksIn('LOCKED'))
    const system = await startSystem([publisher], { SETTLE_SECONDS: '60' })
    await steady(system, publisher)
    publisher.setClock({ kind: 'lock-state', state: 'HOLDOVER', offset: 40 })
    publisher.setClock({ kind: 'lock-state', state: 'LOCKED', offset: 2 })
    await publisher.idle()

    publisher.setClock({ kind: 'lock-state', state: 'FREERUN', offset: 4000, announce: 'never' })
    await system.tick()
    const worse = await system.node(publisher)
    expect(worse.overall).toBe('FREERUN')
    expect(clockOf(worse, 'lock-state')).toMatchObject({ state: 'FREERUN', via: 'poll', since: null })

    publisher.setClock({ kind: 'lock-state', state: 'HOLDOVER', offset: 30, announce: 'never' })
    await system.tick()
    await system.tick()
    expect((await system.node(publisher)).overall).toBe('FREERUN')

    publisher.setClock({ kind: 'lock-state', state: 'HOLDOVER', offset: 30, announce: 'always' })
    await publisher.idle()
    const pushed = await system.node(publisher)
    expect(clockOf(pushed, 'lock-state')).toMatchObject({
      state: 'HOLDOVER',
      via: 'push',
      since: acceptedTimes(publisher, 'lock-state', 'HOLDOVER').at(-1),
    })
    expect(pushed.overall).toBe('HOLDOVER')
  },
)

test.each(redHat)(
  '$name: a push that comes after the poll that showed its transition gives it its time, and nothing is missed',
  async ({ create }) => {
    const [publisher] = await listening(create())
    publisher.setClock(...clocksIn('LOCKED'))
    const system = await startSystem([publisher], { SETTLE_SECONDS: '60' })
    await steady(system, publisher)

    // It waits for the event after it.
    await publisher.faults({ reorder: 1 })
    publisher.setClock({ kind: 'clock-class', clockClass: 135 })
    await publisher.idle()
    await system.tick()
    const pulled = await system.node(publisher)
    expect(acceptedTimes(publisher, 'clock-class', '135')).toEqual([])
    expect(clockOf(pulled, 'clock-class')).toMatchObject({
      metrics: { clockClass: '135' },
      since: null,
      via: 'poll',
    })

    publisher.setClock({ kind: 'gnss-sync-status', state: 'SYNCHRONIZED', gpsFix: 3 })
    await publisher.idle()
    const [at] = acceptedTimes(publisher, 'clock-class', '135')
    expect(at).toBeDefined()
    const dated = await system.node(publisher)
    expect(clockOf(dated, 'clock-class')).toMatchObject({ metrics: { clockClass: '135' }, since: at })
    expect(entriesOf(dated, 'delayed')).toEqual([
      expect.objectContaining({ kind: 'clock-class', from: '6', to: '135', at, via: 'push' }),
    ])

    await system.tick()
    expect((await system.node(publisher)).counters).toMatchObject({ missed: 0, clockSteps: 0 })
  },
)

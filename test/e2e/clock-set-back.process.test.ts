import { expect, test } from 'vitest'
import { acceptedTimes, clocksIn, redHatV1, redHatV2, starlingX, steady } from './support/publishers.ts'
import { eventually, listening, startSystem } from './support/system.ts'
import { clockOf, entriesOf } from './support/view.ts'

const HOUR_MS = 3_600_000

test.each([
  { name: 'v2', create: redHatV2 },
  { name: 'v1', create: redHatV1 },
])(
  '$name: a FREERUN of a clock that was set back an hour is shown at once, and order starts anew',
  async ({ create }) => {
    const [publisher] = await listening(create())
    publisher.setClock(...clocksIn('LOCKED'))
    const system = await startSystem([publisher])
    await steady(system, publisher)
    publisher.setClock({ kind: 'lock-state', state: 'HOLDOVER', offset: 40 })
    publisher.setClock({ kind: 'lock-state', state: 'LOCKED', offset: 2 })
    await publisher.idle()

    await publisher.faults({ clockOffsetMs: -HOUR_MS })
    publisher.setClock({ kind: 'lock-state', state: 'FREERUN', offset: 4000 })
    await publisher.idle()
    const pushed = await system.node(publisher)
    expect(pushed.overall).toBe('FREERUN')
    expect(clockOf(pushed, 'lock-state')).toMatchObject({
      state: 'FREERUN',
      via: 'push',
      since: acceptedTimes(publisher, 'lock-state', 'FREERUN').at(-1),
    })

    await eventually(async () => {
      await system.tick()
      expect((await system.node(publisher)).counters.clockSteps).toBeGreaterThan(0)
    })
    expect((await system.node(publisher)).overall).toBe('FREERUN')

    publisher.setClock({ kind: 'lock-state', state: 'LOCKED', offset: 2 })
    await publisher.idle()
    const recovered = await system.node(publisher)
    expect(recovered.overall).toBe('LOCKED')
    expect(clockOf(recovered, 'lock-state')).toMatchObject({
      via: 'push',
      since: acceptedTimes(publisher, 'lock-state', 'LOCKED').at(-1),
    })

    const after = await steady(system, publisher)
    expect(after.overall).toBe('LOCKED')
    expect(entriesOf(after, 'missed', 'lock-state')).toEqual([])
  },
)

test('v2: a clock that was set back and recovers before the next poll is LOCKED by that poll', async () => {
  const [publisher] = await listening(redHatV2())
  publisher.setClock(...clocksIn('LOCKED'))
  const system = await startSystem([publisher])
  await steady(system, publisher)
  publisher.setClock({ kind: 'lock-state', state: 'HOLDOVER', offset: 40 })
  publisher.setClock({ kind: 'lock-state', state: 'LOCKED', offset: 2 })
  await publisher.idle()

  await publisher.faults({ clockOffsetMs: -HOUR_MS })
  publisher.setClock({ kind: 'lock-state', state: 'FREERUN', offset: 4000 })
  publisher.setClock({ kind: 'lock-state', state: 'LOCKED', offset: 2 })
  await publisher.idle()
  expect((await system.node(publisher)).overall).toBe('FREERUN')

  await eventually(async () => {
    await system.tick()
    expect((await system.node(publisher)).overall).toBe('LOCKED')
  })
})

test('StarlingX: a sidecar whose clock was set back pushes nothing, and polls find what happens', async () => {
  const [publisher] = await listening(starlingX())
  publisher.setClock(...clocksIn('LOCKED'))
  const system = await startSystem([publisher])
  await steady(system, publisher)
  publisher.setClock({ kind: 'lock-state', state: 'HOLDOVER' }, { kind: 'lock-state', state: 'LOCKED' })
  await publisher.idle()

  await publisher.faults({ clockOffsetMs: -HOUR_MS })
  publisher.setClock({ kind: 'lock-state', state: 'FREERUN' })
  await publisher.idle()
  await system.tick()
  expect((await system.node(publisher)).overall).toBe('FREERUN')

  publisher.setClock({ kind: 'lock-state', state: 'LOCKED' })
  await eventually(async () => {
    await system.tick()
    expect((await system.node(publisher)).overall).toBe('LOCKED')
  })
})

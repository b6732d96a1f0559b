import { expect, test } from 'vitest'
import { request } from 'undici'
import type { Publisher } from '#local/publishers/index.ts'
import {
  acceptedTimes,
  clocksIn,
  forEach,
  oneOfEach,
  publishersClock,
  redHatV1,
  redHatV2,
  steady,
} from './support/publishers.ts'
import { eventually, listening, type Service, startSystem, type System } from './support/system.ts'
import { clockOf, type Entry, entriesOf, nanoseconds, type View } from './support/view.ts'

async function started(publisher: Publisher): Promise<System> {
  await listening(publisher)
  publisher.setClock(...clocksIn('LOCKED'))
  return startSystem([publisher])
}

type Bounds = { readonly from: bigint; readonly to: bigint }

/** The bounds of a missed transition, as nanoseconds. */
function boundsOf({ notBefore = '', notAfter = '' }: Pick<Entry, 'notBefore' | 'notAfter'>): Bounds {
  return { from: nanoseconds(notBefore), to: nanoseconds(notAfter) }
}

/** The publisher tells nobody of this change; gives the time in which it fell. */
function unheard(publisher: Publisher): Bounds {
  const from = publishersClock()
  publisher.setClock({ kind: 'lock-state', state: 'FREERUN', offset: 4000 })
  return { from, to: publishersClock() }
}

test('subscriptions that were forgotten are back after the next poll, and what fell into the gap is missed', async () => {
  const publishers = await listening(...oneOfEach())
  for (const publisher of publishers) publisher.setClock(...clocksIn('LOCKED'))
  const system = await startSystem(publishers)
  const before = new Map<Publisher, View>()
  for (const publisher of publishers) before.set(publisher, await steady(system, publisher))
  const truth = new Map<Publisher, Bounds>()
  for (const publisher of publishers) {
    publisher.forget()
    truth.set(publisher, unheard(publisher))
    await publisher.idle()
  }

  await system.tick()
  await forEach(publishers, async (publisher) => {
    const repaired = await system.node(publisher)
    const kinds = before.get(publisher)?.subscriptions.map(({ kind }) => kind) ?? []
    expect(clockOf(repaired, 'lock-state')).toMatchObject({ state: 'FREERUN', since: null })
    expect(repaired.overall).toBe('FREERUN')
    expect(repaired.subscriptions.map(({ kind }) => kind).toSorted()).toEqual(kinds.toSorted())
    const held = publisher.subscriptions().map(({ id }) => id)
    expect(held.toSorted()).toEqual(repaired.subscriptions.map(({ id }) => id).toSorted())
    // A sidecar keeps its own list: what its publisher forgot has no gap that a consumer could see.
    const lost = publisher.dialect === 'red-hat-v1' ? [] : kinds
    const restored = entriesOf(repaired, 'restored').map(({ kind }) => kind)
    expect(restored.toSorted()).toEqual(lost.toSorted())
  })

  const concluded = await eventually(async () => {
    await system.tick()
    const nodes = await Promise.all(publishers.map((publisher) => system.node(publisher)))
    for (const { counters } of nodes) expect(counters.missed).toBe(1)
    return nodes
  })
  for (const [i, publisher] of publishers.entries()) {
    const node = concluded[i]
    const { from, to } = truth.get(publisher) ?? unheard(publisher)
    const [missed, ...more] = node === undefined ? [] : entriesOf(node, 'missed')
    expect(more).toEqual([])
    expect(missed).toMatchObject({ kind: 'lock-state', from: 'LOCKED', to: 'FREERUN', overall: 'FREERUN' })
    const bounds = boundsOf(missed ?? {})
    expect(bounds.from).toBeLessThanOrEqual(from)
    expect(bounds.to).toBeGreaterThanOrEqual(to)
  }

  await forEach(publishers, async (publisher) => {
    publisher.setClock(...clocksIn('LOCKED'))
    await eventually(async () => {
      expect(clockOf(await system.node(publisher), 'lock-state')).toMatchObject({
        state: 'LOCKED',
        via: 'push',
      })
    })
  })
})

test('v2: a publisher drops us after ten failures while ingest is down, and is repaired when it is back', async () => {
  const publisher = redHatV2()
  const system = await started(publisher)
  await steady(system, publisher)

  expect(await system.stopIngest()).toBe(0)
  for (let count = 0; count < 10; count += 1)
    publisher.setClock({ kind: 'clock-class', clockClass: 100 + count })
  await publisher.idle()
  expect(publisher.subscriptions()).toEqual([])
  const truth = unheard(publisher)

  await system.tick()
  expect((await system.node(publisher)).publisher?.problem).toContain('get 204 from it in time')
  expect(publisher.subscriptions()).toEqual([])

  await system.startIngest()
  await system.tick()
  const repaired = await system.node(publisher)
  expect(repaired.publisher?.problem).toBeUndefined()
  expect(publisher.subscriptions()).toHaveLength(repaired.subscriptions.length)
  expect(entriesOf(repaired, 'restored')).toHaveLength(repaired.subscriptions.length)
  expect(repaired.overall).toBe('FREERUN')

  const concluded = await eventually(async () => {
    await system.tick()
    const node = await system.node(publisher)
    expect(
      entriesOf(node, 'missed')
        .map(({ kind, to }) => `${kind} ${to}`)
        .toSorted(),
    ).toEqual(['clock-class 109', 'lock-state FREERUN'])
    return node
  })
  const [missed] = entriesOf(concluded, 'missed', 'lock-state')
  if (missed === undefined) return
  expect(boundsOf(missed).from).toBeLessThanOrEqual(truth.from)
  expect(boundsOf(missed).to).toBeGreaterThanOrEqual(truth.to)
})

test('v2: a restarted publisher warms up without a flap, and has kept our subscriptions', async () => {
  const publisher = redHatV2()
  const system = await started(publisher)
  const before = await steady(system, publisher)
  const held = publisher.subscriptions()

  await publisher.restart({ warmUpMs: Number.POSITIVE_INFINITY })
  await system.tick()
  await system.tick()
  const warming = await system.node(publisher)
  expect(warming).toMatchObject({ overall: 'LOCKED', counters: { missed: 0 } })
  expect(warming.log).toEqual(before.log)
  expect(publisher.subscriptions()).toEqual(held)

  publisher.becomeReady()
  await publisher.idle()
  publisher.setClock({ kind: 'lock-state', state: 'HOLDOVER', offset: 9 })
  await publisher.idle()
  await system.tick()
  const after = await system.node(publisher)
  expect(clockOf(after, 'lock-state')).toMatchObject({ state: 'HOLDOVER', via: 'push' })
  expect(entriesOf(after, 'restored')).toEqual([])
  expect(after.counters.missed).toBe(0)
  expect(publisher.subscriptions()).toEqual(held)
})

test('v1: a stuck sidecar is found out by a poll and unstuck, and its events flow again', async () => {
  const publisher = redHatV1()
  const system = await started(publisher)
  await steady(system, publisher)
  for (const clockClass of [13, 6]) {
    publisher.setClock({ kind: 'clock-class', clockClass })
    await publisher.idle()
  }

  await publisher.faults({ stuck: true })
  // Each event lets go of the one before it: the last one, of the class, stays behind.
  publisher.setClock(
    { kind: 'lock-state', state: 'HOLDOVER', offset: 9 },
    { kind: 'clock-class', clockClass: 7 },
  )
  await eventually(async () => {
    await system.tick()
    expect(publisher.describe().faults).toMatchObject({ stuck: false })
  })
  await publisher.idle()
  const told = (await system.node(publisher)).log?.filter(({ to }) => to === '7')
  expect(told).toEqual([
    expect.objectContaining({ type: 'changed', via: 'poll' }),
    expect.objectContaining({ type: 'missed' }),
  ])
  expect(await metric(system.poll, 'ptp_watch_sidecar_unsticks_total{outcome="ok"}')).toBe(1)
  expect(system.poll.running.err()).toMatch(/flushed stuck sidecar.*"outcome":"ok"/)

  publisher.setClock({ kind: 'lock-state', state: 'LOCKED', offset: 1 })
  await publisher.idle()
  const cured = await system.node(publisher)
  expect(clockOf(cured, 'lock-state')).toMatchObject({
    state: 'LOCKED',
    via: 'push',
    since: acceptedTimes(publisher, 'lock-state', 'LOCKED').at(-1),
  })
})

test('v1: a sidecar that is stuck before its first push is unstuck once something is missed', async () => {
  const publisher = redHatV1()
  publisher.setClock({ kind: 'clock-class', clockClass: 6 })
  const system = await started(publisher)
  await system.tick()
  await publisher.faults({ stuck: true })
  publisher.setClock({ kind: 'clock-class', clockClass: 7 })
  await publisher.idle()
  await eventually(async () => {
    await system.tick()
    expect(publisher.describe().faults).toMatchObject({ stuck: false })
  })
})

test.each([
  { by: 'an hour', clockOffsetMs: -3_600_000, atOnce: 'FREERUN' },
  // Too little for the push to be told from one that is merely late.
  { by: 'half a minute', clockOffsetMs: -30_000, atOnce: 'UNKNOWN' },
])('v1: a clock set back by $by never hides a FREERUN, and is in order again after a poll', async (row) => {
  const publisher = redHatV1()
  const system = await started(publisher)
  await steady(system, publisher)
  publisher.setClock({ kind: 'lock-state', state: 'HOLDOVER', offset: 9 })
  publisher.setClock({ kind: 'lock-state', state: 'LOCKED', offset: 1 })
  await publisher.idle()
  await eventually(async () => expect((await system.node(publisher)).overall).toBe('LOCKED'))
  // What arrives within SETTLE_SECONDS of the newer push is not suspect yet.
  await eventually(async () => {
    const [newest] = acceptedTimes(publisher, 'lock-state', 'LOCKED').slice(-1)
    expect(publishersClock() - nanoseconds(newest ?? '')).toBeGreaterThan(500_000_000n)
  })

  await publisher.faults({ clockOffsetMs: row.clockOffsetMs })
  publisher.setClock({ kind: 'lock-state', state: 'FREERUN', offset: 4000 })
  await publisher.idle()
  expect((await system.node(publisher)).overall).toBe(row.atOnce)
  await system.tick()
  expect(await system.node(publisher)).toMatchObject({ overall: 'FREERUN', counters: { clockSteps: 1 } })

  publisher.setClock({ kind: 'lock-state', state: 'LOCKED', offset: 1 })
  await publisher.idle()
  const back = await system.node(publisher)
  expect(back.overall).toBe('LOCKED')
  expect(clockOf(back, 'lock-state')).toMatchObject({
    via: 'push',
    since: acceptedTimes(publisher, 'lock-state', 'LOCKED').at(-1),
  })
})

async function metric({ url }: Service, name: string): Promise<number | undefined> {
  const { body } = await request(`${url}/metrics`)
  const line = (await body.text()).split('\n').find((text) => text.startsWith(`${name} `))
  return line === undefined ? undefined : Number(line.slice(name.length))
}

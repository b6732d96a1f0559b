import { describe, expect, test } from 'vitest'
import { createStarlingX, type StarlingXOptions } from '#local/publishers/index.ts'
import type { Http } from '#shared/http/client.ts'
import { createStarlingX as createClient } from '#shared/publishers/dialects/starlingx.ts'
import { placeOf } from '#shared/publishers/target.ts'
import { startConsumer, using } from '../support/consumer.ts'
import { startHttp } from '../support/world.ts'

const NODE = 'controller-0'
const KINDS = {
  'lock-state': 'ptp-status/lock-state',
  'os-clock-sync-state': 'sync-status/os-clock-sync-state',
  'clock-class': 'ptp-status/clock-class',
  'gnss-sync-status': 'gnss-status/gnss-sync-status',
  'sync-state': 'sync-status/sync-state',
  'synce-lock-state': 'synce-status/lock-state',
  'synce-clock-quality': 'synce-status/clock-quality',
}
const addressOf = (path: string) => `/./${NODE}/sync/${path}`

/** A service that starts; `onAnswer` is called after each answer that our client got. */
async function starting(options: Partial<StarlingXOptions> = {}, onAnswer: () => void = () => {}) {
  const publisher = using(createStarlingX({ node: NODE, warmUpMs: Number.POSITIVE_INFINITY, ...options }))
  await publisher.listen()
  const http = startHttp()
  const watched: Http = {
    ...http,
    async request(...asked) {
      const answer = await http.request(...asked)
      onAnswer()
      return answer
    },
  }
  return { publisher, client: createClient(watched, placeOf(publisher.url), NODE) }
}

describe.each(['standard', 'legacy'] as const)(
  'while the service starts, %s format',
  (notificationFormat) => {
    test.each(Object.entries(KINDS))('what it gives of %s is no reading', async (_, path) => {
      const { client } = await starting({ notificationFormat })
      expect(await client.currentState(addressOf(path))).toMatchObject({
        outcome: 'none',
        cause: 'not-ready',
        reason: expect.stringContaining('start values'),
      })
    })

    test('nothing is subscribed to, since the start values would be posted', async () => {
      const { client, publisher } = await starting({ notificationFormat })
      const consumer = await startConsumer()
      const create = () =>
        client.create({ address: addressOf(KINDS['lock-state']), endpoint: `${consumer.url}/event/${NODE}` })
      expect((await create()).outcome).toBe('not-ready')
      expect(consumer.arrivals).toEqual([])
      publisher.becomeReady()
      expect((await create()).outcome).toBe('created')
    })
  },
)

test('start times are local ones: zones do not matter', async () => {
  for (const utcOffsetMinutes of [-570, -60, 330, 765]) {
    const { client } = await starting({ utcOffsetMinutes })
    const state = await client.currentState(addressOf(KINDS['lock-state']))
    expect({ utcOffsetMinutes, outcome: state.outcome }).toEqual({ utcOffsetMinutes, outcome: 'none' })
  }
})

test('a host that has neither PTP nor GNSS is seen to start as well', async () => {
  const { client } = await starting({ instances: { ptp: [], ts: [], synce: [] } })
  expect((await client.currentState(addressOf(KINDS['os-clock-sync-state']))).outcome).toBe('none')
  // Nothing of a kind stays nothing.
  expect(await client.currentState(addressOf(KINDS['lock-state']))).toMatchObject({ body: '[]' })
})

test('what still stands after the time of a start is believed: the clocks run free', async () => {
  const { client, publisher } = await starting()
  await publisher.faults({ clockOffsetMs: -30_000 })
  await publisher.restart({ warmUpMs: Number.POSITIVE_INFINITY })
  const state = await client.currentState(addressOf(KINDS['lock-state']))
  expect(state).toMatchObject({ outcome: 'answered', body: expect.stringContaining('FREERUN') })
})

test('a FREERUN of a moment ago is believed, beside others that run free too', async () => {
  const { client, publisher } = await starting()
  publisher.becomeReady()
  publisher.setClock({ kind: 'lock-state', state: 'FREERUN' }, { kind: 'clock-class', clockClass: 248 })
  publisher.setClock({ kind: 'os-clock-sync-state', state: 'FREERUN' })
  for (const path of ['ptp-status/lock-state', 'sync-status/os-clock-sync-state', 'sync-status/sync-state']) {
    const state = await client.currentState(addressOf(path))
    expect(state).toMatchObject({ outcome: 'answered', body: expect.stringContaining('FREERUN') })
  }
  expect((await client.currentState(addressOf(KINDS['clock-class']))).outcome).toBe('answered')
})

test('a start that ends between the pull and the look at the other kinds is no FREERUN', async () => {
  let answers = 0
  const { client, publisher } = await starting({}, () => {
    answers += 1
    if (answers !== 1) return
    publisher.becomeReady()
    publisher.setClock({ kind: 'os-clock-sync-state', state: 'FREERUN' })
    publisher.setClock({ kind: 'lock-state', state: 'LOCKED' })
  })
  const state = await client.currentState(addressOf(KINDS['lock-state']))
  expect(state).toMatchObject({ outcome: 'answered', body: expect.stringContaining('LOCKED') })
  expect(state).not.toMatchObject({ body: expect.stringContaining('FREERUN') })
})

test('where the other kinds cannot be looked at, what is worse stands', async () => {
  const { client, publisher } = await starting()
  await publisher.faults({ currentState: { 'sync-state': 500 } })
  const state = await client.currentState(addressOf(KINDS['lock-state']))
  expect(state).toMatchObject({ outcome: 'answered', body: expect.stringContaining('FREERUN') })
})

test('a sidecar that has not heard of the node yet says nothing of its clocks', async () => {
  const { client, publisher } = await starting()
  publisher.becomeReady()
  await publisher.restart({ part: 'sidecar', warmUpMs: Number.POSITIVE_INFINITY })
  expect(await client.currentState(addressOf(KINDS['lock-state']))).toMatchObject({
    outcome: 'none',
    cause: 'not-ready',
  })
})

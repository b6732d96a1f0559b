import { expect, onTestFinished, test } from 'vitest'
import { createMemoryDriver } from '#shared/state/drivers/memory.ts'
import { emptyNodeState } from '#shared/state/document.ts'
import { isoTime } from '#shared/time.ts'
import { createGate } from '../../state/drivers/gate.ts'
import { notification, text } from './notifications.ts'
import { handlerOver } from './over-driver.ts'

const node = 'node1.example.com'
const START = Date.parse('2026-11-23T03:48:28Z')

/** Ingest over a store that can be switched off, with a clock that the test moves. */
function ingest() {
  let now = START
  const gate = createGate(createMemoryDriver())
  const { handle, store, waiting, metric, close } = handlerOver(
    gate.driver,
    [node],
    { retryEvery: 3_600_000 },
    { now: () => now },
  )
  onTestFinished(close)
  return {
    gate,
    waiting,
    outcome: (name: string) => metric(`ptp_watch_events_total{outcome="${name}"}`),
    at(seconds: number) {
      now = START + seconds * 1_000
    },
    store,
    async post(json: unknown = notification({ node })) {
      const { signal } = new AbortController()
      const body = Buffer.from(text(json))
      return (await handle({ method: 'POST', path: `/event/${node}`, query: '', headers: {}, body, signal }))
        .status
    },
    /** As the keeper does before it asks for a subscription. */
    async announceCreate(requestedAt: number, queryTime = true) {
      const pending = [{ kind: 'lock-state', requestedAt: isoTime(requestedAt), queryTime }]
      await store.update(node, (before) => ({
        state: { ...(before ?? emptyNodeState(node, 'incarnation')), pending },
        result: undefined,
      }))
    },
  }
}

test('what comes while a subscription is being created is its initial notification', async () => {
  const { announceCreate, at, post, outcome } = ingest()
  await announceCreate(START)
  at(9)
  expect(await post()).toBe(204)
  expect([outcome('initial'), outcome('applied')]).toEqual([1, 0])
})

test('what comes long after a subscription was asked for is a push', async () => {
  const { announceCreate, at, post, outcome } = ingest()
  await announceCreate(START)
  at(11)
  expect(await post()).toBe(204)
  expect([outcome('initial'), outcome('applied')]).toEqual([0, 1])
})

test('an initial notification is one however long it had to wait for the store', async () => {
  const { announceCreate, at, gate, post, waiting, outcome } = ingest()
  await announceCreate(START)
  gate.down()
  at(1)
  expect(await post()).toBe(503)
  at(60)
  gate.up()
  expect(await waiting.flush()).toBe(0)
  expect([outcome('initial'), outcome('applied')]).toEqual([1, 0])
})

test('a push that waited is none of a subscription that was asked for only then', async () => {
  const { announceCreate, at, gate, post, waiting, outcome } = ingest()
  gate.down()
  expect(await post()).toBe(503)
  gate.up()
  at(60)
  await announceCreate(START + 60_000)
  expect(await waiting.flush()).toBe(0)
  expect([outcome('initial'), outcome('applied')]).toEqual([0, 1])
})

test('of a body of several kinds only the kind that is being subscribed to is an initial notification', async () => {
  const { announceCreate, post, store, outcome } = ingest()
  await announceCreate(START)
  const kinds = ['os-clock-sync-state', 'lock-state'] as const
  expect(await post(kinds.map((kind) => notification({ node, kind })))).toBe(204)
  const state = await store.read(node)
  expect(state?.clocks.map(({ kind, via, since }) => [kind, via, since !== null])).toEqual([
    ['lock-state', 'initial', false],
    ['os-clock-sync-state', 'push', true],
  ])
  expect(state?.counters.received).toBe(1)
  expect(outcome('initial')).toBe(1)
  const log = await store.log(node, { after: 0, limit: 10 })
  expect(log.map(({ seq }) => seq)).toEqual(log.map((_, index) => index + 1))
})

test.each([
  ['no time of the question (StarlingX) cannot make a push from before it late', false, 'FREERUN'],
  ['the time of the question knows every push from before it', true, 'LOCKED'],
])('the first initial notification with %s', async (_, queryTime, state) => {
  const { announceCreate, at, post, store } = ingest()
  await announceCreate(START, queryTime)
  at(1)
  await post(notification({ node, at: isoTime(START + 1_000) }))
  at(11)
  await post(notification({ node, at: isoTime(START + 900), word: 'FREERUN' }))
  expect((await store.read(node))?.clocks[0]).toMatchObject({ state })
})

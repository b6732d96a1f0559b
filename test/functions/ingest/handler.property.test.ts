import fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { createMemoryDriver } from '#shared/state/drivers/memory.ts'
import { defaultSettings } from '#shared/state/merge/draft.ts'
import { viewOf } from '#shared/state/view.ts'
import { notification, text } from './notifications.ts'
import { handlerOver } from './over-driver.ts'

const node = 'node1.example.com'

/** Events that say anything but LOCKED, of all shapes: whatever is done to their bytes, none may make a clock LOCKED. */
const sound = [
  notification({ node, word: 'FREERUN' }),
  notification({ node, word: 'HOLDOVER', kind: 'os-clock-sync-state' }),
  [notification({ node, word: 'FREERUN' }), notification({ node, word: 'UNKNOWN' })],
  { 'ptp-inst1': [notification({ node, word: 'FREERUN' })] },
  {
    ResourceType: 'PTP',
    EventData: { State: 'Freerun' },
    ResourceQualifier: { NodeName: node },
    EventTimestamp: 1,
  },
].map((body) => Buffer.from(text(body)))

const edit = fc.record({ at: fc.nat(), drop: fc.nat(12), put: fc.uint8Array({ maxLength: 12 }) })

const edited = fc.tuple(fc.constantFrom(...sound), fc.array(edit, { maxLength: 6 })).map(([body, edits]) =>
  edits.reduce((before, { at, drop, put }) => {
    const place = at % (before.length + 1)
    return Buffer.concat([before.subarray(0, place), put, before.subarray(place + drop)])
  }, body),
)

const body = fc.oneof(
  { weight: 6, arbitrary: edited },
  fc.json().map((json) => Buffer.from(json)),
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
)
const segment = fc.oneof(
  fc.constantFrom('event', 'cloudevents', node, '', '.', '..', '%', '%00'),
  fc.string({ maxLength: 8 }).map((name) => name.replaceAll(/[\s?#/]/g, '')),
)
const path = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(`/event/${node}`, '/event', '/cloudevents') },
  fc.array(segment, { maxLength: 5 }).map((segments) => `/${segments.join('/')}`),
)
const headers = fc.oneof(
  fc.constant({}),
  fc.constant({ 'content-type': 'application/cloudevents+json' }),
  fc.constant({
    'content-type': 'application/json',
    'ce-specversion': '1.0',
    'ce-id': '1',
    'ce-type': 'event.sync.ptp-status.ptp-state-change',
    'ce-source': '/sync/ptp-status/lock-state',
  }),
  fc.dictionary(fc.string(), fc.string()),
)

test('whatever bytes come to whatever path, there is an answer of the table, and never a LOCKED that nobody said', async () => {
  const { handle, store, close } = handlerOver(createMemoryDriver(), [node])
  onTestFinished(close)
  const seen = new Set<number>()
  await fc.assert(
    fc.asyncProperty(fc.record({ body, path, headers }), async (request) => {
      const { signal } = new AbortController()
      const reply = await handle({ method: 'POST', query: '', signal, ...request })
      expect([202, 204, 400, 404, 415]).toContain(reply.status)
      expect(reply.body === undefined).toBe(reply.status < 300)
      seen.add(reply.status)
    }),
    { numRuns: 3_000 },
  )
  expect([...seen].sort()).toEqual([202, 204, 400, 404, 415])

  const { nodes } = await store.list({ limit: 10 })
  expect(nodes.map(({ state }) => state.node)).toEqual([node])
  for (const { state } of nodes) {
    const { overall, resources } = viewOf(state, Date.now(), defaultSettings)
    expect(overall).not.toBe('LOCKED')
    expect(resources.length).toBeGreaterThan(1)
    expect(resources.map((resource) => resource.state)).not.toContain('LOCKED')
  }
})

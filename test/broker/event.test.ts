import { validateHeaderValue } from 'node:http'
import { CloudEvent, HTTP } from 'cloudevents'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { EVENT_TYPES, eventData, eventOf, type OutgoingEvent, severityOf } from '#shared/broker/event.ts'
import { readCloudEvent } from '#shared/events/cloudevent.ts'
import { ENTRY_TYPES, type LogEntry } from '#shared/state/document.ts'

const ENTRY: LogEntry = {
  seq: 17,
  type: 'changed',
  kind: 'lock-state',
  instance: 'ens5fx/master',
  from: 'LOCKED',
  to: 'FREERUN',
  at: '2026-11-23T03:48:28.489302008Z',
  via: 'push',
  overall: 'FREERUN',
}

test('a transition becomes an event with all that a Trigger filters on', () => {
  expect(eventOf('node1.example.com', 'i1', ENTRY)).toEqual({
    specversion: '1.0',
    id: expect.stringMatching(/^[\w-]{32}$/),
    source: '/ptp-watch/node1.example.com',
    type: 'ptpwatch.state.changed.v1',
    subject: 'lock-state/ens5fx/master',
    time: '2026-11-23T03:48:28.489302008Z',
    datacontenttype: 'application/json',
    node: 'node1.example.com',
    kind: 'lock-state',
    state: 'FREERUN',
    previousstate: 'LOCKED',
    severity: 'critical',
    partitionkey: 'node1.example.com',
    sequence: '0000000000000000017',
    data: { node: 'node1.example.com', ...ENTRY },
  })
})

test('site and region of the node are attributes, to filter by; its other labels are not', () => {
  const labels = { site: 'a', region: 'süd', rack: 'r1' }
  const event = eventOf('node1.example.com', 'i1', ENTRY, labels)
  expect(event).toEqual({ ...eventOf('node1.example.com', 'i1', ENTRY), site: 'a', region: 's%C3%BCd' })
})

test('an entry of the node as a whole has the node as its subject and no kind', () => {
  const { kind, instance, ...whole } = ENTRY
  const event = eventOf('node1.example.com', 'i1', { ...whole, type: 'overall' })
  expect(event).toMatchObject({ subject: 'node1.example.com', type: 'ptpwatch.node.changed.v1' })
  expect(event).not.toHaveProperty('kind')
})

test('a transition that no push has dated carries the latest time at which it can have been', () => {
  const { at, ...undated } = ENTRY
  const bounds = { notBefore: '2026-11-23T03:48:00.000Z', notAfter: '2026-11-23T03:49:00.000Z' }
  expect(eventOf('n', 'i', { ...undated, ...bounds }).time).toBe(bounds.notAfter)
})

test('the id is the same for the same entry, and two entries never share one, however alike they are', () => {
  const id = (node: string, incarnation: string, change: Partial<LogEntry> = {}) =>
    eventOf(node, incarnation, { ...ENTRY, ...change }).id
  expect(id('n', 'i')).toBe(id('n', 'i'))
  const all = [
    id('n', 'i'),
    id('n', 'i', { seq: 18 }),
    id('m', 'i'),
    id('n', 'j'),
    id('n17', 'i', { seq: 1 }),
  ]
  expect(new Set(all).size).toBe(all.length)
})

test.each([
  ['changed', 'FREERUN', 'critical'],
  ['missed', 'FREERUN', 'critical'],
  ['changed', 'HOLDOVER', 'warning'],
  ['overall', 'UNKNOWN', 'warning'],
  ['missed', 'LOCKED', 'warning'],
  ['suspect', 'UNKNOWN', 'warning'],
  ['stale', undefined, 'warning'],
  ['blind', undefined, 'warning'],
  ['restored', undefined, 'warning'],
  ['changed', 'LOCKED', 'info'],
  ['recovered', undefined, 'info'],
  ['retired', undefined, 'info'],
] as const)('%s to %s is %s', (type, to, severity) => {
  expect(severityOf({ type, ...(to === undefined ? {} : { to }) })).toBe(severity)
})

const hostile = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.string({ maxLength: 600 }),
  fc.constantFrom(
    '',
    ' ',
    ' a ',
    '..',
    '%0d%0a',
    'a\r\nce-id: 1',
    '\u0000',
    '\ufeff',
    '\uffff',
    '\ud800',
    '€',
    '"',
    'n\tx',
  ),
)
const time = fc.constantFrom(
  '2026-11-23T03:48:28.489302008Z',
  '2026-11-23t03:48:28.1z',
  '2026-11-23T03:48:28+05:30',
  'yesterday',
  '',
)
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 4 })
const anyEntry = fc
  .record({
    seq: fc.nat(),
    type: fc.constantFrom(...ENTRY_TYPES),
    kind: optional(hostile),
    instance: optional(hostile),
    from: optional(hostile),
    to: optional(hostile),
    at: optional(time),
    notAfter: optional(time),
    via: fc.constantFrom('push' as const, 'poll' as const),
    overall: hostile,
  })
  .map(
    ({ kind, instance, from, to, at, notAfter, ...rest }): LogEntry => ({
      ...rest,
      ...(kind !== undefined && { kind }),
      ...(instance !== undefined && { instance }),
      ...(from !== undefined && { from }),
      ...(to !== undefined && { to }),
      ...(at !== undefined && { at }),
      ...(notAfter !== undefined && { notAfter }),
    }),
  )
const nodeName = hostile.filter((name) => name !== '' && name.isWellFormed())

/** The attributes as the SDK has them, but for `time`, which it cuts to milliseconds. */
function attributesOf(event: OutgoingEvent): Record<string, unknown> {
  const { data, time, ...attributes } = event
  return attributes
}

const STRUCTURED = { 'content-type': 'application/cloudevents+json; charset=utf-8' }

test('every event is one to the official SDK in strict mode, and comes out of it as it went in', () => {
  fc.assert(
    fc.property(nodeName, anyEntry, (node, entry) => {
      const event = eventOf(node, 'incarnation', entry)
      const body = JSON.stringify(event)
      const read = HTTP.toEvent({ headers: STRUCTURED, body })
      if (!(read instanceof CloudEvent)) throw new Error('It is one event')
      expect(read.validate()).toBe(true)
      expect(new CloudEvent(JSON.parse(body), true).validate()).toBe(true)
      expect(read).toMatchObject(attributesOf(event))
      expect(read.data).toEqual(JSON.parse(body).data)
      expect(eventData.safeParse(read.data).success).toBe(true)
    }),
    { numRuns: 500 },
  )
})

test('every event can be put into headers as it is, and read from them again', () => {
  fc.assert(
    fc.property(nodeName, anyEntry, (node, entry) => {
      const event = eventOf(node, 'incarnation', entry)
      const read = HTTP.toEvent({ headers: STRUCTURED, body: JSON.stringify(event) })
      if (!(read instanceof CloudEvent)) throw new Error('It is one event')
      const { headers, body } = HTTP.binary(read)
      const sent: Record<string, string> = {}
      for (const [name, value] of Object.entries(headers)) {
        expect(String(value)).toMatch(/^[\x21-\x7e]+$/)
        validateHeaderValue(name, String(value))
        sent[name.toLowerCase()] = String(value)
      }
      const again = HTTP.toEvent({ headers: sent, body })
      expect(again).toMatchObject(attributesOf(event))
    }),
    { numRuns: 500 },
  )
})

test('attributes obey CloudEvents 1.0.2: names of lower-case letters and digits, values neither empty nor overlong', () => {
  fc.assert(
    fc.property(nodeName, anyEntry, (node, entry) => {
      const event = eventOf(node, 'incarnation', entry)
      for (const [name, value] of Object.entries(attributesOf(event))) {
        expect(name).toMatch(/^[a-z0-9]{1,20}$/)
        expect(value).not.toBe('')
        expect(value).not.toContain('\n')
      }
      expect(URL.canParse(event.source, 'http://x')).toBe(true)
      if (event.time !== undefined) expect(Date.parse(event.time)).not.toBeNaN()
    }),
  )
})

test('nanoseconds survive in our JSON, and our own reader of Broker deliveries takes it', () => {
  const body = JSON.stringify(eventOf('node1.example.com', 'i1', ENTRY))
  expect(body).toContain('"time":"2026-11-23T03:48:28.489302008Z"')
  const read = readCloudEvent(STRUCTURED, Buffer.from(body))
  expect(read).toMatchObject({ time: ENTRY.at, type: EVENT_TYPES.changed, data: { ...ENTRY } })
})

test('names of real publishers pass unchanged', () => {
  const instance = 'synce1/ens7f0.100'
  const event = eventOf('ctrl-0.site_7.example.com', 'i', { ...ENTRY, instance, kind: 'synce-lock-state' })
  expect(event).toMatchObject({ node: 'ctrl-0.site_7.example.com', subject: `synce-lock-state/${instance}` })
})

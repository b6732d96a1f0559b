import { CloudEvent, HTTP } from 'cloudevents'
import { describe, expect, test } from 'vitest'
import { readCloudEvent } from '#shared/events/cloudevent.ts'
import { normalise } from '#shared/events/normalise.ts'
import { event, NODE, read, TIME, TYPES, value } from './builders.ts'

const bytes = (body: unknown) =>
  new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body))

const data = { version: '1.0', values: [value('ens5fx/master', 'FREERUN'), value('ens5fx/master', '-2')] }

const binary: Record<string, string> = {
  'content-type': 'application/json',
  'ce-specversion': '1.0',
  'ce-id': '1',
  'ce-source': '/sync/ptp-status/lock-state',
  'ce-type': TYPES['lock-state'],
  'ce-time': TIME,
}
const structured = event('lock-state', data.values, { id: '1', source: '/sync/ptp-status/lock-state' })
const STRUCTURED = { 'content-type': 'application/cloudevents+json' }

/** The code with which a delivery is refused; undefined where it is taken. */
function refusal(headers: Record<string, string | string[] | undefined>, body: string | Uint8Array): unknown {
  try {
    readCloudEvent(headers, typeof body === 'string' ? bytes(body) : body)
    return undefined
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error
  }
}

describe('a delivery of a Broker', () => {
  test('says the same in binary and in structured mode, its time with all nanoseconds', () => {
    const one = readCloudEvent(binary, bytes(data))
    const other = readCloudEvent(STRUCTURED, bytes(structured))
    expect(one).toEqual(other)
    expect(one.time).toBe(TIME)
    const found = normalise(one, { receivedAt: TIME, via: 'broker' })
    expect(found).toEqual(normalise(other, { receivedAt: TIME, via: 'broker' }))
    expect(found.observations).toMatchObject([
      {
        node: NODE,
        instance: 'ens5fx/master',
        state: 'FREERUN',
        metrics: { offset: '-2' },
        via: 'broker',
        at: TIME,
      },
    ])
  })

  test.each(['binary', 'structured'] as const)(
    'that the official SDK writes in %s mode is read as the SDK reads it, but for the nanoseconds',
    (mode) => {
      const { headers, body } = HTTP[mode](new CloudEvent({ ...structured, subject: 'a b', more: 'x' }))
      const sent: Record<string, string> = {}
      for (const [name, value] of Object.entries(headers)) sent[name.toLowerCase()] = String(value)
      const theirs = HTTP.toEvent({ headers: sent, body })
      if (!(theirs instanceof CloudEvent)) throw new Error('It is one event')
      const ours = readCloudEvent(sent, bytes(body))
      const { id, source, type, specversion, subject } = theirs
      expect(ours).toMatchObject({ id, source, type, specversion, subject, data: theirs.data })
      expect(Date.parse(ours.time ?? '')).toBe(Date.parse(theirs.time ?? ''))
    },
  )

  test.each([
    ['a charset', { ...binary, 'content-type': 'application/json; charset=utf-8' }],
    ['a media type in capitals', { ...binary, 'content-type': 'Application/JSON' }],
    ['another +json', { ...binary, 'content-type': 'application/vnd.x+json' }],
    ['no media type', { ...binary, 'content-type': undefined }],
    ['extensions', { ...binary, 'ce-sequence': '1', 'ce-__proto__': 'x', 'ce-data': 'x' }],
  ])('is taken with %s', (_, headers) => {
    expect(readCloudEvent(headers, bytes(data)).data).toEqual(data)
  })

  test.each([
    ['a%20b', 'a b'],
    ['%E2%82%AC', '€'],
    ['%2522', '%22'],
    ['"a b"', 'a b'],
    ['"a \\"b\\" \\\\c"', 'a "b" \\c'],
    ['"a%20b"', 'a b'],
    ['"%22a%22"', '"a"'],
    ['a "b"', 'a "b"'],
    ['"a', '"a'],
  ])('has the attribute %j as %j', (written, subject) => {
    expect(readCloudEvent({ ...binary, 'ce-subject': written }, bytes(data)).subject).toBe(subject)
  })

  test('of version 0.3 is read alike, its data as base64 too', () => {
    expect(readCloudEvent({ ...binary, 'ce-specversion': '0.3' }, bytes(data)).data).toEqual(data)
    const encoded = Buffer.from(JSON.stringify(data)).toString('base64')
    const old = { ...structured, specversion: '0.3', datacontentencoding: 'Base64', data: encoded }
    expect(readCloudEvent(STRUCTURED, bytes(old)).data).toEqual(data)
    expect(normalise(old, { receivedAt: TIME, via: 'push' }).observations).toHaveLength(1)
  })

  test('has its data in data_base64, beside a data that is null', () => {
    const encoded = Buffer.from(JSON.stringify(data)).toString('base64')
    const { data: _, ...rest } = structured
    for (const more of [{}, { data: null }]) {
      const event = { ...rest, ...more, data_base64: encoded }
      expect(readCloudEvent(STRUCTURED, bytes(event)).data).toEqual(data)
      expect(normalise(event, { receivedAt: TIME, via: 'push' }).observations).toHaveLength(1)
    }
  })

  test.each(['', '0001-01-01T00:00:00Z'])('whose time is %j has none', (time) => {
    expect(readCloudEvent(STRUCTURED, bytes({ ...structured, time }))).not.toHaveProperty('time')
    expect(readCloudEvent({ ...binary, 'ce-time': time }, bytes(data))).not.toHaveProperty('time')
  })

  test('may have attributes that are null, which are unset', () => {
    const unset = { subject: null, time: null, datacontenttype: null, dataschema: null, extension: null }
    const event = readCloudEvent(STRUCTURED, bytes({ ...structured, ...unset }))
    expect(event).not.toHaveProperty('time')
    expect(event).not.toHaveProperty('subject')
    expect(event.data).toEqual(data)
  })

  test('may have no body and no time', () => {
    const { 'ce-time': _, ...rest } = binary
    const event = readCloudEvent(rest, new Uint8Array())
    expect(event.data).toBeUndefined()
    expect(event).not.toHaveProperty('time')
    expect(read(event)).toEqual({ problems: ['no-event'] })
  })

  test.each([
    ['a batch', { 'content-type': 'application/cloudevents-batch+json' }, '[]', 'unsupported-media-type'],
    ['Avro', { 'content-type': 'application/cloudevents+avro' }, 'x', 'unsupported-media-type'],
    ['XML', { ...binary, 'content-type': 'application/xml' }, '<a/>', 'unsupported-media-type'],
    ['text', { ...binary, 'content-type': 'text/plain' }, 'x', 'unsupported-media-type'],
    ['JSON that is not a CloudEvent', { 'content-type': 'application/json' }, '{}', 'unsupported-media-type'],
    ['no header at all', {}, '{}', 'unsupported-media-type'],
    ['a structured body that is no JSON', STRUCTURED, '{', 'not-json'],
    ['an empty structured body', STRUCTURED, '', 'not-json'],
    ['a binary body that is no JSON', binary, 'LOCKED', 'not-json'],
    ['invalid UTF-8', binary, new Uint8Array([0x22, 0xff, 0x22]), 'not-json'],
    ['an array', STRUCTURED, '[]', 'no-cloudevent'],
    ['null', STRUCTURED, 'null', 'no-cloudevent'],
    ['a word', STRUCTURED, '"LOCKED"', 'no-cloudevent'],
    ['version 0.2', { ...binary, 'ce-specversion': '0.2' }, '{}', 'no-cloudevent'],
    ['a broken percent-encoding', { ...binary, 'ce-source': '/100%' }, '{}', 'no-cloudevent'],
    ['a percent-encoding that is not UTF-8', { ...binary, 'ce-id': 'a%C0%A0b' }, '{}', 'no-cloudevent'],
    ['a percent-encoded surrogate', { ...binary, 'ce-id': '%ED%A0%80' }, '{}', 'no-cloudevent'],
    [
      'data_base64 that is not base64',
      STRUCTURED,
      JSON.stringify({ ...structured, data: undefined, data_base64: 'e30*' }),
      'not-json',
    ],
    [
      'data_base64 that is not JSON',
      STRUCTURED,
      JSON.stringify({ ...structured, data: undefined, data_base64: 'bm8=' }),
      'not-json',
    ],
    [
      'data_base64 beside data',
      STRUCTURED,
      JSON.stringify({ ...structured, data_base64: 'e30=' }),
      'no-cloudevent',
    ],
    ['a null id', STRUCTURED, JSON.stringify({ ...structured, id: null }), 'no-cloudevent'],
    ['no id', { ...binary, 'ce-id': undefined }, '{}', 'no-cloudevent'],
    ['an empty source', { ...binary, 'ce-source': '' }, '{}', 'no-cloudevent'],
    ['a type twice', { ...binary, 'ce-type': ['a', 'b'] }, '{}', 'no-cloudevent'],
    ['a time that is none', { ...binary, 'ce-time': 'yesterday' }, '{}', 'no-cloudevent'],
    ['a numeric id', STRUCTURED, JSON.stringify({ ...structured, id: 1 }), 'no-cloudevent'],
    ['a numeric time', STRUCTURED, JSON.stringify({ ...structured, time: 1 }), 'no-cloudevent'],
  ])('is refused if it is %s', (_, headers, body, code) => {
    expect(refusal(headers, body)).toBe(code)
  })
})

import { describe, expect, test } from 'vitest'
import { normalise } from '#shared/events/normalise.ts'
import { parseJson } from '#shared/events/wire.ts'
import { context, event, NODE, read, TIME, TYPES, value } from './builders.ts'

const nest = (depth: number, inner: unknown): unknown =>
  Array.from({ length: depth }).reduce((body: unknown) => [body], inner)
const good = event('lock-state', [value('a/master', 'LOCKED')])
const locked = { read: ['lock-state a/master LOCKED'] }
const noEvent = { problems: ['no-event'] }
const noTime = { problems: ['no-time'] }
const noAddress = { problems: ['no-address'] }
const named = { named: ['lock-state a/master'] }
const withValue = (of: unknown) => event('lock-state', [value('a/master', of)])
const withData = (data: unknown) => ({ ...good, data })

describe('a body that means harm, or nothing, has its answer', () => {
  test.each<[string, unknown, Record<string, unknown>]>([
    ['null', null, {}],
    ['a boolean', true, noEvent],
    ['a number', 5, noEvent],
    ['the word LOCKED', 'LOCKED', noEvent],
    ['an empty text', '', noEvent],
    ['an empty object', {}, {}],
    ['maps of nothing', { a: null, b: [], c: {} }, {}],
    ['values that are null', withData({ values: null }), {}],
    ['an empty array', [], {}],
    ['an array of nothing', [null, 1, 'LOCKED'], { problems: ['no-event', 'no-event'] }],
    [
      'a good event among rubbish',
      [null, 1, good, {}, true],
      { ...locked, problems: ['no-event', 'no-event'] },
    ],
    ['an event 3 arrays deep', nest(3, good), locked],
    ['an event 4 arrays deep', nest(4, good), noEvent],
    ['100 000 arrays', nest(100_000, good), noEvent],
    ['an error of a publisher', { error: 'event data not found' }, noEvent],
    ['an error of a sidecar', { error: '{"message":"event data not found"}\n' }, noEvent],
    ['a subscription', { id: 'x', endpointUri: 'http://a', resource: '/LOCKED' }, noEvent],
    ['data that is null', withData(null), noEvent],
    ['data that is a text', withData(JSON.stringify(good.data)), noEvent],
    ['data that is an array', withData([value('a', 'LOCKED')]), noEvent],
    ['values that are an object', withData({ values: { 0: value('a', 'LOCKED') } }), noEvent],
    ['values that are a text', withData({ values: 'LOCKED' }), noEvent],
    ['no values', withData({ values: [] }), {}],
    ['a value that is null', withData({ values: [null] }), noAddress],
    ['a value that is an array', withData({ values: [[value('a/master', 'LOCKED')]] }), noAddress],
    [
      'a bad value before a good one',
      withData({ values: [null, value('a/master', 'LOCKED')] }),
      {
        ...locked,
        ...noAddress,
      },
    ],
    [
      'a bad value after a good one',
      withData({ values: [value('a/master', 'LOCKED'), {}] }),
      {
        ...locked,
        ...noAddress,
      },
    ],
    [
      'an address that is a number',
      withData({ values: [{ ResourceAddress: 5, value: 'LOCKED' }] }),
      noAddress,
    ],
    [
      'an address in the wrong case',
      withData({ values: [{ resourceaddress: 'a', value: 'LOCKED' }] }),
      noAddress,
    ],
    ['a clock of 300 characters', event('lock-state', [value('a'.repeat(300), 'LOCKED')]), noAddress],
    [
      'a clock of 100 kB beside a good one',
      withData({
        values: [value('a'.repeat(100_000), 'FREERUN'), value('a/master', 'LOCKED')],
      }),
      { ...locked, ...noAddress },
    ],
    ['a word that is null', withValue(null), named],
    ['a word that is true', withValue(true), named],
    ['a word in an array', withValue(['LOCKED']), named],
    ['a word in an object', withValue({ value: 'LOCKED' }), named],
    ['an object that would print itself LOCKED', withValue({ toString: 'LOCKED', toJSON: 'LOCKED' }), named],
    ['an empty word', withValue(''), named],
    ['a word of spaces', withValue('  \t\n'), named],
    ['NaN', withValue('NaN'), named],
    ['Infinity', withValue('Infinity'), named],
    ['1e309', withValue('1e309'), named],
    ['a number of 100 kB', withValue('1'.repeat(100_000)), named],
    [
      '100 kB of digits that end in a letter',
      withValue(`${'1'.repeat(100_000)}x`),
      {
        read: ['lock-state a/master UNKNOWN'],
      },
    ],
    [
      'a word of 100 kB that begins LOCKED',
      withValue(`LOCKED${'X'.repeat(100_000)}`),
      {
        read: ['lock-state a/master UNKNOWN'],
      },
    ],
    ['LOCKED with a NUL', withValue('LOCKED\u0000'), { read: ['lock-state a/master UNKNOWN'] }],
    ['LOCKED with a zero-width space', withValue('LOCKED\u200b'), { read: ['lock-state a/master UNKNOWN'] }],
    ['half a surrogate pair', withValue('\ud800'), { read: ['lock-state a/master UNKNOWN'] }],
    ['both words at once', withValue('LOCKED FREERUN'), { read: ['lock-state a/master UNKNOWN'] }],
    ['hexadecimal', withValue('0x10'), { read: ['lock-state a/master UNKNOWN'] }],
    ['no type and no resource', { ...good, type: undefined }, { problems: ['no-kind'] }],
    ['a type that is a number', { ...good, type: 5 }, { problems: ['no-kind'] }],
    ['an empty type', { ...good, type: '' }, { problems: ['no-kind'] }],
    ['the type __proto__', { ...good, type: '__proto__' }, { read: ['--proto-- a/master LOCKED'] }],
    ['the type constructor', { ...good, type: 'constructor' }, { read: ['constructor a/master LOCKED'] }],
    [
      'a type of 100 kB',
      { ...good, type: 't'.repeat(100_000) },
      { read: [`${'t'.repeat(200)} a/master LOCKED`] },
    ],
    ['a time of 100 kB', { ...good, time: `2026-11-23T03:48:28.${'1'.repeat(100_000)}Z` }, noTime],
    ['a time in an array', { ...good, time: [TIME] }, noTime],
    ['an id that is an object', { ...good, id: { a: 1 } }, locked],
    ['a source that is an array', { ...good, source: ['/cluster/node/other/x'] }, locked],
    [
      'the node __proto__',
      event('lock-state', [value('/cluster/node/__proto__/a', 'LOCKED')]),
      {
        problems: ['other-node'],
      },
    ],
    [
      '10 000 nodes',
      event(
        'lock-state',
        Array.from({ length: 10_000 }, (_, n) => value(`/cluster/node/${n}/a`, 'LOCKED')),
      ),
      {
        problems: ['other-node'],
      },
    ],
    ['100 000 mistakes', Array.from({ length: 100_000 }, () => 0), { problems: Array(16).fill('no-event') }],
    [
      'a version-1 status without a state',
      { ResourceType: 'PTP', EventData: {}, EventTimestamp: 1e9 },
      {
        named: ['lock-state node'],
      },
    ],
    ['a version-1 status of another kind', { ResourceType: 'X', EventData: { State: 'Locked' } }, noEvent],
  ])('%s', (_, body, answer) => {
    expect(read(body)).toEqual(answer)
  })

  test.each<[string, string, Record<string, unknown> | 'not-json']>([
    [
      'a key __proto__ with an event',
      `{"__proto__":${JSON.stringify(good)}}`,
      { read: ['lock-state a/master LOCKED'] },
    ],
    ['a key __proto__ in an event', JSON.stringify(good).replace('{', '{"__proto__":{"time":1},'), locked],
    [
      'a key __proto__ in a value',
      JSON.stringify(good).replace('"value":"LOCKED"', '"__proto__":{"value":"LOCKED"}'),
      named,
    ],
    [
      'a value twice: the last one counts',
      JSON.stringify(good).replace('"value":', '"value":"FREERUN","value":'),
      locked,
    ],
    ['a byte order mark', `\ufeff${JSON.stringify(good)}`, locked],
    ['spaces around', `\r\n ${JSON.stringify(good)}\n\n`, locked],
    ['1e309 as a JSON number', JSON.stringify(good).replace('"LOCKED"', '1e309'), named],
    ['-1e16 as a JSON number', JSON.stringify(good).replace('"LOCKED"', '-1e16'), named],
    [
      'an escaped lone surrogate',
      JSON.stringify(good).replace('LOCKED', '\\udc00'),
      { read: ['lock-state a/master UNKNOWN'] },
    ],
    ['two values', `${JSON.stringify(good)}${JSON.stringify(good)}`, 'not-json'],
    ['two lines', `${JSON.stringify(good)}\n${JSON.stringify(good)}`, 'not-json'],
    ['half an event', JSON.stringify(good).slice(0, 50), 'not-json'],
    ['NaN', JSON.stringify(good).replace('"LOCKED"', 'NaN'), 'not-json'],
    ['a comment', `/**/${JSON.stringify(good)}`, 'not-json'],
    ['a trailing comma', JSON.stringify(good).replace(/}$/, ',}'), 'not-json'],
    ['nothing', '', 'not-json'],
    ['a form', 'value=LOCKED', 'not-json'],
    ['120 000 open brackets', '['.repeat(120_000), 'not-json'],
  ])('on the wire: %s', (_, text, answer) => {
    const parse = () => parseJson(new TextEncoder().encode(text))
    if (answer === 'not-json') expect(parse).toThrow(expect.objectContaining({ code: 'not-json' }))
    else expect(read(parse())).toEqual(answer)
  })

  test.each([
    ['a stray continuation byte', [0x22, 0x80, 0x22]],
    ['an overlong slash', [0x22, 0xc0, 0xaf, 0x22]],
    ['a surrogate in UTF-8', [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ['UTF-16', [0xff, 0xfe, 0x22, 0x00, 0x22, 0x00]],
    ['gzip', [0x1f, 0x8b, 0x08, 0x00]],
  ])('%s is not JSON', (_, body) => {
    expect(() => parseJson(new Uint8Array(body))).toThrow(expect.objectContaining({ code: 'not-json' }))
  })
})

test('a node whose name is no Unicode, or has no end, is none', () => {
  const open = { receivedAt: context.receivedAt, via: 'broker' } as const
  for (const name of ['\ud800', 'n'.repeat(254)]) {
    const body = event('lock-state', [value(`/cluster/node/${name}/a`, 'LOCKED')])
    expect(read(body, open)).toEqual({ problems: ['no-node'] })
  }
})

test('a body as large as any that is let in is read in a time that grows with its length', () => {
  const clockClasses = (count: number) =>
    event(
      'clock-class',
      Array.from({ length: count }, (_, n) => ({ resource: `a${n}`, value: `${n}` })),
    )
  expect(normalise(clockClasses(20_000), context).observations).toHaveLength(20_000)
  expect(read(withValue(`${'1'.repeat(250_000)}x`))).toEqual({ read: ['lock-state a/master UNKNOWN'] })
})

test('what is said of a problem is short, however long its cause is', () => {
  const long = 'x'.repeat(100_000)
  const bodies = [
    { ...good, time: long },
    event('lock-state', [value(`/cluster/node/${long}/a`, 'LOCKED')]),
    event('lock-state', [value(`/cluster/node/${NODE}/${long}`, 'LOCKED')]),
    { ...good, type: TYPES['lock-state'], source: `/cluster/node/${long}/sync` },
  ]
  for (const body of bodies) {
    const { problems } = normalise(body, context)
    expect(problems).toHaveLength(1)
    for (const { message } of problems) expect(message.length).toBeLessThan(300)
  }
})

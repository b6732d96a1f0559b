import { describe, expect, test } from 'vitest'
import { isOverfull, MOST_EVENTS, MOST_VALUES } from '#functions/ingest/bounds.ts'

const event = (values = 1) => ({
  data: { values: Array.from({ length: values }, () => ({ value: 'LOCKED' })) },
})
const base64 = (data: unknown) => Buffer.from(JSON.stringify(data)).toString('base64')
const many = <T>(count: number, one: (n: number) => T) => Array.from({ length: count }, (_, n) => one(n))
const map = (count: number, one: () => unknown) => Object.fromEntries(many(count, (n) => [`k${n}`, one()]))

describe('a body is not overfull', () => {
  test.each([
    ['one event', event()],
    ['as many values as are allowed', event(MOST_VALUES)],
    ['as many events as are allowed', many(MOST_EVENTS, () => event())],
    ['a map of them', map(MOST_EVENTS, event)],
    ['a map of arrays', map(8, () => many(8, () => event()))],
    ['an object of many words', map(1_000, () => 'x')],
    ['as many as are allowed in base64', { data_base64: base64(event(MOST_VALUES).data) }],
    ['base64 that is none', { data_base64: '%' }],
    ['no event', {}],
    ['null', null],
    ['a number', 5],
    ['what nests without end', JSON.parse('['.repeat(20_000) + ']'.repeat(20_000))],
  ])('%s', (_, body) => expect(isOverfull(body)).toBe(false))
})

describe('a body is overfull', () => {
  test.each([
    ['one value too many', event(MOST_VALUES + 1)],
    ['in all', [event(MOST_VALUES), event(1)]],
    ['one event too many', many(MOST_EVENTS + 1, () => event())],
    ['in a map', map(MOST_EVENTS + 1, event)],
    ['in arrays of a map', map(8, () => many(9, () => event()))],
    ['in arrays of arrays of arrays', many(5, () => many(5, () => many(3, () => event())))],
    ['one value too many in base64', { data_base64: base64(event(MOST_VALUES + 1).data) }],
    [
      'the same in CloudEvents 0.3',
      { data: base64(event(MOST_VALUES + 1).data), datacontentencoding: 'base64' },
    ],
    ['numbers', many(100_000, () => 0)],
    ['empty objects', map(1_000, () => ({}))],
  ])('%s', (_, body) => expect(isOverfull(body)).toBe(true))
})

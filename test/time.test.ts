import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compareTimes, isoTime, milliseconds, nanoseconds, publishedAt, repairTime } from '#shared/time.ts'

describe('nanoseconds', () => {
  test.each([
    ['1970-01-01T00:00:00Z', 0n],
    ['1970-01-01T00:00:00.000000001Z', 1n],
    ['1970-01-01T00:00:00.1Z', 100_000_000n],
    ['1970-01-01T00:00:00.1234567891Z', 123_456_789n],
    ['1970-01-01T01:00:00+01:00', 0n],
    ['1970-01-01T00:00:00-00:30', 1_800_000_000_000n],
    ['2016-12-31T23:59:60Z', 1_483_228_800_000_000_000n],
    ['2024-02-29T00:00:00Z', 1_709_164_800_000_000_000n],
    ['2026-11-23T03:48:28.489302008Z', 1_795_405_708_489_302_008n],
  ])('of %s are %d', (text, expected) => {
    expect(nanoseconds(text)).toBe(expected)
  })

  test.each(['', 'now', '2026-11-23', '2023-02-29T00:00:00Z', '0099-01-01T00:00:00Z', '2026-11-23T03:48:28'])(
    'of %j cannot be told',
    (text) => {
      expect(() => nanoseconds(text)).toThrow(RangeError)
    },
  )
})

test.each([
  ['2026-11-23T03:48:28.489302008Z', 1_795_405_708_489],
  ['2016-12-31T23:59:60Z', 1_483_228_800_000],
  ['2016-12-31T23:59:60.25+00:00', 1_483_228_800_250],
  ['', Number.NaN],
  ['soon', Number.NaN],
])('a publisher that says %j says %d ms', (text, expected) => {
  expect(publishedAt(text)).toBe(expected)
})

describe('the order of times', () => {
  test.each([
    ['2026-11-23T03:48:28.489302008Z', '2026-11-23T03:48:28.489302009Z', -1],
    ['2026-11-23T03:48:28.5Z', '2026-11-23T03:48:28.499999999Z', 1],
    ['2026-11-23T03:48:28.5Z', '2026-11-23T03:48:28.500Z', 0],
    ['2026-11-23T03:48:28Z', '2026-11-23T04:48:28+01:00', 0],
    ['2026-11-23T03:48:28Z', '2026-11-23T03:48:28-01:00', -1],
  ])('%s and %s: %d', (a, b, order) => {
    expect(Math.sign(compareTimes(a, b))).toBe(order)
    expect(Math.sign(compareTimes(b, a))).toBe(order === 0 ? 0 : -order)
  })

  test('takes no digit past the ninth into account, as nanoseconds does not', () => {
    const times = ['2026-11-23T03:48:28.0000000001Z', '2026-11-23T03:48:28.0000000002Z'] as const
    expect(nanoseconds(times[0])).toBe(nanoseconds(times[1]))
    expect(compareTimes(...times)).toBe(0)
  })

  test('is that of the nanoseconds, however the fraction is spelled', () => {
    const fraction = fc.integer({ min: 0, max: 999_999_999 })
    fc.assert(
      fc.property(fraction, fraction, (a, b) => {
        const spelled = (ns: number) =>
          `2026-11-23T03:48:28.${String(ns).padStart(9, '0')}`.replace(/0+$/, '').replace(/\.$/, '')
        expect(Math.sign(compareTimes(`${spelled(a)}Z`, `${spelled(b)}Z`))).toBe(Math.sign(a - b))
      }),
    )
  })
})

describe('repairing a time', () => {
  test.each([
    ['2024-11-15T15:22:33868726Z', '2024-11-15T15:22:33.868726Z'],
    ['2024-11-15T15:22:33.868726Z', '2024-11-15T15:22:33.868726Z'],
    ['2024-11-15T15:22:33Z', '2024-11-15T15:22:33Z'],
    ['2024-11-15T15:22:3386872Z', undefined],
    ['2024-11-15T15:22:338687261Z', undefined],
    ['2024-02-30T15:22:33868726Z', undefined],
    ['2024-11-15T15:22:61868726Z', undefined],
    ['2024-11-15T15:22:33868726', undefined],
  ])('%s becomes %s', (text, repaired) => {
    expect(repairTime(text)).toBe(repaired)
  })

  test('changes nothing that is a time, and never throws', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const repaired = repairTime(text)
        if (repaired !== undefined) expect(repairTime(repaired)).toBe(repaired)
      }),
    )
    fc.assert(
      fc.property(fc.date({ min: new Date(0), max: new Date(253e12), noInvalidDate: true }), (date) => {
        expect(repairTime(date.toISOString())).toBe(date.toISOString())
      }),
    )
  })
})

test('our own times are milliseconds that come back as they went', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 253e12 }), (ms) => {
      expect(milliseconds(isoTime(ms))).toBe(ms)
    }),
  )
})

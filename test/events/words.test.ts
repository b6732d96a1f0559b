import { describe, expect, test } from 'vitest'
import { isNoOffset, meaningOf, rankOf } from '#shared/events/words.ts'

describe('words of GNSS', () => {
  test.each([
    ['LOCKED', 'SYNCHRONIZED'],
    ['Locked', 'SYNCHRONIZED'],
    ['SYNCHRONIZED', 'SYNCHRONIZED'],
    ['ACQUIRING_SYNC', 'ACQUIRING-SYNC'],
    ['acquiring-sync', 'ACQUIRING-SYNC'],
    ['ANTENNA_DISCONNECTED', 'ANTENNA-DISCONNECTED'],
    ['FAILURE_NOFIX', 'FAILURE-NOFIX'],
    ['HOLDOVER', 'HOLDOVER'],
    ['FREERUN', 'FREERUN'],
  ])('%s is %s', (text, word) => {
    expect(meaningOf('gnss-sync-status', text)).toEqual({ is: 'word', word })
  })

  test('the worst first', () => {
    const ranks = [
      ['FAILURE-NOFIX', 'ANTENNA-SHORT-CIRCUIT', 'FREERUN', 'A-NEW-WORD'],
      ['BOOTING', 'ACQUIRING-SYNC', 'HOLDOVER'],
      ['UNKNOWN'],
      ['SYNCHRONIZED'],
    ]
    for (const [rank, words] of ranks.entries())
      for (const word of words) expect([word, rankOf('gnss-sync-status', word)]).toEqual([word, rank])
  })
})

test.each([
  '99999999999',
  '99999999999.0',
  '9.9999999999e+10',
  '9.9999999999E10',
  '+99999999999',
  '-9999999999999999',
  '-1e+16',
])('the offset %s stands for none', (text) => {
  expect(isNoOffset(text)).toBe(true)
})

test.each(['99999999998', '100000000000', '9.9999e+10', '-99999999999', '0', '-5'])(
  'the offset %s is one',
  (text) => {
    expect(isNoOffset(text)).toBe(false)
  },
)

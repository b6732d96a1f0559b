import { expect, test } from 'vitest'
import type { LogEntry } from '#shared/state/document.ts'
import { entriesSince, entriesWithin } from '#shared/state/history.ts'

const MINUTE = 60_000
const START = Date.parse('2026-11-23T00:00:00Z')

/** The log of a node with an entry a minute by its publisher's clock, which says `told` of the real time. */
function logOf(count: number, told: (minute: number) => number, oldest = 1) {
  const entries = Array.from({ length: count }, (_, i): LogEntry => {
    const at = new Date(START + told(i) * MINUTE).toISOString()
    return { seq: oldest + i, type: 'changed', at, via: 'push', overall: 'LOCKED' }
  })
  let reads = 0
  return {
    seq: oldest + count - 1,
    reads: () => reads,
    store: {
      log: async (_: string, { after, limit }: { after: number; limit: number }) => {
        reads += 1
        return entries.filter(({ seq }) => seq > after).slice(0, limit)
      },
    },
  }
}

async function within(log: ReturnType<typeof logOf>, from: number, to: number): Promise<number[]> {
  const span = { from: START + from * MINUTE, to: START + to * MINUTE }
  const found: number[] = []
  for await (const page of entriesWithin(log.store, 'a', log.seq, span))
    found.push(...page.map(({ seq }) => seq))
  return found
}

const YEARS = 30_000_000

test.each([
  ['far back, for good', (minute: number) => (minute < 1_500 ? minute : minute - YEARS)],
  [
    'far back, and right again',
    (minute: number) => (minute < 1_500 || minute > 3_700 ? minute : minute - YEARS),
  ],
  ['back by a day', (minute: number) => (minute < 1_500 ? minute : minute - 1_440)],
])('no entry of a span is left out when the clock of the publisher is set %s', async (_, told) => {
  const log = logOf(4_000, told, 5_001)
  const expected = Array.from({ length: 4_000 }, (_, i) => i)
    .filter((minute) => told(minute) >= 1_300 && told(minute) <= 1_480)
    .map((minute) => minute + 5_001)
  expect(await within(log, 1_300, 1_480)).toEqual(expected)
})

test('of a long log the newest pages alone are read for what is new, and the entry before them', async () => {
  const log = logOf(20_000, (minute) => minute, 80_001)
  expect(await within(log, 19_998, 20_000)).toEqual([99_999, 100_000])
  const entries: LogEntry[] = []
  for await (const page of entriesSince(log.store, 'a', log.seq, START + 19_500 * MINUTE))
    entries.push(...page)
  expect(entries[0]?.seq).toBeLessThan(99_501)
  expect(entries.length).toBeLessThanOrEqual(1_000)
  expect(log.reads()).toBeLessThan(50)
})

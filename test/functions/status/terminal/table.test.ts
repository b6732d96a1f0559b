import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import { shortDuration, fleetTable } from '#functions/status/terminal/table.ts'
import type { NodeState } from '#shared/state/document.ts'
import { defaultSettings } from '#shared/state/merge/draft.ts'
import { shownOf } from '#functions/status/shown.ts'
import { isoTime } from '#shared/time.ts'
import { defaultShown, clockAt, lockedNode } from '../../fleet.ts'

const NOW = Date.parse('2026-11-23T12:00:00Z')
const PLAIN = { columns: 100, colour: false }

const table = (states: readonly NodeState[], options = PLAIN) =>
  fleetTable(
    states.map((state) => shownOf(state, NOW, defaultShown)),
    { now: NOW, staleAfterMs: defaultSettings.staleAfterMs },
    options,
  )

const publisher = { url: 'http://p', dialect: 'red-hat-v2', reachable: false, checkedAt: isoTime(NOW) }

/** A node of which everything is known, and everything is long. */
const everything = lockedNode('a-rather-long-name-of-a-node.site-0815.region-north.example.com', NOW, {
  publisher,
  counters: {
    received: 9,
    duplicate: 1,
    late: 2,
    missed: 1234,
    quarantined: 0,
    clockSteps: 0,
    suspect: 0,
    transitions: 0,
  },
  clocks: [
    clockAt(NOW - 300_000, 'lock-state', 'ens1', { state: 'HOLDOVER' }),
    clockAt(NOW, 'lock-state', 'ens2', {}),
    clockAt(NOW, 'os-clock-sync-state', 'CLOCK_REALTIME', {}),
    clockAt(NOW, 'clock-class', 'ens1', { state: null, metrics: { clockClass: '6' } }),
    clockAt(NOW, 'clock-class', 'ens2', { state: null, metrics: { clockClass: '248' } }),
    clockAt(NOW, 'gnss-sync-status', 'ens1', { state: 'ANTENNA-DISCONNECTED' }),
    clockAt(NOW, 'sync-state', 'node', { state: 'HOLDOVER' }),
    clockAt(NOW, 'synce-lock-state', 'synce1/ens1', { state: 'FREERUN' }),
    clockAt(NOW, 'synce-clock-quality', 'synce1/ens1', { state: null, metrics: { ql: '15' } }),
  ],
})

test('a fleet in lock is a line a node, without columns that nobody has', () => {
  const states = [
    lockedNode('a', NOW - 42_000, { publisher: { ...publisher, reachable: true } }),
    lockedNode('b', NOW),
  ]
  expect(table(states)).toEqual([
    'NODE  OVERALL  FOR  FLAGS  LOCK    OS CLOCK  PUBLISHER  MISSED',
    'a     LOCKED   42s  -      LOCKED  LOCKED    up         0',
    'b     LOCKED   0s   -      LOCKED  LOCKED    -          0',
  ])
})

test('a node that discovery finds no more is gone, not just down', () => {
  const gone = { ...publisher, reachable: false, goneSince: isoTime(NOW) }
  const [, line = ''] = table([lockedNode('a', NOW, { publisher: gone })])
  expect(line.split(/ {2,}/)).toEqual(['a', 'LOCKED', '0s', '-', 'LOCKED', 'LOCKED', 'gone', '0'])
})

test('each kind shows its worst clock, and FOR the age of the state that decides', () => {
  const [, line = ''] = table([everything], { columns: 200, colour: false })
  expect(line.split(/ {2,}/)).toEqual([
    'a-rather-long-name-of-a-node.site-0815.…',
    'HOLDOVER',
    '5m',
    '3h left',
    'stale',
    'HOLDOVER?',
    'LOCKED',
    '248',
    'ANTENNA-DISCO…',
    'HOLDOVER',
    'FREERUN',
    '15',
    'down',
    '1234',
  ])
})

test.each([200, 120, 100, 80, 60, 40, 1])(
  'no line is wider than %i columns, as far as name and state allow',
  (columns) => {
    const lines = table([everything, lockedNode('b', NOW)], { columns, colour: false })
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(Math.max(columns, 18))
    for (const line of lines.slice(1)) expect(line).toMatch(/HOLDOVER|LOCKED/)
  },
)

test('colours change no character and no width', () => {
  const plain = table([everything])
  const coloured = table([everything], { columns: 100, colour: true })
  expect(coloured.map(stripVTControlCharacters).map((line) => line.trimEnd())).toEqual(plain)
  expect(coloured[1]).toContain('\u001b[33mHOLDOVER')
})

test('a name that would move the cursor does not', () => {
  const [, line = ''] = table([lockedNode('a\u001b[2Jb\r\nc\u0007', NOW)])
  expect(line).toMatch(/^ab\?\?c\? {2}LOCKED/)
})

test('a node of which nothing is known is UNKNOWN, and an empty fleet has no table', () => {
  expect(table([lockedNode('a', NOW, { clocks: [] })])[1]).toMatch(/^a {5}UNKNOWN {2}- /)
  expect(table([])).toEqual([])
})

test('what is old looks old', () => {
  const old = { ...publisher, reachable: true, checkedAt: isoTime(NOW - 300_000) }
  const [, line = ''] = table([lockedNode('a', NOW - 200_000, { publisher: old })])
  expect(line.split(/ {2,}/)).toEqual(['a', 'UNKNOWN', '-', 'stale', 'LOCKED?', 'LOCKED?', 'up 5m ago', '0'])
})

test('a publisher that was seen up in our future is not known to be', () => {
  const ahead = { ...publisher, reachable: true, checkedAt: isoTime(NOW + 3_600_000) }
  expect(table([lockedNode('a', NOW, { publisher: ahead })])[1]).toContain('  up ?')
})

test('a clock that is suspect shows what it was told, and a node that is blind no word without doubt', () => {
  const suspect = { told: 'FREERUN', at: isoTime(NOW), receivedAt: isoTime(NOW) }
  const clocks = [
    clockAt(NOW, 'lock-state', 'ens1', { suspect }),
    clockAt(NOW, 'os-clock-sync-state', 'CLOCK_REALTIME', {}),
  ]
  const down = { ...publisher, reachable: false, checkedAt: isoTime(NOW), blindSince: isoTime(NOW) }
  const rows = table([
    lockedNode('a', NOW, { clocks }),
    lockedNode('b', NOW, { publisher: down }),
    lockedNode('c', NOW, { clocks, publisher: down }),
  ]).map((line) => line.split(/ {2,}/).slice(1, 6))
  expect(rows).toEqual([
    ['OVERALL', 'FOR', 'FLAGS', 'LOCK', 'OS CLOCK'],
    ['UNKNOWN', '-', 'suspect', 'FREERUN?', 'LOCKED'],
    ['UNKNOWN', '-', 'blind', 'LOCKED?', 'LOCKED?'],
    ['UNKNOWN', '-', 'blind,…', 'FREERUN?', 'LOCKED?'],
  ])
})

test('names that are too long can still be told apart', () => {
  const name = (i: number) => `a-rather-long-name-of-a-node-${i}.region-north.example.com`
  const names = [1, 2, 3].map((i) => lockedNode(name(i), NOW))
  const lines = table(names, { columns: 60, colour: false }).slice(1)
  expect(new Set(lines.map((line) => line.split(' ')[0])).size).toBe(3)
})

test('a stale LOCKED stands before a fresh one, and behind a fresh HOLDOVER', () => {
  const lockCell = (...clocks: ReturnType<typeof clockAt>[]) => {
    const [head = [], line = []] = table([lockedNode('a', NOW, { clocks })]).map((each) =>
      each.split(/ {2,}/),
    )
    return line[head.indexOf('LOCK')]
  }
  const stale = clockAt(NOW - 200_000, 'lock-state', 'ens1', {})
  expect(lockCell(stale, clockAt(NOW, 'lock-state', 'ens2', {}))).toBe('LOCKED?')
  expect(lockCell(stale, clockAt(NOW, 'lock-state', 'ens2', { state: 'HOLDOVER' }))).toBe('HOLDOVER')
})

test.each([
  ['in lock since the last of its clocks is', 'LOCKED', [-50_000, -20_000], '20s'],
  ['free-running since the first of its clocks is', 'FREERUN', [-50_000, -20_000], '50s'],
  ['at least as long in a state as the poll that first showed it', 'FREERUN', [null, -20_000], '≥40s'],
])('a node is %s', (_, state, since, shown) => {
  const clocks = since.map((ago, i) =>
    clockAt(NOW, 'lock-state', `ens${i}`, {
      state,
      since: ago === null ? null : isoTime(NOW + ago),
      pull: { state, metrics: {}, sentAt: isoTime(NOW - 40_000), receivedAt: isoTime(NOW) },
    }),
  )
  clocks.push(clockAt(NOW - 90_000, 'os-clock-sync-state', 'CLOCK_REALTIME', {}))
  expect(table([lockedNode('a', NOW, { clocks })])[1]?.split(/ {2,}/)[2]).toBe(shown)
})

test.each([
  [-5_000, '0s'],
  [0, '0s'],
  [119_999, '119s'],
  [120_000, '2m'],
  [7_199_999, '119m'],
  [7_200_000, '2h'],
  [172_799_999, '47h'],
  [172_800_000, '2d'],
])('%i ms are %s', (ms, text) => {
  expect(shortDuration(ms)).toBe(text)
})

test.each([
  [{ hours: 1, clockClass: '248' }, '3h left'],
  [{ hours: 3.5, clockClass: '7' }, '30m left'],
  [{ hours: 4, clockClass: '248' }, 'spent'],
  [{ hours: 1, clockClass: '165' }, 'out of spec'],
])('HOLDOVER of %j is %s', ({ hours, clockClass }, expected) => {
  const clocks = [
    clockAt(NOW, 'lock-state', 'ens1', { state: 'HOLDOVER', since: isoTime(NOW - hours * 3_600_000) }),
    clockAt(NOW, 'clock-class', 'ens1', { state: null, metrics: { clockClass } }),
  ]
  const [head = [], line = []] = table([lockedNode('a', NOW, { clocks })]).map((each) => each.split(/ {2,}/))
  expect(line[head.indexOf('HOLDOVER')]).toBe(expected)
})

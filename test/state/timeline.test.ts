import { describe, expect, test } from 'vitest'
import { createTimeline, type TimeSpan } from '#shared/state/timeline.ts'
import type { LogEntry } from '#shared/state/document.ts'
import { defaultSettings } from '#shared/state/merge/draft.ts'
import { type NodeView, viewOf } from '#shared/state/view.ts'
import { clockAt, lockedNode } from '../functions/fleet.ts'

const NOW = Date.parse('2026-11-28T12:00:00Z')
const at = (minutes: number) => new Date(NOW - minutes * 60_000).toISOString()
const DAY = { from: NOW - 86_400_000, to: NOW }

let seq = 0
const entry = (fields: Omit<LogEntry, 'seq' | 'via'>): LogEntry => ({ seq: ++seq, via: 'push', ...fields })
const overall = (minutes: number, from: string, to: string) =>
  entry({ type: 'overall', from, to, at: at(minutes), overall: to })
const changed = (minutes: number, from: string, to: string, node: string) =>
  entry({
    type: 'changed',
    kind: 'lock-state',
    instance: 'ens5fx/master',
    from,
    to,
    at: at(minutes),
    overall: node,
  })

const timelineOf = (view: NodeView, entries: readonly LogEntry[], span: TimeSpan) => {
  const timeline = createTimeline(view, span, NOW)
  for (const each of entries) timeline.add([each])
  return timeline.end()
}
const locked = (seenAt = NOW) => viewOf(lockedNode('n', seenAt), NOW, defaultSettings)
const nodeLane = (view = locked(), entries: readonly LogEntry[] = [], span = DAY) => {
  const { lanes, ...numbers } = timelineOf(view, entries, span)
  return { ...numbers, spans: lanes[0]?.spans.map(({ from, to, state, doubt }) => [from, to, state, doubt]) }
}

test('an empty log covers nothing: no state, no availability', () => {
  expect(nodeLane()).toMatchObject({
    coveredFrom: null,
    availability: null,
    uncoveredSeconds: 86_400,
    spans: [[at(1440), at(0), 'UNKNOWN', 'not covered']],
  })
})

test('a node that fell silent is UNKNOWN since then, whatever else has been silent for longer', () => {
  const { clocks } = lockedNode('n', NOW - 600_000)
  const gnss = clockAt(NOW - 7_200_000, 'gnss-sync-status', 'ens5fx/master', { state: 'SYNCHRONIZED' })
  const view = viewOf(lockedNode('n', NOW, { clocks: [...clocks, gnss] }), NOW, defaultSettings)
  expect(nodeLane(view, [overall(60, 'UNKNOWN', 'LOCKED')]).spans?.slice(1)).toEqual([
    [at(60), at(10), 'LOCKED', null],
    [at(10), at(0), 'UNKNOWN', 'stale'],
  ])
})

test('from an entry before one that is missing to the next of a clock the log covers nothing', () => {
  const [first, , third] = [
    overall(60, 'UNKNOWN', 'LOCKED'),
    overall(50, 'LOCKED', 'FREERUN'),
    overall(40, 'HOLDOVER', 'LOCKED'),
  ]
  const found = nodeLane(locked(), [first, third])
  expect(found.spans?.slice(1)).toEqual([
    [at(60), at(40), 'UNKNOWN', 'not covered'],
    [at(40), at(0), 'LOCKED', null],
  ])
  expect(found).toMatchObject({ availability: 1, seconds: { LOCKED: 2_400, UNKNOWN: 0 } })
  const lockLane = (entries: readonly LogEntry[], since = NOW) => {
    const { clocks } = lockedNode('n', NOW)
    const dated = clocks.map((clock) => ({ ...clock, since: new Date(since).toISOString() }))
    const view = viewOf(lockedNode('n', NOW, { clocks: dated }), NOW, defaultSettings)
    const lane = timelineOf(view, entries, DAY).lanes.find(({ kind }) => kind === 'lock-state')
    return lane?.spans.slice(1).map(({ from, to, state, doubt }) => [from, to, state, doubt])
  }
  const told = changed(60, 'UNKNOWN', 'LOCKED', 'LOCKED')
  const missing = changed(50, 'LOCKED', 'FREERUN', 'FREERUN')
  const later = changed(40, 'FREERUN', 'LOCKED', 'LOCKED')
  expect(lockLane([told, missing, later])?.[1]).toEqual([at(50), at(40), 'FREERUN', null])
  expect(lockLane([told, later])).toEqual([
    [at(60), at(40), 'UNKNOWN', 'not covered'],
    [at(40), at(0), 'LOCKED', null],
  ])
  // Its own view tells since when it has been as it is.
  expect(lockLane([told, overall(20, 'FREERUN', 'LOCKED')], NOW - 30 * 60_000)).toEqual([
    [at(60), at(30), 'UNKNOWN', 'not covered'],
    [at(30), at(0), 'LOCKED', null],
  ])
})

test('a leap second is a time like any other', () => {
  const leap = '2016-12-31T23:59:60.123456789Z'
  const clocks = lockedNode('n', NOW).clocks.map((clock) => ({ ...clock, since: leap }))
  const view = viewOf(lockedNode('n', NOW, { clocks }), NOW, defaultSettings)
  const entries = [{ ...overall(0, 'UNKNOWN', 'LOCKED'), at: leap }]
  const from = Date.parse('2016-12-31T23:00:00Z')
  expect(nodeLane(view, entries, { from, to: from + 7_200_000 })).toMatchObject({
    coveredFrom: '2017-01-01T00:00:00.123Z',
    availability: 1,
  })
})

test('a log that reaches back only so far is not taken to reach further', () => {
  const entries = [
    overall(600, 'UNKNOWN', 'LOCKED'),
    overall(120, 'LOCKED', 'FREERUN'),
    overall(60, 'FREERUN', 'LOCKED'),
  ]
  expect(nodeLane(locked(), entries)).toMatchObject({
    coveredFrom: at(600),
    seconds: { FREERUN: 3_600, HOLDOVER: 0, UNKNOWN: 0, LOCKED: 540 * 60 },
    uncoveredSeconds: 840 * 60,
    availability: 0.9,
    spans: [
      [at(1440), at(600), 'UNKNOWN', 'not covered'],
      [at(600), at(120), 'LOCKED', null],
      [at(120), at(60), 'FREERUN', null],
      [at(60), at(0), 'LOCKED', null],
    ],
  })
  const earlier = { from: NOW - 86_400_000, to: NOW - 601 * 60_000 }
  expect(nodeLane(locked(), entries, earlier)).toMatchObject({ coveredFrom: null, availability: null })
})

test('what was before the span decides how it begins', () => {
  const entries = [
    overall(3000, 'UNKNOWN', 'LOCKED'),
    overall(2000, 'LOCKED', 'HOLDOVER'),
    overall(720, 'HOLDOVER', 'LOCKED'),
  ]
  expect(nodeLane(locked(), entries)).toMatchObject({
    coveredFrom: at(1440),
    uncoveredSeconds: 0,
    availability: 0.5,
    seconds: { HOLDOVER: 43_200, LOCKED: 43_200 },
  })
})

test('a span in the past ends where it was asked to', () => {
  const entries = [overall(300, 'UNKNOWN', 'LOCKED'), overall(150, 'LOCKED', 'FREERUN')]
  const span = { from: NOW - 240 * 60_000, to: NOW - 120 * 60_000 }
  expect(nodeLane(locked(), entries, span)).toMatchObject({
    seconds: { LOCKED: 90 * 60, FREERUN: 30 * 60 },
    availability: 0.75,
  })
})

test('a span that ends in the future covers up to now', () => {
  const span = { from: NOW - 3_600_000, to: NOW + 3_600_000 }
  expect(nodeLane(locked(), [overall(120, 'UNKNOWN', 'LOCKED')], span)).toMatchObject({
    uncoveredSeconds: 3_600,
    availability: 1,
  })
})

test('time alone makes a node UNKNOWN: LOCKED ends where nothing confirmed it any more', () => {
  const view = locked(NOW - 30 * 60_000)
  expect(view.overall).toBe('UNKNOWN')
  expect(nodeLane(view, [overall(60, 'UNKNOWN', 'LOCKED')])).toMatchObject({
    seconds: { LOCKED: 30 * 60, UNKNOWN: 30 * 60 },
    availability: 0.5,
  })
})

test('a stale stretch is in doubt until it is confirmed again', () => {
  const entries = [
    overall(60, 'UNKNOWN', 'LOCKED'),
    entry({ type: 'stale', notAfter: at(40), overall: 'UNKNOWN' }),
    entry({ type: 'recovered', notAfter: at(20), overall: 'LOCKED' }),
  ]
  expect(nodeLane(locked(), entries).spans?.slice(1)).toEqual([
    [at(60), at(40), 'LOCKED', null],
    [at(40), at(20), 'UNKNOWN', 'stale'],
    [at(20), at(0), 'LOCKED', null],
  ])
})

test("a publisher's clock that was set back takes no time from what came before", () => {
  const entries = [
    overall(60, 'UNKNOWN', 'LOCKED'),
    overall(200, 'LOCKED', 'FREERUN'),
    overall(30, 'FREERUN', 'LOCKED'),
  ]
  const { seconds } = nodeLane(locked(), entries)
  expect(seconds).toEqual({ FREERUN: 1_800, HOLDOVER: 0, UNKNOWN: 0, LOCKED: 1_800 })
})

test('a lane for each clock: changes, what was missed, what is suspect', () => {
  const view = viewOf(
    {
      ...lockedNode('n', NOW),
      clocks: [
        clockAt(NOW, 'lock-state', 'ens5fx/master', {}),
        clockAt(NOW, 'clock-class', 'ens5fx/master', {
          state: null,
          metrics: { clockClass: '6' },
          since: at(90),
        }),
      ],
    },
    NOW,
    defaultSettings,
  )
  const entries = [
    overall(120, 'UNKNOWN', 'LOCKED'),
    changed(50, 'LOCKED', 'HOLDOVER', 'HOLDOVER'),
    entry({
      type: 'missed',
      kind: 'lock-state',
      instance: 'ens5fx/master',
      from: 'LOCKED',
      to: 'HOLDOVER',
      notBefore: at(51),
      notAfter: at(50),
      overall: 'HOLDOVER',
    }),
    entry({
      type: 'suspect',
      kind: 'lock-state',
      instance: 'ens5fx/master',
      told: 'FREERUN',
      at: at(30),
      overall: 'UNKNOWN',
    }),
    changed(20, 'UNKNOWN', 'LOCKED', 'LOCKED'),
  ]
  const { lanes } = timelineOf(view, entries, { from: NOW - 7_200_000, to: NOW })
  expect(lanes.map(({ kind }) => kind)).toEqual([null, 'lock-state', 'clock-class'])
  expect(lanes[1]?.spans.map(({ state, doubt }) => [state, doubt])).toEqual([
    ['LOCKED', null],
    ['HOLDOVER', null],
    ['UNKNOWN', 'suspect'],
    ['LOCKED', null],
  ])
  expect(lanes[1]?.missed).toEqual([{ notBefore: at(51), notAfter: at(50), from: 'LOCKED', to: 'HOLDOVER' }])
  expect(lanes[2]?.spans.at(-1)).toMatchObject({ state: '6', doubt: null, to: at(0) })
})

test('a silence that was found out only afterwards is not counted as LOCKED', () => {
  const entries = [
    overall(120, 'UNKNOWN', 'LOCKED'),
    entry({ type: 'recovered', notBefore: at(90), notAfter: at(30), overall: 'LOCKED' }),
  ]
  const span = { from: NOW - 120 * 60_000, to: NOW }
  expect(nodeLane(locked(), entries, span)).toMatchObject({
    availability: 0.5,
    seconds: { LOCKED: 3_600, UNKNOWN: 3_600 },
    spans: [
      [at(120), at(90), 'LOCKED', null],
      [at(90), at(30), 'UNKNOWN', 'stale'],
      [at(30), at(0), 'LOCKED', null],
    ],
  })
})

describe('the lanes', () => {
  const GNSS = { kind: 'gnss-sync-status', instance: 'old' }
  const span = { from: NOW - 120 * 60_000, to: NOW - 10 * 60_000 }
  const missed = (notBefore: number, notAfter: number) => {
    const bounds = { notBefore: at(notBefore), notAfter: at(notAfter) }
    return entry({ type: 'missed', ...GNSS, from: 'A', to: 'B', ...bounds, overall: 'LOCKED' })
  }
  const retired = (minutes: number) =>
    entry({ type: 'retired', ...GNSS, from: 'SYNCHRONIZED', notAfter: at(minutes), overall: 'LOCKED' })
  const restored = (minutes: number) => entry({ type: 'restored', notAfter: at(minutes), overall: 'LOCKED' })
  const lanesOf = (view: NodeView, entries: readonly LogEntry[]) =>
    timelineOf(view, entries, span).lanes.map(({ kind, spans, marks, missed: unseen }) => ({
      kind,
      spans: spans.map(({ from, to, state, doubt }) => [from, to, state, doubt]),
      marks: marks.map(({ at: time, type }) => [time, type]),
      missed: unseen.map(({ notBefore }) => notBefore),
    }))

  test('have what happened within the span alone, and a clock is in no state once it is retired', () => {
    const [node, lock, os, gnss] = lanesOf(locked(), [
      overall(150, 'UNKNOWN', 'LOCKED'),
      entry({ type: 'changed', ...GNSS, to: 'SYNCHRONIZED', at: at(149), overall: 'LOCKED' }),
      missed(148, 130),
      restored(125),
      missed(121, 119),
      restored(110),
      retired(100),
      restored(120),
      missed(11, 9),
      missed(9, 8),
      retired(9),
      restored(5),
    ])
    const always = [at(120), at(10), 'LOCKED', null]
    expect(node).toEqual({
      kind: null,
      spans: [always],
      marks: [
        [at(110), 'restored'],
        [at(100), 'restored'],
      ],
      missed: [],
    })
    expect(lock).toMatchObject({ kind: 'lock-state', marks: [] })
    expect(os).toMatchObject({ kind: 'os-clock-sync-state', marks: [] })
    expect(gnss).toEqual({
      kind: GNSS.kind,
      spans: [
        [at(120), at(100), 'SYNCHRONIZED', null],
        [at(100), at(10), '', 'not covered'],
      ],
      marks: [[at(100), 'retired']],
      missed: [at(121), at(11)],
    })
  })

  test('of clocks begin with what their first change tells was before, and end in doubt once they are stale', () => {
    const entries = [overall(100, 'UNKNOWN', 'LOCKED'), changed(90, 'HOLDOVER', 'LOCKED', 'LOCKED')]
    const [node, lock, os] = lanesOf(locked(NOW - 30 * 60_000), entries)
    const uncovered = (to: number) => [at(120), at(to), 'UNKNOWN', 'not covered']
    expect(node?.spans).toEqual([
      uncovered(100),
      [at(100), at(30), 'LOCKED', null],
      [at(30), at(10), 'UNKNOWN', 'stale'],
    ])
    expect(lock?.spans).toEqual([
      uncovered(100),
      [at(100), at(90), 'HOLDOVER', null],
      [at(90), at(30), 'LOCKED', null],
      [at(30), at(10), 'LOCKED', 'stale'],
    ])
    expect(os?.spans).toEqual([uncovered(30), [at(30), at(10), 'LOCKED', 'stale']])
  })

  test('show that a node is suspect, where that is why it is UNKNOWN', () => {
    const clocks = lockedNode('n', NOW - 30 * 60_000).clocks.map((clock) => ({
      ...clock,
      confirmedAt: at(20),
      suspect: { told: 'FREERUN', at: at(25), receivedAt: at(20) },
    }))
    const view = viewOf(lockedNode('n', NOW, { clocks }), NOW - 20 * 60_000, defaultSettings)
    expect(lanesOf(view, [overall(100, 'UNKNOWN', 'LOCKED')])[0]?.spans.at(-1)).toEqual([
      at(20),
      at(10),
      'UNKNOWN',
      'suspect',
    ])
  })

  test('an entry without a time is where the one before it is', () => {
    const [node] = lanesOf(locked(), [
      overall(100, 'UNKNOWN', 'LOCKED'),
      entry({ type: 'overall', from: 'LOCKED', to: 'FREERUN', overall: 'FREERUN' }),
      overall(50, 'FREERUN', 'LOCKED'),
    ])
    expect(node?.spans.slice(1)).toEqual([
      [at(100), at(50), 'FREERUN', null],
      [at(50), at(10), 'LOCKED', null],
    ])
  })
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { conditionOf } from '#shared/state/merge/overall.ts'
import { defaultSettings } from '#shared/state/merge/draft.ts'
import { mergePulls } from '#shared/state/merge/pull.ts'
import type { NodeState } from '#shared/state/document.ts'
import { answer, at, createNode, deepFreeze, ms, type Node, none, type Said } from '../builders.ts'

const LOCK = 'lock-state'
const OS = 'os-clock-sync-state'
const HOUR = 3600
const STALE = defaultSettings.staleAfterMs / 1000

/** A poll at a moment of real time, in seconds, by a process whose clock is `ahead`. */
function poll(node: Node, word: string, real: number, ahead = 0, queryTime = true) {
  const asked = { sent: real + ahead, received: real + ahead, at: real, queryTime }
  return node.poll(
    [LOCK, OS].map((kind) => answer(kind, [word], asked)),
    real + ahead,
  )
}

function push(node: Node, said: Said, real: number, ahead = 0) {
  for (const kind of [LOCK, OS]) node.push(kind, said, { at: real, received: real + ahead })
}

/** Polls of a publisher that is dead, and what is shown in between, for an hour and more after a step. */
function silence(node: Node, from: number, seconds: number): Set<string> {
  const seen = new Set<string>()
  for (let real = from; real < from + seconds; real += 20) {
    if (real % 60 === 0) node.poll([], real)
    seen.add(node.overall(real))
  }
  return seen
}

describe.each([
  ['ingest, poll and status', HOUR, HOUR],
  ['ingest', HOUR, 0],
  ['poll', 0, HOUR],
])('the clock of %s is an hour ahead and then set back', (_name, ingest, polls) => {
  test.each([true, false])('LOCKED ends within the time it always takes (query time: %s)', (queryTime) => {
    const node = createNode()
    push(node, 'LOCKED', 0, ingest)
    for (const real of [60, 120, 180]) poll(node, 'LOCKED', real, polls, queryTime)
    // The step, four polls that agree, and the publisher dies.
    for (const real of [240, 300, 360, 420]) poll(node, 'LOCKED', real, 0, queryTime)
    expect(node.overall(421)).toBe('LOCKED')
    expect(silence(node, 420 + STALE, 2 * HOUR)).toEqual(new Set(['UNKNOWN']))
    expect(conditionOf(node.state, ms(420 + STALE), defaultSettings).stale).toBe(true)
  })

  test('a publisher that dies at the step is not LOCKED, then or when our time catches up', () => {
    const node = createNode()
    push(node, 'LOCKED', 0, ingest)
    for (const real of [60, 120, 180]) poll(node, 'LOCKED', real, polls)
    expect(silence(node, 180 + STALE, 2 * HOUR)).toEqual(new Set(['UNKNOWN']))
  })

  test.each([true, false])(
    'polls that say LOCKED end a FREERUN of before the step (query time: %s)',
    (queryTime) => {
      const node = createNode()
      push(node, 'LOCKED', 0, ingest)
      poll(node, 'LOCKED', 60, polls, queryTime)
      push(node, 'FREERUN', 70, ingest)
      for (const real of [120, 180, 240]) poll(node, 'LOCKED', real, 0, queryTime)
      expect(node.overall(241)).toBe('LOCKED')
    },
  )

  test('a FREERUN that polls showed before the step is ended by those that say LOCKED', () => {
    const node = createNode()
    push(node, 'LOCKED', 0, ingest)
    for (const real of [60, 120]) poll(node, 'FREERUN', real, polls)
    for (const real of [180, 240, 300]) poll(node, 'LOCKED', real)
    expect(node.overall(301)).toBe('LOCKED')
  })
})

test('a publisher whose clock was set back with ours is read again', () => {
  const node = createNode()
  const stamped = (real: number, ahead: number) => ({ at: real + ahead, received: real + ahead })
  for (const kind of [LOCK, OS]) {
    node.push(kind, 'LOCKED', stamped(0, HOUR))
    node.push(kind, 'FREERUN', stamped(30, HOUR))
  }
  for (const real of [60, 120, 180]) poll(node, 'LOCKED', real)
  expect(node.overall(181)).toBe('LOCKED')
  expect(silence(node, 180 + STALE, 2 * HOUR)).toEqual(new Set(['UNKNOWN']))
})

test.each([
  ['as hosts may differ by confirms', 5, 'LOCKED'],
  ['confirms nothing, also before a poll replaces it', 5.001, 'UNKNOWN'],
])('a time as far ahead %s', (_, ahead, overall) => {
  const node = createNode()
  poll(node, 'LOCKED', 0, ahead)
  expect(node.overall(0)).toBe(overall)
})

test('a kind is not absent by a span in the future', () => {
  const node = createNode()
  for (let real = 0; real <= 240; real += 60) {
    node.poll(
      [
        none(LOCK, real + HOUR),
        answer(OS, ['LOCKED'], { at: real, sent: real + HOUR, received: real + HOUR }),
      ],
      real + HOUR,
    )
  }
  expect(node.overall(240 + HOUR)).toBe('LOCKED')
  node.push(OS, 'LOCKED', { at: 241 })
  expect(node.overall(241)).toBe('UNKNOWN')
  node.poll([none(LOCK, 300), answer(OS, ['LOCKED'], { at: 300 })])
  expect(node.overall(300)).toBe('UNKNOWN')
  expect(node.overall(240 + HOUR)).toBe('UNKNOWN')
  for (let real = 360; real <= 540; real += 60) {
    node.poll([none(LOCK, real), answer(OS, ['LOCKED'], { at: real })])
  }
  expect(node.overall(540)).toBe('LOCKED')
})

test('a stale clock that pulls do not name is not excused by a span in the future', () => {
  const node = createNode()
  push(node, 'LOCKED', 0)
  node.push(LOCK, 'LOCKED', { at: 0, instance: 'other' })
  const others = (real: number, ahead: number) =>
    node.poll(
      [LOCK, OS].map((kind) =>
        answer(kind, kind === LOCK ? { other: 'LOCKED' } : ['LOCKED'], {
          at: real,
          sent: real + ahead,
          received: real + ahead,
        }),
      ),
      real + ahead,
    )
  others(60, HOUR)
  node.push(OS, 'LOCKED', { at: 170 })
  node.push(LOCK, 'LOCKED', { at: 170, instance: 'other' })
  expect(node.overall(STALE - 1)).toBe('LOCKED')
  expect(node.overall(STALE)).toBe('UNKNOWN')
})

/** A document in which every time of ours is `time`. */
function documentOf(time: string): NodeState {
  const reading = { at: at(0), state: 'LOCKED', metrics: {}, receivedAt: time }
  const undated = { from: 'LOCKED', to: 'FREERUN', notAfter: at(0), sentAt: time }
  const span = { since: time, confirmedAt: time }
  return {
    ...createNode().state,
    clocks: [
      {
        ...{ kind: LOCK, instance: 'a', state: 'FREERUN', metrics: {}, since: null, observedAt: at(0) },
        ...{ receivedAt: time, confirmedAt: time, via: 'poll', contested: false, retired: false },
        ...{ pushes: [reading, { ...reading, at: at(-1) }], pushedAt: time },
        pull: { ...reading, sentAt: time },
        undated,
        overtaken: [undated],
        anchor: { at: at(0), receivedAt: time },
        suspect: { told: 'FREERUN', at: at(0), receivedAt: time },
        unnamed: span,
      },
    ],
    absent: { [OS]: span },
    publisher: {
      ...{ url: 'http://p', dialect: 'red-hat-v2', reachable: true, checkedAt: time },
      ...{ goneSince: time, reachedAt: time, unreachableSince: time, blindSince: time },
    },
    subscriptions: [{ kind: LOCK, address: '/a', id: '1', endpoint: 'http://c', confirmedAt: time }],
  }
}

test('the next poll replaces every time of ours that lies in the future, and no other', () => {
  const asked = { now: ms(52), poll: { startedAt: ms(51) } }
  const polled = (document: NodeState) =>
    mergePulls(deepFreeze(document), [], defaultSettings, asked).state ?? document
  const { clocks, absent, publisher, subscriptions } = polled(documentOf(at(HOUR)))
  const rewritten = { clocks, absent, publisher, subscriptions }
  expect(JSON.stringify(rewritten)).not.toContain(at(HOUR))
  const expected = documentOf(at(51))
  expect(rewritten).toEqual({
    clocks: expected.clocks.map((one) => ({
      ...one,
      confirmedAt: at(52 - STALE),
      pushedAt: undefined,
      unnamed: undefined,
    })),
    absent: {},
    publisher: expected.publisher,
    subscriptions: expected.subscriptions,
  })
  const past = documentOf(at(50))
  const [future] = documentOf(at(HOUR)).subscriptions
  expect(polled({ ...past, subscriptions: future ? [future] : [] })).toMatchObject({
    clocks: past.clocks,
    absent: past.absent,
    publisher: past.publisher,
  })
})

/** What our hosts' clocks do meanwhile: seconds that each is ahead of real time from then on. */
const steps = fc.array(
  fc.record({
    ingest: fc.integer({ min: -2 * HOUR, max: 2 * HOUR }),
    poll: fc.integer({ min: -2 * HOUR, max: 2 * HOUR }),
    publisher: fc.constantFrom(0, 0, -HOUR, 7),
    does: fc.array(
      fc.record({
        what: fc.constantFrom('push', 'poll', 'poll', 'none'),
        word: fc.constantFrom('LOCKED', 'LOCKED', 'FREERUN', 'HOLDOVER'),
        pause: fc.integer({ min: 0, max: 120 }),
      }),
      { minLength: 1, maxLength: 6 },
    ),
  }),
  { maxLength: 6 },
)

test('whatever our clocks did, polls of right clocks bring the word that they read, and silence is never LOCKED', () => {
  fc.assert(
    fc.property(
      steps,
      fc.boolean(),
      fc.constantFrom('LOCKED', 'FREERUN', 'HOLDOVER'),
      (life, queryTime, word) => {
        const node = createNode()
        let real = 0
        for (const { ingest, poll: polls, publisher, does } of life) {
          for (const { what, word: said, pause } of does) {
            real += pause
            for (const kind of [LOCK, OS]) {
              const at = real + publisher
              if (what === 'push') node.push(kind, said, { at, received: real + ingest })
            }
            const asked = { at: real + publisher, sent: real + polls, received: real + polls, queryTime }
            if (what === 'poll')
              node.poll(
                [LOCK, OS].map((kind) => answer(kind, [said], asked)),
                real + polls,
              )
            if (what === 'none') node.poll([], real + polls)
          }
        }
        real += 10
        for (let n = 0; n < 4; n++, real += 10) poll(node, word, real, 0, queryTime)
        expect(node.overall(real)).toBe(word)
        for (const clock of node.state.clocks) expect(clock.state).toBe(word)
        for (let silent = real + STALE; silent < real + 3 * HOUR; silent += 60) {
          node.poll([], silent)
          expect(node.overall(silent)).toBe(word === 'LOCKED' ? 'UNKNOWN' : word)
        }
      },
    ),
    { numRuns: 300 },
  )
})

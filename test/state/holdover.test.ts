import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { defaultSettings } from '#shared/state/merge/draft.ts'
import { CLOCK_CLASSES, holdoverOf } from '#shared/state/holdover.ts'
import type { ClockState, NodeState } from '#shared/state/document.ts'
import { viewOf } from '#shared/state/view.ts'
import { clockAt, lockedNode } from '../functions/fleet.ts'
import { isoTime } from '#shared/time.ts'

const NOW = Date.parse('2026-11-23T12:00:00Z')
const HOUR = 3_600_000
const BUDGET = 4 * HOUR

/** In HOLDOVER for an hour, with these clocks of classes; `publisher` as its document has it. */
function holdoverWith(
  clocks: readonly { clockClass: string; since?: string; suspect?: ClockState['suspect'] }[],
  publisher?: NodeState['publisher'],
) {
  const all = [
    clockAt(NOW - HOUR, 'lock-state', 'ens1/master', { state: 'HOLDOVER', confirmedAt: isoTime(NOW) }),
    ...clocks.map(({ clockClass, ...fields }, i) =>
      clockAt(NOW, 'clock-class', `ens${i}/master`, { state: null, metrics: { clockClass }, ...fields }),
    ),
  ]
  return holdoverOf(
    viewOf(lockedNode('a', NOW, { clocks: all, publisher }), NOW, defaultSettings),
    NOW,
    BUDGET,
  )
}

/** The holdover of a node, an hour after it began, with these clock classes. */
function holdover(
  about: { state?: string; hours?: number; labels?: Record<string, string>; staleClass?: boolean },
  ...classes: readonly string[]
) {
  const { state = 'HOLDOVER', hours = 1, labels = {}, staleClass = false } = about
  const since = NOW - hours * HOUR
  const clocks = [
    clockAt(NOW, 'lock-state', 'ens1/master', { state, since: isoTime(since) }),
    clockAt(NOW, 'os-clock-sync-state', 'CLOCK_REALTIME', {}),
    ...classes.map((clockClass, i) =>
      clockAt(NOW, 'clock-class', `ens${i}/master`, {
        state: null,
        metrics: { clockClass },
        since: isoTime(NOW - HOUR / 2),
        ...(staleClass && { confirmedAt: isoTime(NOW - 2 * HOUR) }),
      }),
    ),
  ]
  const view = viewOf(lockedNode('a', NOW, { clocks, labels }), NOW, defaultSettings)
  return holdoverOf(view, NOW, BUDGET)
}

test.each(['LOCKED', 'FREERUN', 'UNKNOWN'])('%s has no holdover', (state) => {
  expect(holdover({ state }, '7')).toBeNull()
})

describe('where no clock class says anything', () => {
  test.each([[[]], [['6']], [['248']], [['255']], [['0']], [['7.5']]])(
    '%j: the budget decides',
    (classes) => {
      expect(holdover({}, ...classes)).toEqual({
        budgetSeconds: 14_400,
        endsAt: isoTime(NOW + 3 * HOUR),
        inSpecification: true,
        clockClass: null,
      })
      expect(holdover({ hours: 4 }, ...classes)).toMatchObject({
        endsAt: isoTime(NOW),
        inSpecification: false,
      })
    },
  )

  test('a label of the publisher overrules the setting; any other text does not', () => {
    const budget = (text: string) => holdover({ labels: { 'holdover-budget-seconds': text } })
    expect(budget('7200')).toMatchObject({ budgetSeconds: 7_200, endsAt: isoTime(NOW + HOUR) })
    expect(budget('soon')).toMatchObject({ budgetSeconds: 14_400 })
  })

  test('a publisher whose clock is ahead of ours has no more than its budget', () => {
    expect(holdover({ hours: -1 })?.endsAt).toBe(isoTime(NOW + BUDGET))
  })
})

test.each(['7', '14', '135'])('class %s: within specification, and the budget goes on', (clockClass) => {
  expect(holdover({}, clockClass)).toEqual({
    budgetSeconds: 14_400,
    endsAt: isoTime(NOW + 3 * HOUR),
    inSpecification: true,
    clockClass,
  })
  expect(holdover({ hours: 5 }, clockClass)).toMatchObject({
    endsAt: isoTime(NOW - HOUR),
    inSpecification: true,
  })
})

test.each(['52', '58', '140', '150', '160', '165', '187', '193'])(
  'class %s: out of specification since it was announced, whatever the budget',
  (clockClass) => {
    expect(holdover({}, clockClass)).toEqual({
      budgetSeconds: 14_400,
      endsAt: isoTime(NOW - HOUR / 2),
      inSpecification: false,
      clockClass,
    })
  },
)

test('one class that is out of specification counts for all', () => {
  expect(holdover({}, '7', '165', '135')).toMatchObject({ inSpecification: false, clockClass: '165' })
})

test('a class that was announced before the holdover ends it when it begins', () => {
  expect(holdover({ hours: 0.25 }, '140')?.endsAt).toBe(isoTime(NOW - HOUR / 4))
})

test('nobody vouches for a stale class that says within; a stale one that says out stands', () => {
  expect(holdover({ staleClass: true }, '135')).toMatchObject({ inSpecification: true, clockClass: null })
  expect(holdover({ staleClass: true }, '165')).toMatchObject({ inSpecification: false, clockClass: '165' })
})

test('of several that say out, the first to say so tells since when', () => {
  const clocks = [
    { clockClass: '140', since: isoTime(NOW - HOUR / 4) },
    { clockClass: '165', since: isoTime(NOW - HOUR / 2) },
  ]
  expect(holdoverWith(clocks)).toMatchObject({ endsAt: isoTime(NOW - HOUR / 2), clockClass: '165' })
})

test('a class that says within is not believed while it is suspect, or its node blind', () => {
  const suspect = { told: '165', at: isoTime(NOW - HOUR), receivedAt: isoTime(NOW) }
  expect(holdoverWith([{ clockClass: '135', suspect }])).toMatchObject({ clockClass: null })
  const blind = {
    ...{ url: 'http://p', dialect: 'red-hat-v2', reachable: false, checkedAt: isoTime(NOW) },
    blindSince: isoTime(NOW),
  }
  expect(holdoverWith([{ clockClass: '135' }], blind)).toMatchObject({ clockClass: null })
  expect(holdoverWith([{ clockClass: '165' }], blind)).toMatchObject({ clockClass: '165' })
})

test('a class that was announced in a leap second', () => {
  expect(holdoverWith([{ clockClass: '140', since: '2016-12-31T23:59:60.5Z' }])).toMatchObject({
    endsAt: isoTime(NOW - HOUR),
    inSpecification: false,
  })
})

test('docs/holdover.md has the table as it is', () => {
  const page = readFileSync(new URL('../../docs/holdover.md', import.meta.url), 'utf8')
  for (const [clockClass, { meaning, says }] of Object.entries(CLOCK_CLASSES)) {
    expect(page).toContain(
      `| ${clockClass} | ${meaning} | ${says === 'within' ? 'within' : 'out of specification'} |`,
    )
  }
})

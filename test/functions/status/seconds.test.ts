import fc from 'fast-check'
import { expect, test } from 'vitest'
import { nextTurn, type SecondsInState, secondsInState } from '#functions/status/seconds.ts'
import { emptyNodeState, type NodeState } from '#shared/state/document.ts'
import { defaultSettings } from '#shared/state/merge/draft.ts'
import { mergePush } from '#shared/state/merge/push.ts'
import { isoTime } from '#shared/time.ts'
import { lockedNode } from '../fleet.ts'

const NOW = Date.parse('2026-11-23T12:00:00Z')
const STATES = ['FREERUN', 'HOLDOVER', 'UNKNOWN', 'LOCKED'] as const

function pushed(state: NodeState, word: string, now: number): NodeState {
  const reading = {
    node: 'a',
    kind: 'lock-state',
    instance: 'ens5fx/master',
    state: word,
    metrics: {},
    at: isoTime(now),
    receivedAt: isoTime(now),
    via: 'push',
  } as const
  return mergePush(state, [reading], defaultSettings, now).state ?? state
}

const steps = fc.array(
  fc.record({
    /** Milliseconds that pass before it. */
    after: fc.integer({ min: 0, max: 400_000 }),
    word: fc.constantFrom('LOCKED', 'HOLDOVER', 'FREERUN'),
    does: fc.constantFrom('push', 'scrape', 'restart'),
    /** By how much the clock of the host that writes is off. */
    skew: fc.integer({ min: -2_000, max: 2_000 }),
  }),
  { maxLength: 40 },
)

test('the seconds never fall, also where hosts differ and the process starts again, and are no more than have passed', () => {
  fc.assert(
    fc.property(steps, (all) => {
      let now = NOW
      let state = pushed(lockedNode('a', NOW, { incarnation: 'i' }), 'LOCKED', NOW + 1)
      let counting: SecondsInState | undefined
      let due = Number.NEGATIVE_INFINITY
      let before: Record<string, number> = { FREERUN: 0, HOLDOVER: 0, UNKNOWN: 0, LOCKED: 0 }
      for (const { after, word, does, skew } of all) {
        now += after
        if (does === 'push') {
          state = pushed(state, word, now + skew)
          due = Number.NEGATIVE_INFINITY
        }
        if (does === 'restart') counting = undefined
        if (counting === undefined || due <= now) {
          counting = secondsInState(state, now, defaultSettings, counting)
          due = nextTurn(state, now, defaultSettings)
        }
        const shown = { ...counting.at(now) }
        for (const each of STATES) expect(shown[each]).toBeGreaterThanOrEqual(before[each] ?? 0)
        const sum = STATES.reduce((total, each) => total + shown[each], 0)
        expect(sum).toBeLessThanOrEqual((now - NOW) / 1000 + 2)
        expect(sum).toBeGreaterThanOrEqual((now - NOW) / 1000 - 12)
        before = shown
      }
    }),
    { numRuns: 500 },
  )
})

test('another document of the node begins at nothing', () => {
  const spent = { FREERUN: 50_000, HOLDOVER: 0, UNKNOWN: 0, LOCKED: 0, until: isoTime(NOW) }
  const before = secondsInState({ ...lockedNode('a', NOW), spent }, NOW, defaultSettings, undefined)
  expect(before.at(NOW).FREERUN).toBe(50)
  const after = secondsInState(emptyNodeState('a', 'another'), NOW, defaultSettings, before)
  expect(after.at(NOW).FREERUN).toBe(0)
})

import { describe, expect, test } from 'vitest'
import fc from 'fast-check'
import { emptyNodeState, type NodeState } from '#shared/state/document.ts'
import { trim } from '#shared/state/store/trim.ts'

const at = (seq: number, forwarded?: number): NodeState => ({
  ...emptyNodeState('a', 'i'),
  seq,
  ...(forwarded === undefined ? {} : { forwarded }),
})

/** What writes leave of the log, and what was dropped of it before the broker had it. */
function written(states: readonly NodeState[], history: number) {
  let before: NodeState | undefined
  let through = 0
  let unsent = 0
  let trims = 0
  const kept: number[] = []
  for (const state of states) {
    const dropped = trim(before, state, history)
    if (dropped.through > 0) trims += 1
    through = Math.max(through, dropped.through)
    unsent += dropped.unsent
    kept.push(state.seq - through)
    before = state
  }
  return { through, unsent, trims, kept }
}

const growing = (length: number, forwarded?: (seq: number) => number) =>
  Array.from({ length }, (_, index) => at(index + 1, forwarded?.(index + 1)))

describe('what a write drops of the log', () => {
  test.each([
    [1, 1],
    [3, 3],
    [15, 15],
    [16, 17],
    [50, 55],
    [1000, 1099],
    [10_000, 10_099],
  ])('leaves at least the newest %i entries, and at most %i', (history, most) => {
    const { kept } = written(growing(history * 3), history)
    const full = kept.slice(history)
    expect(Math.min(...full)).toBe(history)
    expect(Math.max(...full)).toBe(most)
  })

  test('is nothing with most writes', () => {
    expect(written(growing(50 + 600), 50).trims).toBe(100)
  })

  test('is the same however many entries one write adds', () => {
    const states = growing(2000)
    const some = states.filter(({ seq }) => seq % 37 === 0 || seq === 2000)
    expect(written(some, 50).through).toBe(written(states, 50).through)
  })

  test('is nothing that the broker has not, up to twenty histories and an eighth of one', () => {
    const { kept, unsent, through } = written(
      growing(2000, () => 0),
      50,
    )
    expect(kept.slice(0, 1000)).toEqual(growing(1000).map(({ seq }) => seq))
    expect(Math.min(...kept.slice(1000))).toBe(1000)
    expect(Math.max(...kept)).toBe(1005)
    expect(unsent).toBe(through)
  })

  test('is counted as unsent once, each entry that the broker will never have', () => {
    const anyHistory = fc.integer({ min: 1, max: 40 })
    const anySteps = fc.array(
      fc.record({ added: fc.integer({ min: 0, max: 300 }), sent: fc.integer({ min: 0, max: 300 }) }),
      { minLength: 1, maxLength: 60 },
    )
    fc.assert(
      fc.property(anyHistory, anySteps, (history, steps) => {
        const states: NodeState[] = []
        const lost = new Set<number>()
        let seq = 0
        let forwarded = 0
        let through = 0
        for (const { added, sent } of steps) {
          seq += added
          forwarded = Math.min(seq, forwarded + sent)
          const state = at(seq, forwarded)
          const dropped = trim(states.at(-1), state, history).through
          for (let number = Math.max(through, forwarded) + 1; number <= dropped; number += 1) lost.add(number)
          through = Math.max(through, dropped)
          expect(seq - through).toBeGreaterThanOrEqual(Math.min(seq, history))
          states.push(state)
        }
        expect(written(states, history).unsent).toBe(lost.size)
      }),
    )
  })
})

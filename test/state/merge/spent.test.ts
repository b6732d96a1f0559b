import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { emptyNodeState, parseDocument } from '#shared/state/document.ts'
import { defaultSettings } from '#shared/state/merge/draft.ts'
import { spentBy } from '#shared/state/merge/spent.ts'
import { answer, at, createNode, ms, type Node, NODE, none } from '../builders.ts'

const LOCK = 'lock-state'
const OS = 'os-clock-sync-state'
const STATES = ['FREERUN', 'HOLDOVER', 'UNKNOWN', 'LOCKED'] as const

/** Seconds in each state up to `seconds`; states without any are left out. */
function spent(node: Node, seconds: number) {
  const all = Object.entries(spentBy(node.state, ms(seconds), defaultSettings))
  return Object.fromEntries(all.filter(([, time]) => time > 0).map(([state, time]) => [state, time / 1000]))
}

function both(node: Node, lock: string, seconds: number, os = 'LOCKED') {
  return node.poll([answer(LOCK, [lock], { at: seconds }), answer(OS, [os], { at: seconds })])
}

describe('the time in each state', () => {
  test('goes to the state that the node was in', () => {
    const node = createNode()
    both(node, 'LOCKED', 0)
    expect(spent(node, 30)).toEqual({ LOCKED: 30 })
    node.push(LOCK, 'HOLDOVER', { at: 40 })
    expect(spent(node, 40)).toEqual({ LOCKED: 40 })
    node.push(LOCK, 'FREERUN', { at: 50 })
    node.push(LOCK, 'LOCKED', { at: 52 })
    expect(spent(node, 60)).toEqual({ LOCKED: 48, HOLDOVER: 10, FREERUN: 2 })
  })

  test('is UNKNOWN from the second at which nothing confirms LOCKED any more, whoever looks and whenever', () => {
    const node = createNode()
    both(node, 'LOCKED', 0)
    expect(spent(node, 179)).toEqual({ LOCKED: 179 })
    expect(spent(node, 1_000)).toEqual({ LOCKED: 180, UNKNOWN: 820 })
    // Nobody looked meanwhile; what is written then says the same.
    both(node, 'LOCKED', 1_000)
    expect(spent(node, 1_010)).toEqual({ LOCKED: 190, UNKNOWN: 820 })
  })

  test('is UNKNOWN from the second at which a kind is known to be absent no longer', () => {
    const node = createNode()
    for (const seconds of [0, 60, 120, 180, 240])
      node.poll([none(LOCK, seconds), answer(OS, ['LOCKED'], { at: seconds })])
    node.push(OS, 'LOCKED', { at: 400 })
    expect(spent(node, 500)).toEqual({ UNKNOWN: 240 + 80, LOCKED: 180 })
  })

  test('is UNKNOWN from the second at which a silent clock is excused no longer, since pulls have stopped', () => {
    const node = createNode()
    const os = answer(OS, ['LOCKED'], { at: 0 })
    node.poll([answer(LOCK, { a: 'LOCKED', b: 'LOCKED' }, { at: 0 }), os])
    node.poll([answer(LOCK, { a: 'LOCKED' }, { at: 60 })])
    node.push(LOCK, 'LOCKED', { at: 150, instance: 'a' })
    node.push(OS, 'LOCKED', { at: 150 })
    expect(spent(node, 300)).toEqual({ LOCKED: 240, UNKNOWN: 60 })
  })

  test('is UNKNOWN up to the second at which our time catches up with the one at which it was confirmed', () => {
    const node = createNode()
    both(node, 'LOCKED', 0)
    node.push(LOCK, 'LOCKED', { at: 10, received: 100 })
    const { spent: counted, ...rest } = node.state
    const until = at(10)
    const back = createNode(defaultSettings, { ...rest, ...(counted && { spent: { ...counted, until } }) })
    expect(spent(back, 150)).toMatchObject({ UNKNOWN: 85 })
  })

  test('is not counted before the first write, nor in a document that does not count it yet', () => {
    expect(spentBy(emptyNodeState(NODE, 'i'), ms(60), defaultSettings)).toEqual({
      FREERUN: 0,
      HOLDOVER: 0,
      UNKNOWN: 0,
      LOCKED: 0,
    })
  })

  test('does not fall, and counts nothing twice, when our clock is set back', () => {
    const node = createNode()
    both(node, 'LOCKED', 3_600)
    both(node, 'LOCKED', 3_700)
    both(node, 'LOCKED', 100)
    expect(spent(node, 100)).toEqual({ LOCKED: 100 })
    both(node, 'LOCKED', 160)
    expect(spent(node, 160)).toEqual({ LOCKED: 160 })
  })

  test('counts once where two hosts whose clocks differ by seconds write in turn', () => {
    const node = createNode()
    both(node, 'LOCKED', 100)
    for (let seconds = 160; seconds < 700; seconds += 60) {
      both(node, 'LOCKED', seconds)
      node.push('gnss-sync-status', 'SYNCHRONIZED', { at: seconds, received: seconds - 3 })
    }
    expect(spent(node, 700)).toEqual({ LOCKED: 600 })
  })

  test('never falls and never exceeds what has passed, whatever comes', () => {
    const steps = fc.array(
      fc.record({
        after: fc.integer({ min: 0, max: 400 }),
        lock: fc.constantFrom('LOCKED', 'HOLDOVER', 'FREERUN', 'UNKNOWN'),
        by: fc.constantFrom('push', 'poll', 'nobody'),
      }),
      { maxLength: 30 },
    )
    fc.assert(
      fc.property(steps, (all) => {
        const node = createNode()
        both(node, 'LOCKED', 0)
        let seconds = 0
        let before = spentBy(node.state, ms(0), defaultSettings)
        for (const { after, lock, by } of all) {
          seconds += after
          if (by === 'push') node.push(LOCK, lock, { at: seconds })
          if (by === 'poll') both(node, lock, seconds)
          const now = spentBy(node.state, ms(seconds), defaultSettings)
          for (const state of STATES) expect(now[state]).toBeGreaterThanOrEqual(before[state])
          expect(STATES.reduce((sum, state) => sum + now[state], 0)).toBe(seconds * 1000)
          before = now
        }
      }),
    )
  })
})

describe('changes of the overall state', () => {
  test('are counted with the log entry of each', () => {
    const node = createNode()
    both(node, 'LOCKED', 0)
    node.push(LOCK, 'FREERUN', { at: 10 })
    node.push(LOCK, 'FREERUN', { at: 11 })
    node.push(LOCK, 'LOCKED', { at: 20 })
    node.poll([], 400)
    const logged = node.log.filter(({ type }) => type === 'overall')
    expect(logged.map(({ to }) => to)).toEqual(['LOCKED', 'FREERUN', 'LOCKED', 'UNKNOWN'])
    expect(node.state.counters.transitions).toBe(4)
  })

  test('start at 0 in a document from before they were counted', () => {
    const { spent: _, ...document } = createNode().state
    const { transitions: __, ...counters } = document.counters
    const read = parseDocument(NODE, JSON.stringify({ ...document, counters }))
    expect(read.counters.transitions).toBe(0)
    const node = createNode(defaultSettings, read)
    both(node, 'LOCKED', 0)
    expect(node.state.counters.transitions).toBe(1)
  })
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { answer, at, createNode } from '../builders.ts'

const LOCK = 'lock-state'
const OS = 'os-clock-sync-state'

/** A node in lock since 100, by pushes. */
function locked() {
  const node = createNode()
  for (const kind of [LOCK, OS]) node.push(kind, 'LOCKED', { at: 100 })
  return node
}

describe('a worse push that is older than what was known for longer than pushes take', () => {
  test.each([
    ['older than a newer push by less than the reorder time', 99, 106],
    ['older by the whole reorder time', 40, 106],
  ])('%s makes its clock suspect, and the node UNKNOWN', (_, stamped, received) => {
    const node = locked()
    expect(node.push(LOCK, 'FREERUN', { at: stamped, received })).toBe('suspect')
    expect(node.overall(received)).toBe('UNKNOWN')
    expect(node.clock(LOCK)).toMatchObject({ state: 'LOCKED', suspect: { told: 'FREERUN', at: at(stamped) } })
    expect(node.log.filter(({ type }) => type === 'suspect')).toMatchObject([
      { kind: LOCK, from: 'LOCKED', to: 'UNKNOWN', told: 'FREERUN', at: at(stamped), overall: 'UNKNOWN' },
    ])
    expect(node.log.at(-1)).toMatchObject({ type: 'overall', to: 'UNKNOWN', at: at(stamped) })
    expect(node.state.counters.suspect).toBe(1)
  })

  test.each([
    ['LOCKED', 'LOCKED'],
    ['FREERUN', 'FREERUN'],
    ['HOLDOVER', 'HOLDOVER'],
  ])('until the next pull, which says %s', (word, overall) => {
    const node = locked()
    node.push(LOCK, 'FREERUN', { at: 99, received: 110 })
    node.poll([answer(LOCK, [word], { at: 120 }), answer(OS, ['LOCKED'], { at: 120 })])
    expect(node.overall(121)).toBe(overall)
    expect(node.clock(LOCK).suspect).toBeUndefined()
  })

  test('a pull that was asked before it came ends nothing', () => {
    const node = locked()
    node.push(LOCK, 'FREERUN', { at: 99, received: 110 })
    node.poll([answer(LOCK, ['LOCKED'], { sent: 109, at: 109, received: 111 })])
    expect(node.overall(112)).toBe('UNKNOWN')
  })

  test.each([
    ['within the time that pushes take it is late', { at: 99, received: 105 }, 'late'],
    ['one older by more than the reorder time applies at once', { at: 39, received: 110 }, 'applied'],
  ])('%s', (_, when, fate) => {
    expect(locked().push(LOCK, 'FREERUN', when)).toBe(fate)
  })

  test('is so too where another push has just come in', () => {
    const node = locked()
    for (const seconds of [130, 131]) node.push(LOCK, 'LOCKED', { at: seconds })
    expect(node.push(LOCK, 'FREERUN', { at: 120, received: 132 })).toBe('late')
    expect(node.push(LOCK, 'FREERUN', { at: 99, received: 133 })).toBe('suspect')
  })

  test('one that is no worse is late', () => {
    const node = locked()
    expect(node.push(LOCK, 'LOCKED', { at: 99, received: 200 })).toBe('late')
    node.push(LOCK, 'FREERUN', { at: 210 })
    expect(node.push(LOCK, 'HOLDOVER', { at: 209, received: 300 })).toBe('late')
    expect(node.state.counters.suspect).toBe(0)
  })

  test('repeated, it is told once; a worse word is told again', () => {
    const node = locked()
    expect(node.push(LOCK, 'HOLDOVER', { at: 98, received: 110 })).toBe('suspect')
    expect(node.push(LOCK, 'HOLDOVER', { at: 98, received: 111 })).toBe('duplicate')
    expect(node.push(LOCK, 'FREERUN', { at: 99, received: 112 })).toBe('suspect')
    expect(node.clock(LOCK).suspect?.told).toBe('FREERUN')
  })

  test('what is worse than UNKNOWN stands', () => {
    const node = createNode()
    node.push(OS, 'LOCKED', { at: 100 })
    node.push(LOCK, 'HOLDOVER', { at: 100 })
    expect(node.push(LOCK, 'FREERUN', { at: 99, received: 110 })).toBe('suspect')
    expect(node.overall(111)).toBe('HOLDOVER')
    expect(node.log.at(-1)).toMatchObject({ type: 'suspect', to: 'HOLDOVER' })
  })

  test('is so too where a push of another word has its very time', () => {
    const node = locked()
    node.push(LOCK, 'HOLDOVER', { at: 110 })
    node.push(LOCK, 'LOCKED', { at: 120 })
    expect(node.push(LOCK, 'FREERUN', { at: 110, received: 130 })).toBe('suspect')
  })

  test('is merely late where a Broker delivers it, since Brokers repeat what they have', () => {
    expect(locked().push(LOCK, 'FREERUN', { at: 99, received: 110 }, 'broker')).toBe('late')
  })
})

describe('a FREERUN stamped before a pull that agreed on LOCKED', () => {
  test.each([
    ['seconds before, and comes soon after, is late', 158, 162, 'late', 'LOCKED'],
    ['seconds before, and comes long after, makes the clock suspect', 158, 170, 'suspect', 'UNKNOWN'],
    ['after it applies', 160.1, 160.5, 'applied', 'FREERUN'],
  ])('%s', (_, stamped, received, fate, overall) => {
    const node = locked()
    node.poll([answer(LOCK, ['LOCKED'], { at: 160 }), answer(OS, ['LOCKED'], { at: 160 })])
    expect(node.push(LOCK, 'FREERUN', { at: stamped, received })).toBe(fate)
    expect(node.overall(received)).toBe(overall)
  })
})

test('what rule 3 applied is a duplicate when it comes again', () => {
  const node = locked()
  expect(node.push(LOCK, 'FREERUN', { at: 10, received: 110 })).toBe('applied')
  expect(node.push(LOCK, 'FREERUN', { at: 10, received: 111 })).toBe('duplicate')
  node.push(LOCK, 'LOCKED', { at: 120 })
  expect(node.push(LOCK, 'FREERUN', { at: 10, received: 121 })).toBe('duplicate')
  expect(node.overall(122)).toBe('LOCKED')
})

describe('an event without a time', () => {
  test('worsens, dated by its receipt, and the next pull sets the clock anew', () => {
    const node = locked()
    expect(node.push(LOCK, 'FREERUN', { at: 110, timeFrom: 'receipt' })).toBe('applied')
    expect(node.overall(111)).toBe('FREERUN')
    expect(node.clock(LOCK)).toMatchObject({ state: 'FREERUN', since: null, timeFrom: 'receipt' })
    expect(node.log.at(-2)).toMatchObject({ type: 'changed', to: 'FREERUN', notAfter: at(110) })
    node.poll([answer(LOCK, ['LOCKED'], { at: 112 })])
    expect(node.overall(113)).toBe('LOCKED')
    expect(node.clock(LOCK).timeFrom).toBeUndefined()
  })

  test('never betters: neither a clock that is worse nor one that is unknown', () => {
    const node = createNode()
    node.push(OS, 'LOCKED', { at: 100 })
    node.push(LOCK, 'FREERUN', { at: 100 })
    expect(node.push(LOCK, 'LOCKED', { at: 110, timeFrom: 'receipt' })).toBe('late')
    expect(node.overall(111)).toBe('FREERUN')
    const fresh = createNode()
    for (const kind of [LOCK, OS])
      expect(fresh.push(kind, 'LOCKED', { at: 100, timeFrom: 'receipt' })).toBe('applied')
    expect(fresh.overall(101)).toBe('UNKNOWN')
    expect(fresh.clock(LOCK)).toMatchObject({ state: 'UNKNOWN', since: null })
  })

  test('orders nothing: pushes with a time go on as they were', () => {
    const node = locked()
    node.push(LOCK, 'FREERUN', { at: 110, timeFrom: 'receipt' })
    expect(node.push(LOCK, 'LOCKED', { at: 105, received: 112 })).toBe('applied')
    expect(node.overall(113)).toBe('LOCKED')
  })
})

test('whatever comes, no worse push leaves its clock LOCKED beyond the time that pushes take', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -120, max: 30 }),
      fc.double({ min: 5.001, max: 300, noNaN: true }),
      fc.constantFrom('FREERUN', 'HOLDOVER'),
      (stamp, delay, word) => {
        const node = locked()
        node.push(LOCK, word, { at: 100 + stamp, received: 100 + delay })
        expect(node.overall(100 + delay)).not.toBe('LOCKED')
      },
    ),
  )
})

import { describe, expect, test } from 'vitest'
import { nodeState } from '#shared/state/document.ts'
import { answer, at, createNode, none } from '../builders.ts'

const LOCK = 'lock-state'
const OS = 'os-clock-sync-state'
const SYNC = 'sync-state'
const GNSS = 'gnss-sync-status'

/** A node whose clock a push has put in a state at second 0. */
function pushed(word: string, kind = LOCK) {
  const node = createNode()
  node.push(kind, word, { at: 0 })
  node.news()
  return node
}

describe('the first pull of a clock', () => {
  test('makes it known, without a time at which its state began', () => {
    const node = createNode()
    node.poll([answer(LOCK, ['LOCKED'], { sent: 9.9, at: 10, received: 10.1 })])
    expect(node.clock(LOCK)).toMatchObject({
      state: 'LOCKED',
      since: null,
      observedAt: at(10),
      receivedAt: at(10.1),
      confirmedAt: at(10.1),
      via: 'poll',
    })
    expect(node.news()).toEqual(['changed lock-state →LOCKED (..10)'])
  })

  test('of a kind without a word has its numbers', () => {
    const node = createNode()
    node.poll([answer('clock-class', [{ clockClass: '6' }], { at: 10 })])
    expect(node.clock('clock-class')).toMatchObject({ state: null, metrics: { clockClass: '6' } })
    expect(node.news()).toEqual(['changed clock-class →6 (..10)'])
  })

  test('never makes it missed', () => {
    const node = createNode()
    for (const seconds of [10, 70, 130]) node.poll([answer(LOCK, ['LOCKED'], { at: seconds })])
    expect(node.state.counters.missed).toBe(0)
  })

  test('of a 257th clock changes nothing', () => {
    const node = createNode()
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`p${n}`, 'LOCKED']))
    node.poll([answer(LOCK, many, { at: 10 })])
    expect(node.state.clocks).toHaveLength(64)
    expect(node.log.filter(({ type }) => type === 'changed')).toHaveLength(64)
  })
})

describe('rule 4: agreement confirms, nothing else does', () => {
  test('a confirmation is written once the stored one is a third of the way to stale', () => {
    const node = pushed('LOCKED')
    node.poll([answer(LOCK, ['LOCKED'], { at: 59 })])
    expect(node.clock(LOCK).confirmedAt).toBe(at(0))
    node.poll([answer(LOCK, ['LOCKED'], { at: 60, received: 60.5 })])
    expect(node.clock(LOCK)).toMatchObject({
      confirmedAt: at(60.5),
      observedAt: at(60),
      since: at(0),
      state: 'LOCKED',
    })
    expect(node.news()).toEqual([])
  })

  test('with one that is due, all of the same poll are written', () => {
    const node = pushed('LOCKED')
    node.push(OS, 'LOCKED', { at: 50 })
    node.poll([answer(LOCK, ['LOCKED'], { at: 60 }), answer(OS, ['LOCKED'], { at: 60 })])
    expect([node.clock(LOCK).confirmedAt, node.clock(OS).confirmedAt]).toEqual([at(60), at(60)])
  })

  test('an answer without a reading confirms nothing and changes nothing', () => {
    const node = pushed('LOCKED')
    const before = node.state
    node.poll([answer(LOCK, [], { at: 100 })])
    node.poll([answer(LOCK, [], { at: 110, named: ['ens5fx/master'] })])
    node.poll([], 120)
    expect(node.state).toEqual(before)
  })

  test('a pull that disagrees, and may not better the state, confirms nothing', () => {
    const node = createNode()
    node.push(LOCK, 'FREERUN', { at: 98 })
    node.poll([answer(LOCK, ['LOCKED'], { at: 100 })])
    expect(node.clock(LOCK)).toMatchObject({ state: 'FREERUN', confirmedAt: at(98) })
  })
})

describe('rule 5: worse at once, better with care', () => {
  test.each([
    ['LOCKED', 'FREERUN'],
    ['LOCKED', 'HOLDOVER'],
    ['LOCKED', 'UNKNOWN'],
    ['HOLDOVER', 'FREERUN'],
    ['UNKNOWN', 'HOLDOVER'],
  ])('%s becomes %s at once, also right after a push', (from, to) => {
    const node = createNode()
    node.push(LOCK, from, { at: 99 })
    node.news()
    node.poll([answer(LOCK, [to], { at: 100 })])
    expect(node.clock(LOCK)).toMatchObject({ state: to, since: null, via: 'poll' })
    expect(node.news()[0]).toBe(`changed lock-state ${from}→${to} (99..100)`)
  })

  test('a better state waits for 5 s after the newest push was received', () => {
    const node = createNode()
    node.push(LOCK, 'FREERUN', { at: 0, received: 10 })
    node.poll([answer(LOCK, ['LOCKED'], { sent: 14.999, at: 15 })])
    expect(node.clock(LOCK).state).toBe('FREERUN')
    node.poll([answer(LOCK, ['LOCKED'], { sent: 15, at: 15.1 })])
    expect(node.clock(LOCK)).toMatchObject({ state: 'LOCKED', since: null })
  })

  test('it waits after every push, also one that was late and worse', () => {
    const node = createNode()
    node.push(LOCK, 'LOCKED', { at: 0 })
    node.push(LOCK, 'HOLDOVER', { at: 100 })
    node.poll([answer(LOCK, ['LOCKED'], { at: 104 })])
    expect(node.clock(LOCK).state).toBe('HOLDOVER')
    node.push(LOCK, 'FREERUN', { at: 10, received: 104 })
    node.poll([answer(LOCK, ['LOCKED'], { at: 108 })])
    expect(node.clock(LOCK).state).toBe('FREERUN')
    node.poll([answer(LOCK, ['LOCKED'], { at: 109 })])
    expect(node.clock(LOCK).state).toBe('LOCKED')
  })

  test('it waits also where a worse pull came between', () => {
    const node = createNode()
    node.push(LOCK, 'HOLDOVER', { at: 0 })
    node.poll([answer(LOCK, ['FREERUN'], { at: 1 })])
    node.poll([answer(LOCK, ['LOCKED'], { at: 3 })])
    expect(node.clock(LOCK).state).toBe('FREERUN')
  })

  test('a better state that equals the newest push is taken at once', () => {
    const node = createNode()
    node.push(LOCK, 'LOCKED', { at: 0 })
    node.poll([answer(LOCK, ['FREERUN'], { at: 1 })])
    node.poll([answer(LOCK, ['LOCKED'], { at: 2 })])
    expect(node.clock(LOCK).state).toBe('LOCKED')
  })

  test('a better state of a clock that no push has told of is taken at once', () => {
    const node = createNode()
    node.poll([answer(LOCK, ['FREERUN'], { at: 1 })])
    node.poll([answer(LOCK, ['LOCKED'], { at: 2 })])
    expect(node.clock(LOCK).state).toBe('LOCKED')
  })

  test('what is neither better nor worse counts as better', () => {
    const node = createNode()
    node.push(GNSS, 'FAILURE-NOFIX', { at: 0 })
    node.poll([answer(GNSS, ['ANTENNA-DISCONNECTED'], { at: 1 })])
    expect(node.clock(GNSS).state).toBe('FAILURE-NOFIX')
    node.poll([answer(GNSS, ['ANTENNA-DISCONNECTED'], { at: 6 })])
    expect(node.clock(GNSS).state).toBe('ANTENNA-DISCONNECTED')
  })

  test.each(['FREERUN', 'LOCKED'])('a push dated after the pull stands against its %s', (word) => {
    const node = createNode()
    node.push(LOCK, 'HOLDOVER', { at: 10.2 })
    node.poll([answer(LOCK, [word], { sent: 10, at: 10.1, received: 10.3 })])
    expect(node.clock(LOCK)).toMatchObject({ state: 'HOLDOVER', since: at(10.2) })
  })

  test('where the pull has no time of its own, a push received after it was sent stands', () => {
    const node = createNode()
    node.push(LOCK, 'HOLDOVER', { at: 3600, received: 10.2 })
    node.poll([answer(LOCK, ['FREERUN'], { sent: 10.1, at: 3600.1, received: 10.3, queryTime: false })])
    expect(node.clock(LOCK).state).toBe('HOLDOVER')
    node.poll([answer(LOCK, ['FREERUN'], { sent: 10.3, at: 3600, received: 10.4, queryTime: false })])
    expect(node.clock(LOCK).state).toBe('FREERUN')
  })

  test.each([
    ['LOCKED', 'FREERUN'],
    ['FREERUN', 'LOCKED'],
  ])('an answer %s that was overtaken by a later one, %s, changes nothing', (slow, fast) => {
    for (const contested of [false, true]) {
      const say = (word: string) => (contested ? [word, word] : [word])
      const node = createNode()
      node.poll([answer(OS, say(fast), { sent: 12, at: 12.1, received: 12.2 })])
      node.news()
      node.initial(answer(OS, say(slow), { sent: 10, at: 10.1, received: 14, via: 'initial' }))
      expect(node.clock(OS).state).toBe(fast)
      expect(node.news()).toEqual([])
    }
  })

  test('where pulls have no time of their own, one that was overtaken may still worsen', () => {
    const node = createNode()
    const slow = { sent: 10, at: 10, received: 14, queryTime: false, via: 'initial' } as const
    node.poll([answer(LOCK, ['HOLDOVER'], { sent: 12, at: 12, queryTime: false })])
    node.initial(answer(LOCK, ['LOCKED'], slow))
    expect(node.clock(LOCK).state).toBe('HOLDOVER')
    node.initial(answer(LOCK, ['FREERUN'], slow))
    expect(node.clock(LOCK).state).toBe('FREERUN')
  })
})

describe('rule 6: a transition that only a pull shows', () => {
  test('is bounded by the last agreement and the pull, and missed if the next poll finds it undated', () => {
    const node = pushed('LOCKED')
    node.poll([answer(LOCK, ['LOCKED'], { at: 100 })])
    node.poll([answer(LOCK, ['FREERUN'], { at: 160, received: 160.2 })])
    expect(node.news()).toEqual([
      'changed lock-state LOCKED→FREERUN (100..160)',
      'overall UNKNOWN→FREERUN (100..160)',
    ])
    expect(node.state.counters.missed).toBe(0)
    node.poll([answer(LOCK, ['FREERUN'], { at: 220 })])
    expect(node.news()).toEqual(['missed lock-state LOCKED→FREERUN (100..160)'])
    expect(node.state.counters.missed).toBe(1)
    node.poll([answer(LOCK, ['FREERUN'], { at: 280 })])
    expect(node.news()).toEqual([])
    expect(node.clock(LOCK).since).toBeNull()
  })

  test('is missed also if the next poll brings no answer', () => {
    const node = pushed('LOCKED')
    node.poll([answer(LOCK, ['FREERUN'], { at: 60 })])
    node.poll([], 120)
    expect(node.state.counters.missed).toBe(1)
  })

  test('is missed before the next poll shows yet another', () => {
    const node = pushed('LOCKED')
    node.poll([answer(LOCK, ['HOLDOVER'], { at: 60 })])
    node.news()
    node.poll([answer(LOCK, ['FREERUN'], { at: 120 })])
    expect(node.news()).toEqual([
      'missed lock-state LOCKED→HOLDOVER (0..60)',
      'changed lock-state HOLDOVER→FREERUN (60..120)',
      'overall HOLDOVER→FREERUN (60..120)',
    ])
  })

  test('has until 5 s after the pull to be dated, also where polls come faster', () => {
    const node = pushed('LOCKED')
    node.poll([answer(LOCK, ['FREERUN'], { at: 60 })])
    node.poll([answer(LOCK, ['FREERUN'], { at: 64.9 })])
    expect(node.state.counters.missed).toBe(0)
    node.poll([answer(LOCK, ['FREERUN'], { at: 65 })])
    expect(node.state.counters.missed).toBe(1)
  })

  test('is missed also where the clock has become contested since', () => {
    const node = pushed('LOCKED', OS)
    node.poll([answer(OS, ['FREERUN'], { at: 60 })])
    node.poll([answer(OS, ['FREERUN', 'LOCKED'], { at: 62 })])
    node.poll([answer(OS, ['FREERUN', 'LOCKED'], { at: 120 })])
    expect(node.state.counters.missed).toBe(1)
  })

  test('is missed also where another push has come since', () => {
    const node = pushed('LOCKED')
    node.poll([answer(LOCK, ['FREERUN'], { at: 60 })])
    node.push(LOCK, 'LOCKED', { at: 70 })
    node.news()
    node.poll([answer(LOCK, ['LOCKED'], { at: 120 })])
    expect(node.news()).toEqual(['missed lock-state LOCKED→FREERUN (0..60)'])
  })

  test('is bounded on our clock where the pull has no time of its own', () => {
    const node = createNode()
    node.push(LOCK, 'LOCKED', { at: 3600, received: 0 })
    node.news()
    node.poll([answer(LOCK, ['FREERUN'], { at: 3660, sent: 60, received: 60.1, queryTime: false })])
    expect(node.news()[0]).toBe('changed lock-state LOCKED→FREERUN (0..60.1)')
  })

  test.each([
    [LOCK, 'LOCKED', 'FREERUN', 1],
    [OS, 'LOCKED', 'FREERUN', 1],
    ['synce-lock-state', 'LOCKED', 'FREERUN', 1],
    ['clock-class', { clockClass: '6' }, { clockClass: '248' }, 1],
    ['synce-clock-quality', { ql: '1' }, { ql: '15' }, 1],
    [GNSS, 'SYNCHRONIZED', 'ACQUIRING-SYNC', 0],
    [SYNC, 'FREERUN', 'LOCKED', 0],
    ['mock', 'ON', 'OFF', 0],
  ] as const)('of %s, from %j to %j, counts as missed %d times', (kind, before, after, missed) => {
    const node = createNode()
    node.push(kind, before, { at: 0 })
    for (const seconds of [60, 120]) node.poll([answer(kind, [after], { at: seconds })])
    expect(node.log.filter(({ type }) => type === 'changed')).toHaveLength(2)
    expect(node.log.filter(({ type }) => type === 'missed')).toHaveLength(missed)
    expect(node.state.counters.missed).toBe(missed)
  })
})

describe('rule 7: a clock of which a pull has several entries', () => {
  test('is contested, and as bad as its worst entry', () => {
    const node = pushed('LOCKED', OS)
    node.poll([answer(OS, ['LOCKED', 'FREERUN', 'HOLDOVER'], { at: 60 })])
    expect(node.clock(OS)).toMatchObject({ state: 'FREERUN', contested: true, since: null })
  })

  test('is contested also while its entries agree', () => {
    const node = pushed('LOCKED', OS)
    node.poll([answer(OS, ['LOCKED', 'LOCKED'], { at: 60 })])
    expect(node.clock(OS)).toMatchObject({ state: 'LOCKED', contested: true, since: at(0) })
    expect(node.news()).toEqual([])
  })

  test('counts with the pushes dated after the pull, though they came before it', () => {
    const node = createNode()
    node.push(OS, 'HOLDOVER', { at: 10.2 })
    node.push(OS, 'LOCKED', { at: 10.3 })
    node.poll([answer(OS, ['LOCKED', 'LOCKED'], { sent: 10, at: 10.1, received: 10.4 })])
    expect(node.clock(OS)).toMatchObject({ state: 'HOLDOVER', contested: true, observedAt: at(10.2) })
  })

  test('keeps the numbers and the time of the push that is worse than the pull which confirms it', () => {
    const node = createNode()
    node.poll([answer(OS, ['LOCKED', 'LOCKED'], { at: 0 })])
    node.push(OS, 'FREERUN', { at: 70.2, metrics: { offset: '-5000' } })
    node.poll([answer(OS, ['LOCKED', 'LOCKED'], { sent: 70, at: 70.1, received: 140 })])
    expect(node.clock(OS)).toMatchObject({
      state: 'FREERUN',
      observedAt: at(70.2),
      metrics: { offset: '-5000' },
      since: at(70.2),
    })
  })

  test('is set anew by the next pull, without a settle time', () => {
    const node = createNode()
    node.poll([answer(OS, ['FREERUN', 'LOCKED'], { at: 10 })])
    node.push(OS, 'FREERUN', { at: 11 })
    node.poll([answer(OS, ['LOCKED', 'LOCKED'], { at: 12 })])
    expect(node.clock(OS)).toMatchObject({ state: 'LOCKED', contested: true })
  })

  test('is contested no more once a pull has one entry, and its newer push is then the state', () => {
    const node = createNode()
    node.poll([answer(OS, ['FREERUN', 'LOCKED'], { at: 10 })])
    node.push(OS, 'HOLDOVER', { at: 12.1 })
    node.push(OS, 'LOCKED', { at: 12.2 })
    expect(node.clock(OS).state).toBe('FREERUN')
    node.poll([answer(OS, ['FREERUN'], { sent: 11.9, at: 12, received: 12.3 })])
    expect(node.clock(OS)).toMatchObject({ state: 'LOCKED', contested: false, since: at(12.2) })
  })

  test('betters with the time of the newest push, if the pull agrees with it', () => {
    const node = createNode()
    node.poll([answer(OS, ['FREERUN', 'LOCKED'], { at: 10 })])
    node.push(OS, 'LOCKED', { at: 20 })
    node.news()
    node.poll([answer(OS, ['LOCKED', 'LOCKED'], { at: 70 })])
    expect(node.clock(OS)).toMatchObject({ state: 'LOCKED', since: at(20) })
    expect(node.news()).toEqual([
      'changed os-clock-sync-state FREERUN→LOCKED @20',
      'overall FREERUN→UNKNOWN @20',
    ])
    node.poll([answer(OS, ['LOCKED', 'LOCKED'], { at: 130 })])
    expect(node.state.counters.missed).toBe(0)
  })

  test('that betters after a push has said that something did is not missed', () => {
    const node = createNode()
    node.poll([answer(OS, ['FREERUN', 'LOCKED'], { at: 10 })])
    node.push(OS, 'LOCKED', { at: 20 })
    node.poll([answer(OS, ['HOLDOVER', 'LOCKED'], { at: 70 })])
    expect(node.clock(OS)).toMatchObject({ state: 'HOLDOVER', since: null })
    node.poll([answer(OS, ['HOLDOVER', 'LOCKED'], { at: 130 })])
    expect(node.state.counters.missed).toBe(0)
  })

  test('that betters without a push is missed', () => {
    const node = createNode()
    node.poll([answer(OS, ['FREERUN', 'LOCKED'], { at: 10 })])
    node.poll([answer(OS, ['LOCKED', 'LOCKED'], { at: 70 })])
    node.poll([answer(OS, ['LOCKED', 'LOCKED'], { at: 130 })])
    expect(node.state.counters.missed).toBe(1)
  })
})

describe('rule 8: sync-state', () => {
  test('is bettered by a pull alone, at once', () => {
    const node = createNode()
    node.push(SYNC, 'FREERUN', { at: 0 })
    node.push(SYNC, 'LOCKED', { at: 1 })
    expect(node.clock(SYNC).state).toBe('FREERUN')
    node.poll([answer(SYNC, ['LOCKED'], { at: 2 })])
    expect(node.clock(SYNC)).toMatchObject({ state: 'LOCKED', since: null, contested: false })
  })

  test('is as bad as the worst push dated after the pull', () => {
    const node = createNode()
    node.push(SYNC, 'FREERUN', { at: 10.2 })
    node.push(SYNC, 'LOCKED', { at: 10.3 })
    node.poll([answer(SYNC, ['LOCKED'], { sent: 10, at: 10.1, received: 10.4 })])
    expect(node.clock(SYNC).state).toBe('FREERUN')
    node.poll([answer(SYNC, ['LOCKED'], { at: 11 })])
    expect(node.clock(SYNC).state).toBe('LOCKED')
  })

  test('betters by a pull to the worst of the pushes after it, not to the newest', () => {
    const node = createNode()
    node.push(SYNC, 'FREERUN', { at: 5 })
    node.push(SYNC, 'HOLDOVER', { at: 10.2 })
    node.push(SYNC, 'LOCKED', { at: 10.3 })
    node.poll([answer(SYNC, ['LOCKED'], { sent: 10, at: 10.1, received: 10.4 })])
    expect(node.clock(SYNC).state).toBe('HOLDOVER')
  })

  test('is never part of the state of the node', () => {
    const node = createNode()
    node.poll([LOCK, OS].map((kind) => answer(kind, ['LOCKED'], { at: 0 })))
    node.push(SYNC, 'FREERUN', { at: 1 })
    expect(node.overall(1)).toBe('LOCKED')
  })
})

describe('rule 9: an initial notification', () => {
  test('is a reading at query time: it dates nothing, and counts as received', () => {
    const node = createNode()
    node.initial(answer(LOCK, ['FREERUN'], { sent: 9, at: 10, via: 'initial' }))
    expect(node.clock(LOCK)).toMatchObject({ state: 'FREERUN', since: null, via: 'initial' })
    expect(node.log[0]?.via).toBe('initial')
    expect(node.news()[0]).toBe('changed lock-state →FREERUN (..10)')
    expect(node.state.counters.received).toBe(1)
  })

  test('betters with the care of a pull, and names several clocks like one', () => {
    const node = createNode()
    node.push(LOCK, 'FREERUN', { at: 8 })
    node.initial(
      answer(
        LOCK,
        { 'ens5fx/master': 'LOCKED', 'ens7fx/master': 'LOCKED' },
        { sent: 9, at: 10, via: 'initial' },
      ),
    )
    expect(node.clock(LOCK).state).toBe('FREERUN')
    expect(node.clock(LOCK, 'ens7fx/master').state).toBe('LOCKED')
  })

  test('retires no clock that it does not name', () => {
    const node = createNode()
    node.poll([answer(LOCK, { a: 'LOCKED', b: 'LOCKED' }, { at: 0 })])
    for (const seconds of [60, 300])
      node.initial(answer(LOCK, { a: 'LOCKED' }, { at: seconds, via: 'initial' }))
    expect(node.clock(LOCK, 'b')).not.toHaveProperty('unnamed')
    expect(node.clock(LOCK, 'b').retired).toBe(false)
  })
})

describe('rule 10: a clock that pulls no longer name', () => {
  const both = { a: 'LOCKED', b: 'FREERUN' }

  test('is not out of its node by time alone, when pulls have stopped', () => {
    const node = createNode()
    node.poll([answer(LOCK, { a: 'LOCKED', b: 'LOCKED' }, { at: 0 }), answer(OS, ['LOCKED'], { at: 0 })])
    node.poll([answer(LOCK, { a: 'LOCKED' }, { at: 60 }), answer(OS, ['LOCKED'], { at: 60 })])
    node.push(LOCK, 'LOCKED', { at: 150, instance: 'a' })
    node.push(OS, 'LOCKED', { at: 150 })
    expect([node.overall(239), node.overall(240)]).toEqual(['LOCKED', 'UNKNOWN'])
  })

  test('is not retired by two pulls with nothing but failures between them', () => {
    const node = createNode()
    node.poll([answer(LOCK, both, { at: 0 })])
    node.poll([answer(LOCK, { a: 'LOCKED' }, { at: 60 })])
    for (const seconds of [120, 180]) node.poll([], seconds)
    node.poll([answer(LOCK, { a: 'LOCKED' }, { at: 240 })])
    expect(node.clock(LOCK, 'b')).toMatchObject({ retired: false, state: 'FREERUN' })
    for (const seconds of [300, 360, 420]) node.poll([answer(LOCK, { a: 'LOCKED' }, { at: seconds })])
    expect(node.clock(LOCK, 'b').retired).toBe(true)
  })

  test('is retired after 180 s of pulls that name another: logged, and out of the node', () => {
    const node = createNode()
    node.poll([answer(LOCK, both, { at: 0 }), answer(OS, ['LOCKED'], { at: 0 })])
    node.news()
    for (const seconds of [60, 120, 180, 239]) {
      node.poll([answer(LOCK, { a: 'LOCKED' }, { at: seconds }), answer(OS, ['LOCKED'], { at: seconds })])
    }
    expect(node.clock(LOCK, 'b')).toMatchObject({ retired: false, state: 'FREERUN' })
    expect(node.overall(239)).toBe('FREERUN')
    node.news()
    node.poll([answer(LOCK, { a: 'LOCKED' }, { at: 240 }), answer(OS, ['LOCKED'], { at: 240 })])
    expect(node.clock(LOCK, 'b').retired).toBe(true)
    expect(node.news()).toEqual([
      'retired lock-state FREERUN→ (..240)',
      'recovered (..240)',
      'overall FREERUN→LOCKED (..240)',
    ])
    expect(node.overall(240)).toBe('LOCKED')
    node.poll([answer(LOCK, { a: 'LOCKED' }, { at: 300 })])
    expect(node.news()).toEqual([])
  })

  test('does not make a node stale or UNKNOWN between becoming stale and being retired', () => {
    const node = createNode()
    node.poll([answer(LOCK, { a: 'LOCKED', b: 'LOCKED' }, { at: 0 }), answer(OS, ['LOCKED'], { at: 0 })])
    node.news()
    for (const seconds of [60, 120, 180]) {
      const polled = [answer(LOCK, { a: 'LOCKED' }, { at: seconds }), answer(OS, ['LOCKED'], { at: seconds })]
      node.poll(polled)
      expect(node.overall(seconds)).toBe('LOCKED')
    }
    expect(node.overall(239)).toBe('LOCKED')
    expect(node.clock(LOCK, 'b').retired).toBe(false)
    node.poll([answer(LOCK, { a: 'LOCKED' }, { at: 240 }), answer(OS, ['LOCKED'], { at: 240 })])
    expect(node.clock(LOCK, 'b').retired).toBe(true)
    expect(node.news()).toEqual(['retired lock-state LOCKED→ (..240)'])
  })

  test.each(['FREERUN', 'HOLDOVER'])('that is stale in %s stands until then', (word) => {
    const node = createNode()
    node.poll([answer(LOCK, { a: 'LOCKED', b: word }, { at: 0 }), answer(OS, ['LOCKED'], { at: 0 })])
    for (const seconds of [60, 120, 180])
      node.poll([answer(LOCK, { a: 'LOCKED' }, { at: seconds }), answer(OS, ['LOCKED'], { at: seconds })])
    expect(node.overall(239)).toBe(word)
  })

  test('proves nothing while it leaves: where no other clock of its kind has a state, the node is UNKNOWN', () => {
    const node = createNode()
    node.poll([answer(LOCK, { b: 'LOCKED' }, { at: 0 }), answer(OS, ['LOCKED'], { at: 0 })])
    for (const seconds of [60, 120, 180]) {
      const namesAnother = answer(LOCK, {}, { at: seconds, named: ['a'] })
      node.poll([namesAnother, answer(OS, ['LOCKED'], { at: seconds })])
    }
    expect(node.overall(179)).toBe('LOCKED')
    expect(node.overall(181)).toBe('UNKNOWN')
  })

  test('is not retired by answers without a clock, by failures, or by pulls of another kind', () => {
    const node = createNode()
    node.poll([answer(LOCK, both, { at: 0 })])
    for (const seconds of [60, 400]) {
      node.poll([
        answer(LOCK, [], { at: seconds }),
        none(LOCK, seconds),
        answer(OS, ['LOCKED'], { at: seconds }),
      ])
    }
    expect(node.state.clocks.map(({ retired }) => retired)).toEqual([false, false, false])
  })

  test.each<[string, Parameters<typeof answer>[1], readonly string[]]>([
    ['a reading', both, []],
    ['its name without a reading', { a: 'LOCKED' }, ['b']],
  ])('begins anew with %s', (_, said, named) => {
    const node = createNode()
    node.poll([answer(LOCK, both, { at: 0 })])
    node.poll([answer(LOCK, { a: 'LOCKED' }, { at: 60 })])
    node.poll([answer(LOCK, said, { at: 120, named })])
    node.poll([answer(LOCK, { a: 'LOCKED' }, { at: 180 })])
    node.poll([answer(LOCK, { a: 'LOCKED' }, { at: 359 })])
    expect(node.clock(LOCK, 'b').retired).toBe(false)
    node.poll([answer(LOCK, { a: 'LOCKED' }, { at: 360 })])
    expect(node.clock(LOCK, 'b').retired).toBe(true)
  })

  test('a push that applies begins it anew', () => {
    const node = createNode()
    node.poll([answer(LOCK, both, { at: 0 })])
    node.poll([answer(LOCK, { a: 'LOCKED' }, { at: 60 })])
    node.push(LOCK, 'LOCKED', { at: 70, instance: 'b' })
    node.poll([answer(LOCK, { a: 'LOCKED' }, { at: 240 })])
    expect(node.clock(LOCK, 'b').retired).toBe(false)
  })

  test('comes back with the next reading, and no transition was missed', () => {
    const node = createNode()
    node.poll([answer(LOCK, both, { at: 0 })])
    for (const seconds of [60, 120, 180, 240]) node.poll([answer(LOCK, { a: 'LOCKED' }, { at: seconds })])
    node.news()
    node.poll([answer(LOCK, { a: 'LOCKED', b: 'LOCKED' }, { at: 300 })])
    expect(node.clock(LOCK, 'b')).toMatchObject({ retired: false, state: 'LOCKED', since: null })
    expect(node.news()).toEqual(['changed lock-state →LOCKED (..300)'])
    node.poll([answer(LOCK, { a: 'LOCKED', b: 'LOCKED' }, { at: 360 })])
    expect(node.state.counters.missed).toBe(0)
  })
})

describe('rule 3: a pull that proves that the clock of the publisher was set back', () => {
  test('begins the order anew: pushes apply again though they are older than what was', () => {
    const node = createNode()
    node.push(LOCK, 'LOCKED', { at: 5000, received: 0 })
    node.push(LOCK, 'LOCKED', { at: 5009, received: 9 })
    expect(node.push(LOCK, 'HOLDOVER', { at: 4999, received: 10 })).toBe('suspect')
    expect(node.poll([answer(LOCK, ['LOCKED'], { at: 20 })]).clockStepped).toBe(true)
    expect(node.state.counters.clockSteps).toBe(1)
    node.push(LOCK, 'LOCKED', { at: 28 })
    expect(node.push(LOCK, 'FREERUN', { at: 27, received: 29 })).toBe('late')
    expect(node.push(LOCK, 'HOLDOVER', { at: 30 })).toBe('applied')
    expect(node.clock(LOCK)).toMatchObject({ state: 'HOLDOVER', since: at(30) })
    expect(node.poll([answer(LOCK, ['HOLDOVER'], { at: 80 })]).clockStepped).toBe(false)
    expect(node.state.counters.clockSteps).toBe(1)
  })

  test('is counted once for all of the clocks of the node', () => {
    const node = createNode()
    for (const kind of [LOCK, OS]) node.push(kind, 'LOCKED', { at: 5000, received: 0 })
    node.poll([answer(GNSS, ['LOCKED'], { sent: 0, at: 5000, received: 0 })])
    node.poll([LOCK, OS].map((kind) => answer(kind, ['LOCKED'], { at: 20 })))
    expect(node.state.counters.clockSteps).toBe(1)
    expect(node.push(GNSS, 'SYNCHRONIZED', { at: 30 })).toBe('applied')
  })

  test('shows the state that it tells, at once', () => {
    const node = createNode()
    node.push(LOCK, 'FREERUN', { at: 5000, received: 0 })
    node.poll([answer(LOCK, ['LOCKED'], { at: 20 })])
    expect(node.clock(LOCK)).toMatchObject({ state: 'LOCKED', observedAt: at(20) })
  })

  test('a step back since the last pull is found as well', () => {
    const node = createNode()
    node.poll([answer(LOCK, ['LOCKED'], { sent: 0, at: 5000, received: 0 })])
    node.poll([answer(LOCK, ['LOCKED'], { at: 60 })])
    expect(node.state.counters.clockSteps).toBe(1)
    expect(node.push(LOCK, 'FREERUN', { at: 70 })).toBe('applied')
  })

  test('a push that came within 5 s before the pull was sent is no proof', () => {
    const node = createNode()
    node.push(LOCK, 'LOCKED', { at: 100.5, received: 100 })
    node.poll([answer(LOCK, ['LOCKED'], { sent: 104.9, at: 100.4, received: 105 })])
    expect(node.state.counters.clockSteps).toBe(0)
  })

  test('what comes in place of an initial notification proves nothing: it may be a late push', () => {
    const node = createNode()
    node.push(LOCK, 'LOCKED', { at: 100 })
    node.initial(answer(LOCK, ['HOLDOVER'], { sent: 110, at: 98, received: 111, via: 'initial' }))
    expect(node.state.counters.clockSteps).toBe(0)
    expect(node.clock(LOCK)).toMatchObject({ state: 'LOCKED', since: at(100) })
  })

  test.each([
    ['more than 60 s older than the newest push stands if it is worse', 39.9, 'FREERUN', 'FREERUN'],
    ['no more than 60 s older is late', 40, 'FREERUN', 'LOCKED'],
    ['however much older betters nothing', 39.9, 'LOCKED', 'HOLDOVER'],
  ])('an initial notification %s', (_, seconds, said, state) => {
    const node = createNode()
    node.push(LOCK, state === 'HOLDOVER' ? state : 'LOCKED', { at: 100 })
    node.initial(answer(LOCK, [said], { sent: 110, at: seconds, received: 111, via: 'initial' }))
    expect(node.clock(LOCK).state).toBe(state)
    expect(node.state.counters.clockSteps).toBe(0)
    node.poll([answer(LOCK, [said], { sent: 120, at: seconds + 9, received: 120 })])
    expect(node.state.counters.clockSteps).toBe(1)
    expect(node.clock(LOCK).state).toBe(said)
  })

  test('a pull without a time of its own proves nothing', () => {
    const node = createNode()
    node.push(LOCK, 'LOCKED', { at: 5000, received: 0 })
    node.poll([answer(LOCK, ['LOCKED'], { at: 60, queryTime: false })])
    expect(node.state.counters.clockSteps).toBe(0)
  })
})

describe('a push that pulls contradict', () => {
  const polls = (node: ReturnType<typeof createNode>, ...seconds: readonly number[]) =>
    seconds.map((second) => node.poll([answer(LOCK, ['FREERUN'], { at: second })]).disagreements.length)

  test('is told once it has been contradicted for longer than pushes may be under way', () => {
    const node = pushed('LOCKED')
    expect(polls(node, 60, 64.9, 65, 120)).toEqual([0, 0, 1, 1])
    expect(node.poll([answer(LOCK, ['FREERUN'], { at: 180 })]).disagreements).toEqual([
      { kind: LOCK, instance: 'ens5fx/master', pushed: 'LOCKED', pulled: 'FREERUN' },
    ])
  })

  test('is not told at the first pull that differs, however old the pull before', () => {
    const node = createNode()
    node.poll([answer(LOCK, ['LOCKED'], { at: 0 })])
    node.push(LOCK, 'LOCKED', { at: 30 })
    expect(polls(node, 60, 120)).toEqual([0, 1])
  })

  test('is told no more once a push agrees', () => {
    const node = pushed('LOCKED')
    polls(node, 60)
    node.push(LOCK, 'FREERUN', { at: 61 })
    expect(polls(node, 120)).toEqual([0])
  })

  test.each([GNSS, SYNC])('is not told of %s, whose pushes are known to be incomplete', (kind) => {
    const node = pushed('LOCKED', kind)
    for (const seconds of [60, 120, 180]) {
      expect(node.poll([answer(kind, ['FREERUN'], { at: seconds })]).disagreements).toEqual([])
    }
  })

  test('is not told of a clock that contradicts itself', () => {
    const node = pushed('LOCKED', OS)
    for (const seconds of [60, 120, 180]) {
      expect(node.poll([answer(OS, ['FREERUN', 'LOCKED'], { at: seconds })]).disagreements).toEqual([])
    }
  })
})

describe('a LOCKED push from before a pull that agreed', () => {
  test('does not better a clock that the pull still saw run free', () => {
    const node = createNode()
    node.push(LOCK, 'LOCKED', { at: 0 })
    node.poll([answer(LOCK, ['FREERUN'], { at: 60 })])
    node.poll([answer(LOCK, ['FREERUN'], { at: 70 })])
    // LOCKED at 65, FREERUN again at 67: the second push is lost, the first one late.
    node.push(LOCK, 'LOCKED', { at: 65, received: 71 })
    expect(node.clock(LOCK).state).toBe('FREERUN')
    node.push(LOCK, 'LOCKED', { at: 80 })
    expect(node.clock(LOCK).state).toBe('LOCKED')
  })
})

describe('two transitions that only pulls showed, within the settle time', () => {
  const twice = () => {
    const node = createNode()
    node.push(LOCK, 'LOCKED', { at: 0 })
    node.poll([answer(LOCK, ['HOLDOVER'], { at: 60 })])
    node.poll([answer(LOCK, ['FREERUN'], { at: 62 })])
    return node
  }
  const missed = (node: ReturnType<typeof createNode>) => node.log.filter(({ type }) => type === 'missed')

  test('leave the first one missed once the settle time is over without its push', () => {
    const node = twice()
    expect(missed(node)).toEqual([])
    node.poll([answer(LOCK, ['FREERUN'], { at: 72 })])
    expect(missed(node)[0]).toMatchObject({
      from: 'LOCKED',
      to: 'HOLDOVER',
      notBefore: at(0),
      notAfter: at(60),
    })
  })

  test('are both dated by pushes that were still queued at the publisher', () => {
    const node = twice()
    node.push(LOCK, 'HOLDOVER', { at: 59, received: 62.5 })
    node.push(LOCK, 'FREERUN', { at: 61, received: 62.6 })
    node.poll([answer(LOCK, ['FREERUN'], { at: 72 })])
    expect(missed(node)).toEqual([])
    expect(node.log.filter(({ type }) => type === 'delayed')).toHaveLength(2)
  })

  test('make the late push that dates the worse one no reason for suspicion', () => {
    const node = createNode()
    node.push(LOCK, 'LOCKED', { at: 0 })
    for (const [word, seconds] of [
      ['FREERUN', 60],
      ['LOCKED', 62],
    ] as const)
      node.poll([answer(LOCK, [word], { at: seconds })])
    expect(node.push(LOCK, 'FREERUN', { at: 55, received: 70 })).toBe('delayed')
    expect(node.clock(LOCK)).toMatchObject({ state: 'LOCKED', since: null })
    expect(node.clock(LOCK).suspect).toBeUndefined()
  })
})

describe('what is told of the node as a whole', () => {
  test('is dated like the change of the clock that brought it, and of no other', () => {
    const node = createNode()
    node.poll([LOCK, OS].map((kind) => answer(kind, ['LOCKED'], { at: 0 })))
    node.poll([answer(GNSS, ['SYNCHRONIZED'], { at: 0 })])
    node.news()
    node.poll([answer(LOCK, ['FREERUN'], { at: 60 }), answer(GNSS, ['FAILURE-NOFIX'], { at: 61 })])
    expect(node.news()).toEqual([
      'changed lock-state LOCKED→FREERUN (0..60)',
      'changed gnss-sync-status SYNCHRONIZED→FAILURE-NOFIX (0..61)',
      'overall LOCKED→FREERUN (0..60)',
    ])
    // Of several, like the last one that says the same word.
    const said = (word: string, seconds: number) => answer(LOCK, { a: word }, { at: seconds })
    node.poll([said('LOCKED', 70), answer(LOCK, ['LOCKED'], { at: 71 })])
    node.news()
    node.poll([
      said('HOLDOVER', 120),
      answer(OS, ['FREERUN'], { at: 121 }),
      answer(LOCK, ['HOLDOVER'], { at: 122 }),
    ])
    expect(node.news().at(-1)).toBe('overall LOCKED→FREERUN (0..121)')
  })

  test('names the push as its way where a push has dated it', () => {
    const node = createNode()
    node.poll([answer(OS, ['FREERUN', 'LOCKED'], { at: 0 })])
    node.push(OS, 'LOCKED', { at: 10 })
    node.poll([answer(OS, ['LOCKED', 'LOCKED'], { at: 60 })])
    expect(node.log.at(-1)).toMatchObject({ type: 'overall', to: 'UNKNOWN', at: at(10), via: 'push' })
  })

  test('that it is stale, and that it recovered, is told once', () => {
    const node = createNode()
    node.poll([LOCK, OS].map((kind) => answer(kind, ['LOCKED'], { at: 0 })))
    node.news()
    for (const seconds of [60, 179, 180, 240]) node.poll([], seconds)
    expect(node.news()).toEqual(['stale (180..180)', 'overall LOCKED→UNKNOWN (..180)'])
    node.poll([answer(LOCK, ['LOCKED'], { at: 300 })])
    expect(node.news()).toEqual([])
    node.poll([LOCK, OS].map((kind) => answer(kind, ['LOCKED'], { at: 360 })))
    expect(node.news()).toEqual(['recovered (..360)', 'overall UNKNOWN→LOCKED (..360)'])
    expect(nodeState.parse(node.state)).toEqual(node.state)
  })

  test('that it was stale is told when polls come back, though nobody looked meanwhile', () => {
    const node = createNode()
    node.poll([LOCK, OS].map((kind) => answer(kind, ['LOCKED'], { at: 0 })))
    node.push(OS, 'LOCKED', { at: 20 })
    node.news()
    node.poll([LOCK, OS].map((kind) => answer(kind, ['LOCKED'], { at: 3600 })))
    expect(node.news()).toEqual(['recovered (180..3600)'])
    node.poll([LOCK, OS].map((kind) => answer(kind, ['LOCKED'], { at: 3660 })))
    expect(node.news()).toEqual([])
  })

  test('nothing of the kind is told of a node that was UNKNOWN, of which the log claims nothing', () => {
    const node = createNode()
    node.poll([answer(LOCK, ['LOCKED'], { at: 0 })])
    node.news()
    node.poll([answer(LOCK, ['LOCKED'], { at: 3600 })])
    expect(node.news()).toEqual([])
  })

  test('nothing of the kind is told of a node that ran free meanwhile: silence does not better it', () => {
    const node = createNode()
    node.poll([LOCK, OS].map((kind) => answer(kind, ['FREERUN'], { at: 0 })))
    node.news()
    node.poll([LOCK, OS].map((kind) => answer(kind, ['FREERUN'], { at: 3600 })))
    expect(node.news()).toEqual([])
  })
})

import { describe, expect, test } from 'vitest'
import { answer, at, createNode, reading } from '../builders.ts'

const LOCK = 'lock-state'
const OS = 'os-clock-sync-state'
const SYNC = 'sync-state'

/** A node whose clock is in a state since second 0. */
function lockedNode(kind = LOCK, word = 'LOCKED') {
  const node = createNode()
  node.push(kind, word, { at: 0, metrics: { offset: '-2' } })
  node.news()
  return node
}

describe('rule 1: a newer push applies', () => {
  test('the first push of a clock makes it known, with its time', () => {
    const node = createNode()
    expect(node.push(LOCK, 'LOCKED', { at: 1, received: 2, metrics: { offset: '-2' } })).toBe('applied')
    expect(node.clock(LOCK)).toMatchObject({
      state: 'LOCKED',
      metrics: { offset: '-2' },
      since: at(1),
      observedAt: at(1),
      receivedAt: at(2),
      confirmedAt: at(2),
      via: 'push',
      contested: false,
      retired: false,
    })
    expect(node.news()).toEqual(['changed lock-state →LOCKED @1'])
  })

  test('another word is a transition with the time of the push', () => {
    const node = lockedNode()
    expect(node.push(LOCK, 'HOLDOVER', { at: 10 })).toBe('applied')
    expect(node.clock(LOCK)).toMatchObject({ state: 'HOLDOVER', since: at(10) })
    expect(node.news()).toEqual(['changed lock-state LOCKED→HOLDOVER @10', 'overall UNKNOWN→HOLDOVER @10'])
  })

  test('the same word is written and confirms, but begins nothing', () => {
    const node = lockedNode()
    expect(node.push(LOCK, 'LOCKED', { at: 10, metrics: { offset: '7' } })).toBe('applied')
    expect(node.clock(LOCK)).toMatchObject({
      metrics: { offset: '7' },
      since: at(0),
      observedAt: at(10),
      confirmedAt: at(10),
    })
    expect(node.news()).toEqual([])
    // Its time is stored: what is older than this push is late.
    expect(node.push(LOCK, 'FREERUN', { at: 9, received: 11 })).toBe('late')
  })

  test.each<[string, Record<string, string>, Record<string, string>, string | undefined]>([
    ['clock-class', { clockClass: '6' }, { clockClass: '7' }, '6→7'],
    ['clock-class', { clockClass: '6' }, { clockClass: '6.0' }, undefined],
    ['clock-class', { clockClass: '248' }, { clockClass: '2.48e+02' }, undefined],
    ['synce-clock-quality', { ql: '1', extQl: '32' }, { ql: '1', extQl: '255' }, '1/32→1/255'],
    ['synce-clock-quality', { ql: '1', extQl: '32' }, { ql: '1', extQl: '32' }, undefined],
  ])('a %s is a transition if its number is another', (kind, before, after, transition) => {
    const node = createNode()
    node.push(kind, before, { at: 0 })
    node.news()
    node.push(kind, after, { at: 1 })
    expect(node.clock(kind)).toMatchObject({ state: null, metrics: after })
    expect(node.news()).toEqual(transition === undefined ? [] : [`changed ${kind} ${transition} @1`])
  })

  test('an unknown kind is kept and changes like any other', () => {
    const node = lockedNode('mock', 'ON')
    node.push('mock', 'OFF', { at: 1 })
    expect(node.news()).toEqual(['changed mock ON→OFF @1'])
    expect(node.overall(1)).toBe('UNKNOWN')
  })

  test('clocks of one kind are told apart by their instance', () => {
    const node = lockedNode()
    node.push(LOCK, 'FREERUN', { at: 1, instance: 'ens7fx/master' })
    expect(node.clock(LOCK).state).toBe('LOCKED')
    expect(node.clock(LOCK, 'ens7fx/master').state).toBe('FREERUN')
  })

  test('all that one body says is merged', () => {
    const node = createNode()
    const fate = node.merge(
      reading(LOCK, 'LOCKED', { at: 0 }),
      reading(LOCK, 'FREERUN', { at: 0, instance: 'ens7fx/master' }),
    )
    expect(fate).toBe('applied')
    expect(node.state.clocks).toHaveLength(2)
    expect(node.state.counters.received).toBe(1)
  })

  test('clocks of two kinds under one name are told apart within one body too', () => {
    const node = createNode()
    node.merge(reading(LOCK, 'LOCKED', { at: 0 }), reading('synce-lock-state', 'FREERUN', { at: 0 }))
    expect([node.clock(LOCK).state, node.clock('synce-lock-state').state]).toEqual(['LOCKED', 'FREERUN'])
  })

  test('of two times of a clock in one body the newer stands, and the body counts as applied', () => {
    const node = lockedNode(LOCK, 'FREERUN')
    expect(
      node.merge(reading(LOCK, 'LOCKED', { at: 2 }), reading(LOCK, 'HOLDOVER', { at: 1, received: 2 })),
    ).toBe('applied')
    expect(node.clock(LOCK)).toMatchObject({ state: 'LOCKED', since: at(2) })
    expect(node.state.counters.late).toBe(0)
  })

  test('a body that contradicts itself on a clock is worth its worst word, in whatever order it says it', () => {
    const [good, bad] = [reading(LOCK, 'LOCKED', { at: 1 }), reading(LOCK, 'FREERUN', { at: 1 })]
    for (const body of [
      [good, bad],
      [bad, good],
    ]) {
      const node = lockedNode(LOCK, 'HOLDOVER')
      node.merge(...body)
      expect(node.clock(LOCK).state).toBe('FREERUN')
      expect(node.log.map(({ to }) => to)).not.toContain('LOCKED')
    }
  })

  test('a node holds 64 clocks; a further one is told to be too many and changes nothing', () => {
    const node = createNode()
    for (let n = 0; n < 64; n++)
      expect(node.push(LOCK, 'LOCKED', { at: 0, instance: `p${n}` })).toBe('applied')
    expect(node.push(LOCK, 'FREERUN', { at: 0, instance: 'one too many' })).toBe('full')
    expect(node.push(LOCK, 'FREERUN', { at: 1, instance: 'p63' })).toBe('applied')
    expect(node.state.clocks).toHaveLength(64)
    expect(node.log.map(({ instance }) => instance)).not.toContain('one too many')
    expect(node.state.counters.received).toBe(66)
  })
})

describe('rule 2: repetition and order', () => {
  test('the same time and content is a duplicate, whatever its way and its id', () => {
    const node = lockedNode()
    node.push(LOCK, 'FREERUN', { at: 10 })
    const before = node.state
    expect(node.push(LOCK, 'FREERUN', { at: 10, received: 20 }, 'broker')).toBe('duplicate')
    expect(node.state).toEqual({ ...before, counters: { ...before.counters, received: 3, duplicate: 1 } })
  })

  test('a time that is spelled otherwise is the same time', () => {
    const node = createNode()
    node.merge({ ...reading(LOCK, 'LOCKED', { at: 0 }), at: '2026-11-23T04:00:00.5Z' })
    expect(node.merge({ ...reading(LOCK, 'LOCKED', { at: 0 }), at: '2026-11-23T04:00:00.500000000Z' })).toBe(
      'duplicate',
    )
  })

  test('nanoseconds tell times apart', () => {
    const node = createNode()
    node.merge({ ...reading(LOCK, 'LOCKED', { at: 0 }), at: '2026-11-23T04:00:00.500000001Z' })
    expect(node.merge({ ...reading(LOCK, 'FREERUN', { at: 0 }), at: '2026-11-23T04:00:00.500000002Z' })).toBe(
      'applied',
    )
    expect(node.merge({ ...reading(LOCK, 'LOCKED', { at: 0 }), at: '2026-11-23T04:00:00.5Z' })).toBe('late')
    expect(node.clock(LOCK).state).toBe('FREERUN')
  })

  test.each([
    [LOCK, 'LOCKED', 'FREERUN', 'FREERUN'],
    [LOCK, 'LOCKED', 'UNKNOWN', 'UNKNOWN'],
    [LOCK, 'HOLDOVER', 'UNKNOWN', 'HOLDOVER'],
    [OS, 'HOLDOVER', 'FREERUN', 'FREERUN'],
    ['gnss-sync-status', 'SYNCHRONIZED', 'ACQUIRING-SYNC', 'ACQUIRING-SYNC'],
    ['gnss-sync-status', 'FAILURE-NOFIX', 'BOOTING', 'FAILURE-NOFIX'],
    ['gnss-sync-status', 'UNKNOWN', 'BOOTING', 'BOOTING'],
    ['gnss-sync-status', 'UNKNOWN', 'SYNCHRONIZED', 'UNKNOWN'],
    ['gnss-sync-status', 'SYNCHRONIZED', 'NEVER-HEARD-OF', 'NEVER-HEARD-OF'],
  ])('of %s, %s and %s at the same time, %s stands', (kind, one, other, stands) => {
    for (const [first, second] of [
      [one, other],
      [other, one],
    ] as const) {
      const node = createNode()
      node.push(kind, first, { at: 1 })
      node.push(kind, second, { at: 1 })
      expect(node.clock(kind).state).toBe(stands)
    }
  })

  test('what stands of two at the same time is a duplicate when it comes again', () => {
    const node = lockedNode()
    node.push(LOCK, 'FREERUN', { at: 0 })
    expect(node.push(LOCK, 'FREERUN', { at: 0, received: 50 })).toBe('duplicate')
    expect(node.clock(LOCK).confirmedAt).toBe(at(0))
  })

  test('a clock remembers few of its pushes, the newest and the worst among them', () => {
    const node = createNode()
    for (let n = 0; n < 30; n++) {
      node.push(LOCK, 'LOCKED', { at: n })
      node.push('clock-class', { clockClass: String(100 - n) }, { at: n })
    }
    expect(node.clock(LOCK).pushes).toHaveLength(1)
    const classes = node.clock('clock-class').pushes.map(({ metrics }) => metrics.clockClass)
    expect(classes).toHaveLength(8)
    expect([classes[0], classes[7]]).toEqual(['71', '100'])
  })

  test.each([
    [{ ql: '4', extQl: '32' }, { ql: '8', extQl: '32' }, '8/32'],
    [{ ql: '4', extQl: '32' }, { ql: '4', extQl: '255' }, '4/255'],
  ])('of two quality levels at the same time the higher stands: %j and %j', (better, worse, shown) => {
    for (const [first, second] of [
      [better, worse],
      [worse, better],
    ]) {
      const node = createNode()
      for (const one of [first, second]) node.push('synce-clock-quality', one ?? {}, { at: 1 })
      expect(node.log.at(-1)).toMatchObject({ to: shown })
    }
  })

  test('a number more or less is another reading', () => {
    const node = createNode()
    for (const [index, levels] of [{ ql: '4' }, { ql: '4', extQl: '32' }, { ql: '4' }].entries())
      node.push('synce-clock-quality', levels, { at: index })
    expect(node.log.map(({ to }) => to)).toEqual(['4', '4/32', '4'])
  })

  test('of two clock classes at the same time the higher stands', () => {
    for (const [first, second] of [
      ['6', '248'],
      ['248', '6'],
    ] as const) {
      const node = createNode()
      node.push('clock-class', { clockClass: first }, { at: 1 })
      node.push('clock-class', { clockClass: second }, { at: 1 })
      expect(node.clock('clock-class').metrics).toEqual({ clockClass: '248' })
    }
  })

  test.each(['FREERUN', 'HOLDOVER', 'LOCKED'])(
    'an older %s is late: counted, and changes nothing',
    (word) => {
      const node = lockedNode()
      node.push(LOCK, 'HOLDOVER', { at: 50 })
      const before = node.clock(LOCK)
      expect(node.push(LOCK, word, { at: 49, received: 51 })).toBe('late')
      const { state, since, observedAt, confirmedAt, metrics } = before
      expect(node.clock(LOCK)).toMatchObject({ state, since, observedAt, confirmedAt, metrics })
      expect(node.state.counters.late).toBe(1)
    },
  )
})

describe('rule 3: the clock of a publisher may be set back', () => {
  test('a worse push more than 60 s older than the newest is applied at once', () => {
    const node = createNode()
    node.push(LOCK, 'LOCKED', { at: 100 })
    node.news()
    expect(node.push(LOCK, 'FREERUN', { at: 39.999, received: 101 })).toBe('applied')
    expect(node.clock(LOCK)).toMatchObject({ state: 'FREERUN', since: at(39.999), confirmedAt: at(101) })
    expect(node.news()).toEqual([
      'changed lock-state LOCKED→FREERUN @39.999',
      'overall UNKNOWN→FREERUN @39.999',
    ])
  })

  test('one that is exactly 60 s older is late', () => {
    const node = createNode()
    node.push(LOCK, 'LOCKED', { at: 100 })
    expect(node.push(LOCK, 'FREERUN', { at: 40, received: 101 })).toBe('late')
    expect(node.clock(LOCK).state).toBe('LOCKED')
  })

  test('a better one is late, however old', () => {
    const node = createNode()
    node.push(LOCK, 'FREERUN', { at: 5000 })
    expect(node.push(LOCK, 'LOCKED', { at: 0, received: 5001 })).toBe('late')
    expect(node.push(LOCK, 'FREERUN', { at: 1, received: 5001 })).toBe('late')
    expect(node.clock(LOCK).state).toBe('FREERUN')
  })

  test('a push that is remembered is a duplicate and not a clock set back', () => {
    const node = createNode()
    node.push(LOCK, 'FREERUN', { at: 0 })
    node.push(LOCK, 'LOCKED', { at: 100 })
    expect(node.push(LOCK, 'FREERUN', { at: 0, received: 101 })).toBe('duplicate')
    expect(node.clock(LOCK).state).toBe('LOCKED')
  })

  test('it worsens step by step, each step against the state and not against the newest push', () => {
    const node = createNode()
    node.push(LOCK, 'LOCKED', { at: 1000 })
    expect(node.push(LOCK, 'HOLDOVER', { at: 0, received: 1001 })).toBe('applied')
    expect(node.push(LOCK, 'FREERUN', { at: 5, received: 1006 })).toBe('applied')
    expect(node.push(LOCK, 'HOLDOVER', { at: 9, received: 1010 })).toBe('late')
    expect(node.clock(LOCK).state).toBe('FREERUN')
  })
})

describe('rule 6: what the last pull already knew', () => {
  /** LOCKED by a push at 0, FREERUN by a poll at 60 that no push had told. */
  function surprised() {
    const node = lockedNode()
    node.poll([answer(LOCK, ['FREERUN'], { at: 60 })])
    node.news()
    return node
  }

  test('the push of that transition, when it comes, dates it', () => {
    const node = surprised()
    expect(node.push(LOCK, 'FREERUN', { at: 30, received: 61 })).toBe('delayed')
    expect(node.clock(LOCK)).toMatchObject({ state: 'FREERUN', since: at(30) })
    expect(node.news()).toEqual(['delayed lock-state LOCKED→FREERUN @30'])
    node.poll([answer(LOCK, ['FREERUN'], { at: 120 })])
    expect(node.news()).toEqual([])
    expect(node.state.counters.missed).toBe(0)
  })

  test('it dates it once', () => {
    const node = surprised()
    node.push(LOCK, 'FREERUN', { at: 30, received: 61 })
    expect(node.push(LOCK, 'FREERUN', { at: 30, received: 62 })).toBe('duplicate')
    expect(node.push(LOCK, 'FREERUN', { at: 31, received: 63 })).toBe('late')
    expect(node.news()).toEqual(['delayed lock-state LOCKED→FREERUN @30'])
    expect(node.clock(LOCK).since).toBe(at(30))
  })

  test.each(['LOCKED', 'HOLDOVER'])('a push of %s dated before that pull changes nothing', (word) => {
    const node = surprised()
    expect(node.push(LOCK, word, { at: 59, received: 61 })).toBe('late')
    expect(node.clock(LOCK)).toMatchObject({ state: 'FREERUN', since: null })
    expect(node.news()).toEqual([])
  })

  test('a push dated at the very time of the pull is in it; one dated after it applies', () => {
    const node = surprised()
    expect(node.push(LOCK, 'LOCKED', { at: 60, received: 61 })).toBe('late')
    expect(node.push(LOCK, 'LOCKED', { at: 60.001, received: 61 })).toBe('applied')
    expect(node.clock(LOCK)).toMatchObject({ state: 'LOCKED', since: at(60.001) })
  })

  test('a push dated before the last agreement is of an earlier transition', () => {
    const node = createNode()
    node.push(LOCK, 'LOCKED', { at: 0 })
    node.poll([answer(LOCK, ['LOCKED'], { at: 100 })])
    node.poll([answer(LOCK, ['FREERUN'], { at: 160 })])
    expect(node.push(LOCK, 'FREERUN', { at: 99, received: 161 })).toBe('late')
    expect(node.clock(LOCK).since).toBeNull()
  })

  test('a transition that another one has overtaken is dated in the log alone', () => {
    const node = surprised()
    node.push(LOCK, 'LOCKED', { at: 70 })
    node.news()
    // After the pull: of a transition of its own.
    expect(node.push(LOCK, 'FREERUN', { at: 65, received: 71 })).toBe('late')
    expect(node.push(LOCK, 'FREERUN', { at: 30, received: 71 })).toBe('delayed')
    expect(node.clock(LOCK)).toMatchObject({ state: 'LOCKED', since: at(70) })
    expect(node.news()).toEqual(['delayed lock-state LOCKED→FREERUN @30'])
    node.poll([answer(LOCK, ['LOCKED'], { at: 120 })])
    expect(node.state.counters.missed).toBe(0)
  })

  test('where a pull has no time of its own, what comes after it is newer, and the same word dates it', () => {
    const node = lockedNode()
    node.poll([answer(LOCK, ['FREERUN'], { at: 60, queryTime: false })])
    node.news()
    // StarlingX writes local time: 3600 s off.
    expect(node.push(LOCK, 'FREERUN', { at: 3630, received: 61 })).toBe('delayed')
    expect(node.clock(LOCK)).toMatchObject({ state: 'FREERUN', since: at(3630), confirmedAt: at(61) })
    node.poll([answer(LOCK, ['FREERUN'], { at: 120, queryTime: false })])
    expect(node.news()).toEqual(['delayed lock-state LOCKED→FREERUN @3630'])
    expect(node.state.counters.missed).toBe(0)
  })

  test('where a pull has no time of its own, a second transition to the same word is one of its own', () => {
    const node = lockedNode()
    node.poll([answer(LOCK, ['FREERUN'], { at: 60, queryTime: false })])
    node.push(LOCK, 'LOCKED', { at: 61 })
    node.news()
    expect(node.push(LOCK, 'FREERUN', { at: 62 })).toBe('applied')
    expect(node.clock(LOCK).since).toBe(at(62))
    expect(node.push(LOCK, 'FREERUN', { at: 63 })).toBe('applied')
    expect(node.news()).toEqual(['changed lock-state LOCKED→FREERUN @62', 'overall UNKNOWN→FREERUN @62'])
  })

  test('where a pull has no time of its own, another word that comes after it applies', () => {
    const node = lockedNode()
    node.poll([answer(LOCK, ['FREERUN'], { at: 60, queryTime: false })])
    expect(node.push(LOCK, 'LOCKED', { at: 30, received: 61 })).toBe('applied')
    expect(node.clock(LOCK)).toMatchObject({ state: 'LOCKED', since: at(30) })
  })
})

describe('rule 7: a contested clock', () => {
  function contested(...words: readonly string[]) {
    const node = createNode()
    node.poll([answer(OS, words, { at: 10 })])
    node.news()
    return node
  }

  test('a push that is worse applies', () => {
    const node = contested('LOCKED', 'LOCKED')
    expect(node.push(OS, 'HOLDOVER', { at: 20 })).toBe('applied')
    expect(node.clock(OS)).toMatchObject({ state: 'HOLDOVER', since: at(20), contested: true })
  })

  test('a push that is better waits for a pull, and does not confirm', () => {
    const node = contested('LOCKED', 'FREERUN')
    expect(node.push(OS, 'LOCKED', { at: 20 })).toBe('applied')
    expect(node.clock(OS)).toMatchObject({ state: 'FREERUN', confirmedAt: at(10), contested: true })
    expect(node.news()).toEqual([])
  })

  test('a push of the same word confirms', () => {
    const node = contested('LOCKED', 'FREERUN')
    node.push(OS, 'FREERUN', { at: 20, metrics: { offset: '9' } })
    expect(node.clock(OS)).toMatchObject({
      state: 'FREERUN',
      confirmedAt: at(20),
      observedAt: at(20),
      metrics: { offset: '9' },
      since: null,
    })
  })

  test('a late push that is dated before the last pull that agreed is in it', () => {
    const node = contested('LOCKED', 'LOCKED')
    node.poll([answer(OS, ['LOCKED', 'LOCKED'], { at: 80 })])
    expect(node.push(OS, 'FREERUN', { at: 50, received: 81 })).toBe('late')
    expect(node.clock(OS).state).toBe('LOCKED')
  })

  test('a push that was late and changed nothing counts once a pull from before it is contested', () => {
    const node = createNode()
    node.push(OS, 'LOCKED', { at: 20 })
    expect(node.push(OS, 'FREERUN', { at: 15, received: 20 })).toBe('late')
    node.poll([answer(OS, ['LOCKED', 'LOCKED'], { at: 14, sent: 20, received: 20 })])
    expect(node.clock(OS)).toMatchObject({ state: 'FREERUN', contested: true })
  })

  test('a late push that is worse applies if it is dated after the pull, and not if before', () => {
    const node = contested('LOCKED', 'LOCKED')
    node.push(OS, 'LOCKED', { at: 20 })
    expect(node.push(OS, 'FREERUN', { at: 9, received: 21 })).toBe('late')
    expect(node.clock(OS).state).toBe('LOCKED')
    expect(node.push(OS, 'FREERUN', { at: 15, received: 22 })).toBe('applied')
    expect(node.clock(OS)).toMatchObject({ state: 'FREERUN', since: at(15) })
  })
})

describe('rule 8: sync-state, which publishers push wrong', () => {
  test.each(['FREERUN', 'HOLDOVER'])('a pushed %s is believed', (word) => {
    const node = createNode()
    node.push(SYNC, word, { at: 0 })
    expect(node.clock(SYNC)).toMatchObject({ state: word, since: at(0) })
  })

  test('a pushed LOCKED of a clock that no pull has shown leaves it UNKNOWN', () => {
    const node = createNode()
    node.push(SYNC, 'LOCKED', { at: 0 })
    expect(node.clock(SYNC)).toMatchObject({ state: 'UNKNOWN', since: null })
    expect(node.news()).toEqual([])
  })

  test('a pushed LOCKED betters nothing', () => {
    const node = createNode()
    node.push(SYNC, 'FREERUN', { at: 0 })
    node.push(SYNC, 'HOLDOVER', { at: 1 })
    node.push(SYNC, 'LOCKED', { at: 2 })
    expect(node.clock(SYNC)).toMatchObject({ state: 'FREERUN', since: at(0), confirmedAt: at(0) })
  })

  test('a push worsens it, also a late one', () => {
    const node = createNode()
    node.poll([answer(SYNC, ['LOCKED'], { at: 0 })])
    node.push(SYNC, 'LOCKED', { at: 10 })
    node.push(SYNC, 'FREERUN', { at: 5, received: 11 })
    expect(node.clock(SYNC).state).toBe('FREERUN')
  })
})

describe('rule 10: a retired clock', () => {
  function retired() {
    const node = createNode()
    node.push(LOCK, 'LOCKED', { at: 0, instance: 'old' })
    for (const seconds of [60, 120, 180, 240]) node.poll([answer(LOCK, { new: 'LOCKED' }, { at: seconds })])
    expect(node.clock(LOCK, 'old').retired).toBe(true)
    node.news()
    return node
  }

  test('comes back with the next push, whatever its word', () => {
    const node = retired()
    expect(node.push(LOCK, 'LOCKED', { at: 250, instance: 'old' })).toBe('applied')
    expect(node.clock(LOCK, 'old')).toMatchObject({ state: 'LOCKED', retired: false, since: at(250) })
    expect(node.clock(LOCK, 'old')?.unnamed).toBeUndefined()
    expect(node.news()).toEqual(['changed lock-state →LOCKED @250'])
  })

  test('comes back also if it was contested, with what the push says', () => {
    const node = createNode()
    node.poll([answer(OS, ['FREERUN', 'LOCKED'], { at: 0, instance: 'old' })])
    for (const seconds of [60, 120, 180, 240]) node.poll([answer(OS, { new: 'LOCKED' }, { at: seconds })])
    expect(node.clock(OS, 'old').retired).toBe(true)
    node.push(OS, 'LOCKED', { at: 250, instance: 'old' })
    expect(node.clock(OS, 'old')).toMatchObject({ state: 'LOCKED', retired: false })
  })

  test('does not come back with a repetition of what it said', () => {
    const node = retired()
    expect(node.push(LOCK, 'LOCKED', { at: 0, received: 250, instance: 'old' })).toBe('duplicate')
    expect(node.clock(LOCK, 'old').retired).toBe(true)
  })
})

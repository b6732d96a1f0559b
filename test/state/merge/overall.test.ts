import { describe, expect, test } from 'vitest'
import { emptyNodeState, type NodeState } from '#shared/state/document.ts'
import { conditionOf, isAbsent } from '#shared/state/merge/overall.ts'
import { defaultSettings } from '#shared/state/merge/draft.ts'
import { viewOf } from '#shared/state/view.ts'
import { answer, at, createNode, ms, none } from '../builders.ts'

const LOCK = 'lock-state'
const OS = 'os-clock-sync-state'

const isStaleAt = (state: NodeState, seconds: number) =>
  conditionOf(state, ms(seconds), defaultSettings).stale

/** A node whose clocks pulls have shown at second 0. */
function nodeOf(words: Readonly<Record<string, string>>, settings = defaultSettings) {
  const node = createNode(settings)
  node.poll(Object.entries(words).map(([kind, word]) => answer(kind, [word], { at: 0 })))
  return node
}

describe('the state of a node', () => {
  test('is UNKNOWN while nothing is known', () => {
    const node = createNode()
    expect(node.overall(0)).toBe('UNKNOWN')
    expect(isStaleAt(node.state, 0)).toBe(false)
  })

  test.each([
    ['LOCKED', 'LOCKED', 'LOCKED'],
    ['LOCKED', 'UNKNOWN', 'UNKNOWN'],
    ['LOCKED', 'HOLDOVER', 'HOLDOVER'],
    ['HOLDOVER', 'UNKNOWN', 'HOLDOVER'],
    ['HOLDOVER', 'FREERUN', 'FREERUN'],
    ['UNKNOWN', 'FREERUN', 'FREERUN'],
    ['UNKNOWN', 'UNKNOWN', 'UNKNOWN'],
  ])('is the worst of %s and %s, whichever clock it is', (one, other, worst) => {
    expect(nodeOf({ [LOCK]: one, [OS]: other }).overall(0)).toBe(worst)
    expect(nodeOf({ [LOCK]: other, [OS]: one }).overall(0)).toBe(worst)
  })

  test('is the worst of several clocks of one kind', () => {
    const node = nodeOf({ [OS]: 'LOCKED' })
    node.poll([answer(LOCK, { a: 'LOCKED', b: 'HOLDOVER', c: 'LOCKED' }, { at: 1 })])
    expect(node.overall(1)).toBe('HOLDOVER')
  })

  test.each([
    ['gnss-sync-status', 'FAILURE-NOFIX'],
    ['sync-state', 'FREERUN'],
    ['synce-lock-state', 'FREERUN'],
    ['mock', 'FREERUN'],
  ])('is not touched by %s', (kind, word) => {
    expect(nodeOf({ [LOCK]: 'LOCKED', [OS]: 'LOCKED', [kind]: word }).overall(0)).toBe('LOCKED')
  })

  test.each([LOCK, OS])('is not LOCKED by %s alone', (kind) => {
    expect(nodeOf({ [kind]: 'LOCKED' }).overall(0)).toBe('UNKNOWN')
    expect(nodeOf({ [kind]: 'LOCKED', 'sync-state': 'LOCKED' }).overall(0)).toBe('UNKNOWN')
  })

  test('needs only the kinds that the configuration asks for, but minds the other', () => {
    const settings = { ...defaultSettings, overallKinds: [OS] }
    expect(nodeOf({ [OS]: 'LOCKED' }, settings).overall(0)).toBe('LOCKED')
    expect(nodeOf({ [OS]: 'LOCKED', [LOCK]: 'FREERUN' }, settings).overall(0)).toBe('FREERUN')
    expect(nodeOf({ [LOCK]: 'LOCKED' }, settings).overall(0)).toBe('UNKNOWN')
  })

  test('asked for no kind at all is never LOCKED', () => {
    const settings = { ...defaultSettings, overallKinds: [] }
    expect(nodeOf({ [OS]: 'LOCKED', [LOCK]: 'LOCKED' }, settings).overall(0)).toBe('UNKNOWN')
  })
})

describe('silence', () => {
  test.each([
    ['LOCKED', 'UNKNOWN'],
    ['UNKNOWN', 'UNKNOWN'],
    ['HOLDOVER', 'HOLDOVER'],
    ['FREERUN', 'FREERUN'],
  ])('makes %s into %s', (word, stale) => {
    const node = nodeOf({ [LOCK]: word, [OS]: word })
    expect([node.overall(179.999), isStaleAt(node.state, 179.999)]).toEqual([word, false])
    expect([node.overall(180), isStaleAt(node.state, 180)]).toEqual([stale, true])
  })

  test('of one clock is enough', () => {
    const node = nodeOf({ [LOCK]: 'LOCKED', [OS]: 'LOCKED' })
    node.push(LOCK, 'LOCKED', { at: 100 })
    expect(node.overall(180)).toBe('UNKNOWN')
  })

  test.each(['push', 'poll'] as const)('ends with a %s that confirms', (how) => {
    const node = nodeOf({ [LOCK]: 'LOCKED', [OS]: 'LOCKED' })
    for (const kind of [LOCK, OS]) {
      if (how === 'push') node.push(kind, 'LOCKED', { at: 200 })
      else node.poll([answer(kind, ['LOCKED'], { at: 200 })])
    }
    expect(node.overall(379)).toBe('LOCKED')
  })

  test.each<[string, (node: ReturnType<typeof createNode>) => void]>([
    ['a late push', (node) => node.push(LOCK, 'FREERUN', { at: 49, received: 54 })],
    ['a duplicate', (node) => node.push(LOCK, 'LOCKED', { at: 50, received: 170 })],
    [
      'a clock named without a reading',
      (node) => node.poll([answer(LOCK, [], { at: 170, named: ['ens5fx/master'] })]),
    ],
    ['an answer without a clock', (node) => node.poll([none(LOCK, 170)])],
  ])('is not broken by %s', (_, happen) => {
    const node = createNode()
    node.push(LOCK, 'LOCKED', { at: 50 })
    node.push(OS, 'LOCKED', { at: 160 })
    happen(node)
    expect(node.overall(229)).toBe('LOCKED')
    expect(node.overall(230)).toBe('UNKNOWN')
  })

  test('of a clock that does not decide makes that clock stale, and the node neither stale nor UNKNOWN', () => {
    const node = nodeOf({ [LOCK]: 'LOCKED', [OS]: 'LOCKED', 'gnss-sync-status': 'SYNCHRONIZED' })
    for (const kind of [LOCK, OS]) node.push(kind, 'LOCKED', { at: 100 })
    expect([node.overall(180), isStaleAt(node.state, 180)]).toEqual(['LOCKED', false])
    const view = viewOf(node.state, ms(180), defaultSettings)
    expect(view.resources.filter(({ stale }) => stale).map(({ kind }) => kind)).toEqual(['gnss-sync-status'])
  })
})

describe('a kind that a node does not have', () => {
  /** An OS clock that is confirmed at each of these seconds, and no lock-state. */
  function withoutPtp(...seconds: readonly number[]) {
    const node = createNode()
    for (const second of seconds) node.poll([none(LOCK, second), answer(OS, ['LOCKED'], { at: second })])
    return node
  }

  test('is believed to be absent after 180 s of pulls that say so', () => {
    const node = withoutPtp(0, 60, 120, 180, 239)
    expect(node.overall(240)).toBe('UNKNOWN')
    expect(node.news().filter((entry) => entry.startsWith('overall'))).toEqual([])
    node.poll([none(LOCK, 240), answer(OS, ['LOCKED'], { at: 240 })])
    expect(node.news()).toEqual(['overall UNKNOWN→LOCKED (..240)'])
  })

  test('is not believed to be absent by time alone, without a pull that says so', () => {
    const node = withoutPtp(0, 60)
    node.push(OS, 'LOCKED', { at: 200 })
    expect(node.overall(250)).toBe('UNKNOWN')
  })

  test('is absent no longer than pulls go on to say so', () => {
    const node = withoutPtp(0, 60, 120, 180, 240)
    node.push(OS, 'LOCKED', { at: 400 })
    expect(node.overall(419)).toBe('LOCKED')
    expect(node.overall(420)).toBe('UNKNOWN')
  })

  test('is believed to be absent while pulls go on to say so', () => {
    const polls = [0, 59, 118, 177, 236, 295, 354, 413, 472, 531]
    for (const [index, second] of polls.entries()) {
      const node = withoutPtp(...polls.slice(0, index + 1))
      expect(node.overall(second)).toBe(second < 295 ? 'UNKNOWN' : 'LOCKED')
    }
  })

  test('is not, if nobody knows what was in a pause between two pulls', () => {
    const node = withoutPtp(0, 60)
    node.push(OS, 'LOCKED', { at: 200 })
    node.poll([none(LOCK, 300), answer(OS, ['LOCKED'], { at: 300 })])
    expect(node.overall(300)).toBe('UNKNOWN')
    for (const second of [360, 420, 480]) {
      node.poll([none(LOCK, second), answer(OS, ['LOCKED'], { at: second })])
    }
    expect(node.overall(480)).toBe('LOCKED')
  })

  test('is not, if a pull fails to say anything', () => {
    const node = createNode()
    for (const second of [0, 60, 120, 180, 240, 300]) {
      node.poll([answer(LOCK, [], { at: second }), answer(OS, ['LOCKED'], { at: second })])
    }
    expect(node.overall(300)).toBe('UNKNOWN')
  })

  test.each<[string, Parameters<typeof answer>[1], readonly string[]]>([
    ['a reading', ['LOCKED'], []],
    ['a name', [], ['ens5fx/master']],
  ])('is not, once a pull has %s of it', (_, said, named) => {
    const node = withoutPtp(0, 60, 120, 180, 240)
    node.poll([answer(LOCK, said, { at: 241, named }), answer(OS, ['LOCKED'], { at: 241 })])
    expect(node.state.absent).toEqual({})
    expect(isAbsent(node.state, LOCK, ms(242), defaultSettings)).toBe(false)
  })

  test('is not, while the other is not confirmed', () => {
    const node = withoutPtp(0, 60, 120, 180, 240)
    for (const second of [300, 360, 430]) node.poll([none(LOCK, second)])
    expect(node.overall(430)).toBe('UNKNOWN')
    expect(node.state.absent).toEqual({})
    node.poll([none(LOCK, 440), answer(OS, ['LOCKED'], { at: 440 })])
    node.poll([none(LOCK, 500), answer(OS, ['LOCKED'], { at: 500 })])
    expect(node.overall(500)).toBe('UNKNOWN')
  })

  test('is not, while only a clock that does not decide is confirmed', () => {
    const node = createNode()
    for (const second of [0, 60, 120, 180, 240])
      node.poll([none(LOCK, second), answer('gnss-sync-status', ['SYNCHRONIZED'], { at: second })])
    node.push(OS, 'LOCKED', { at: 241 })
    expect(node.overall(241)).toBe('UNKNOWN')
  })

  test('is not, once the other is stale', () => {
    const node = withoutPtp(0, 60, 120, 180, 240)
    expect(isAbsent(node.state, LOCK, ms(419), defaultSettings)).toBe(true)
    expect(isAbsent(node.state, LOCK, ms(420), defaultSettings)).toBe(false)
  })

  test('is remembered only of the kinds that decide', () => {
    const node = nodeOf({ [LOCK]: 'LOCKED', [OS]: 'LOCKED' })
    node.poll([none('gnss-sync-status', 60)])
    expect(node.state.absent).toEqual({})
  })

  test('is not, both at once', () => {
    const node = createNode()
    for (const second of [0, 60, 120, 180, 240]) node.poll([none(LOCK, second), none(OS, second)])
    expect(node.overall(240)).toBe('UNKNOWN')
  })

  test('cannot be one that a push has shown', () => {
    const node = withoutPtp(0, 60, 120, 180, 240)
    node.push(LOCK, 'HOLDOVER', { at: 241 })
    expect(node.overall(241)).toBe('HOLDOVER')
  })

  test('is one whose clock is there and silent: it stays, stale', () => {
    const node = nodeOf({ [LOCK]: 'LOCKED', [OS]: 'LOCKED' })
    for (const second of [60, 120, 180, 240, 300]) {
      node.poll([none(LOCK, second), answer(OS, ['LOCKED'], { at: second })])
    }
    expect([node.overall(300), isStaleAt(node.state, 300)]).toEqual(['UNKNOWN', true])
  })
})

describe('the public view of a node', () => {
  test('has what a reader of the API is promised', () => {
    const node = createNode()
    node.push(LOCK, 'LOCKED', { at: 0, received: 1, metrics: { offset: '-2' } })
    node.poll([answer('clock-class', [{ clockClass: '6' }], { at: 2 })])
    expect(viewOf(node.state, ms(3), defaultSettings, node.log)).toEqual({
      node: 'node1.example.com',
      seq: 2,
      overall: 'UNKNOWN',
      stale: false,
      suspect: false,
      blind: false,
      labels: {},
      publisher: null,
      resources: [
        {
          kind: LOCK,
          instance: 'ens5fx/master',
          state: 'LOCKED',
          metrics: { offset: '-2' },
          since: at(0),
          notAfter: null,
          observedAt: at(0),
          receivedAt: at(1),
          confirmedAt: at(1),
          stale: false,
          contested: false,
          suspect: null,
          via: 'push',
        },
        {
          kind: 'clock-class',
          instance: 'ens5fx/master',
          state: null,
          metrics: { clockClass: '6' },
          since: null,
          notAfter: at(2),
          observedAt: at(2),
          receivedAt: at(2),
          confirmedAt: at(2),
          stale: false,
          contested: false,
          suspect: null,
          via: 'poll',
        },
      ],
      subscriptions: [],
      counters: { ...emptyNodeState('', '').counters, received: 1 },
      log: node.log,
    })
  })

  test('has no log where none is asked for, and never the endpoint, which holds a token', () => {
    const state: NodeState = {
      ...createNode().state,
      subscriptions: [
        { kind: LOCK, address: '/a', id: '1', endpoint: 'http://c/event/n/token', confirmedAt: at(0) },
      ],
    }
    const view = viewOf(state, ms(0), defaultSettings)
    expect(view).not.toHaveProperty('log')
    expect(view.subscriptions).toEqual([{ kind: LOCK, address: '/a', id: '1', confirmedAt: at(0) }])
    expect(JSON.stringify(view)).not.toContain('token')
  })

  test('computes staleness when it is asked, and leaves retired clocks out', () => {
    const node = createNode()
    node.poll([answer(LOCK, { a: 'LOCKED', b: 'FREERUN' }, { at: 0 })])
    for (const seconds of [60, 120, 180, 240]) node.poll([answer(LOCK, { a: 'LOCKED' }, { at: seconds })])
    const resources = (seconds: number) =>
      viewOf(node.state, ms(seconds), defaultSettings).resources.map(({ instance, stale }) => [
        instance,
        stale,
      ])
    expect(resources(250)).toEqual([['a', false]])
    expect(resources(420)).toEqual([['a', true]])
  })
})

import { expect, test } from 'vitest'
import { mergePulls } from '#shared/state/merge/pull.ts'
import { type Pull, defaultSettings } from '#shared/state/merge/draft.ts'
import type { Ways } from '#shared/state/merge/blind.ts'
import { mergePush } from '#shared/state/merge/push.ts'
import { emptyNodeState, type LogEntry, type NodeState } from '#shared/state/document.ts'
import { conditionOf } from '#shared/state/merge/overall.ts'
import { answer, at, ms, NODE, reading } from '../builders.ts'

const LOCK = 'lock-state'
const OS = 'os-clock-sync-state'

function createNode() {
  let state: NodeState = {
    ...emptyNodeState(NODE, 'incarnation'),
    publisher: { url: 'http://p', dialect: 'red-hat-v2', reachable: true, checkedAt: at(0) },
  }
  const log: Omit<LogEntry, 'seq'>[] = []
  return {
    log,
    get state() {
      return state
    },
    push(kind: string, word: string, seconds: number) {
      const merged = mergePush(state, [reading(kind, word, { at: seconds })], defaultSettings, ms(seconds))
      log.push(...(merged.entries ?? []))
      state = merged.state ?? state
    },
    poll(seconds: number, ways: Ways | undefined, pulls: readonly Pull[] = []) {
      const poll = { startedAt: ms(seconds), ways }
      const merged = mergePulls(state, pulls, defaultSettings, { now: ms(seconds), poll })
      log.push(...(merged.entries ?? []))
      state = merged.state ?? state
    },
    condition: (seconds: number) => conditionOf(state, ms(seconds), defaultSettings),
  }
}

/** In lock since 10, by pushes. */
function locked(word = 'LOCKED') {
  const node = createNode()
  node.push(LOCK, word, 10)
  node.push(OS, 'LOCKED', 10)
  return node
}

test('where nothing can reach us any more a node is UNKNOWN at once, and the log says so once', () => {
  const node = locked()
  node.poll(60, 'cut')
  node.poll(120, 'cut')
  expect(node.condition(121)).toEqual({ overall: 'UNKNOWN', stale: false, blind: true })
  expect(node.log.filter(({ type }) => type === 'blind')).toEqual([
    { type: 'blind', via: 'poll', notAfter: at(60), overall: 'UNKNOWN' },
  ])
  expect(node.log.at(-1)).toMatchObject({ type: 'overall', to: 'UNKNOWN' })
})

test.each(['FREERUN', 'HOLDOVER'])('%s of a blind node stands', (word) => {
  const node = locked(word)
  node.poll(60, 'cut')
  expect(node.condition(61)).toMatchObject({ overall: word, blind: true })
})

test.each<[string, readonly (readonly [number, Ways | undefined])[], string]>([
  ['one poll that does not reach it may be chance', [[60, 'unreachable']], 'LOCKED'],
  [
    'two in a row are none',
    [
      [60, 'unreachable'],
      [120, 'unreachable'],
    ],
    'UNKNOWN',
  ],
  [
    'two within the settle time are one',
    [
      [60, 'unreachable'],
      [64, 'unreachable'],
    ],
    'LOCKED',
  ],
  [
    'two with one between them that reached it are one each',
    [
      [60, 'unreachable'],
      [90, 'open'],
      [120, 'unreachable'],
    ],
    'LOCKED',
  ],
  [
    'one that was ended before it could tell counts as none',
    [
      [60, 'unreachable'],
      [90, undefined],
    ],
    'LOCKED',
  ],
  [
    'it does not part the two on either side of it',
    [
      [60, 'unreachable'],
      [90, undefined],
      [120, 'unreachable'],
    ],
    'UNKNOWN',
  ],
])('%s', (_, polls, overall) => {
  const node = locked()
  for (const [seconds, ways] of polls) node.poll(seconds, ways)
  expect(node.condition(121).overall).toBe(overall)
})

test('a pull that brings a word ends it, whatever becomes of the subscriptions', () => {
  const node = locked()
  node.poll(60, 'cut')
  node.poll(120, 'cut', [answer(LOCK, ['LOCKED'], { at: 120 }), answer(OS, ['LOCKED'], { at: 120 })])
  expect(node.condition(121)).toEqual({ overall: 'LOCKED', stale: false, blind: false })
  expect(node.log.at(-2)).toMatchObject({ type: 'recovered' })
})

test('a pull that brings a word of one clock lets the others be believed again', () => {
  const node = locked()
  node.poll(60, 'cut')
  node.poll(120, 'cut', [answer(LOCK, ['LOCKED'], { at: 120 })])
  expect(node.condition(121)).toEqual({ overall: 'LOCKED', stale: false, blind: false })
})

test('a push is believed of its own clock alone', () => {
  const node = locked()
  node.poll(60, 'cut')
  node.push('clock-class', 'LOCKED', 70)
  expect(node.condition(71)).toMatchObject({ overall: 'UNKNOWN', blind: true })
  node.push(LOCK, 'LOCKED', 72)
  expect(node.condition(73)).toMatchObject({ overall: 'UNKNOWN', blind: false })
  node.push(OS, 'LOCKED', 74)
  expect(node.condition(75)).toMatchObject({ overall: 'LOCKED', blind: false })
})

test('a subscription that was made again does not make an old word true', () => {
  const node = locked()
  node.poll(60, 'cut')
  node.poll(120, 'open')
  expect(node.condition(121)).toMatchObject({ overall: 'UNKNOWN', blind: true })
  for (const kind of [LOCK, OS]) node.push(kind, 'LOCKED', 130)
  expect(node.condition(131)).toMatchObject({ overall: 'LOCKED', blind: false })
})

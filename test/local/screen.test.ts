import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import { type ShownNode, shownOf } from '#functions/status/shown.ts'
import { widthOf } from '#functions/status/terminal/text.ts'
import { createScreen } from '#local/screen.ts'
import { isoTime } from '#shared/time.ts'
import { defaultShown, clockAt, lockedNode } from '../functions/fleet.ts'

const NOW = Date.parse('2026-11-23T12:00:00Z')
const HEAD = ['the first line', `url http://127.0.0.1:1/${'long/'.repeat(30)}`, 'a', 'b', 'c', 'd']
const LONG = 'a-rather-long-name-of-a-node.site-0815.region-north.example.com'

function node(name: string, state = 'LOCKED'): ShownNode {
  const clocks = [clockAt(NOW, 'lock-state', 'ens1', { state }), clockAt(NOW, 'os-clock-sync-state', 'C', {})]
  return shownOf(lockedNode(name, NOW, { clocks }), NOW, defaultShown)
}

function transition(of: string) {
  const clock = { kind: 'lock-state', instance: 'ens5fx/master' }
  return {
    time: isoTime(NOW),
    node: of,
    ...clock,
    from: 'LOCKED',
    to: 'HOLDOVER',
    type: 'changed',
    via: 'push',
  }
}

/** The lines that a terminal shows of the last drawing. */
function drawn(columns: number, rows: number, views: readonly ShownNode[], transitions: readonly string[]) {
  let out = ''
  const stream = { isTTY: true, columns, rows, write: (text: string) => (out += text) }
  const screen = createScreen(stream, { head: HEAD, colour: true })
  for (const each of transitions) screen.transition(transition(each))
  screen.draw(views, NOW)
  const frame = out.slice(out.lastIndexOf('\u001b[H'))
  return stripVTControlCharacters(frame).split('\n').slice(0, -1)
}

const FLEET = [...Array(8).keys()].map((i) => node(`${i}.${LONG}`, i === 7 ? 'FREERUN' : 'LOCKED'))
const MANY = [...Array(60).keys()].map((i) => node(`${LONG}.${i}`, i === 59 ? 'FREERUN' : 'LOCKED'))
const TOLD = [...Array(40).keys()].map((i) => `${i}.${LONG}`)

test.each([
  [80, 24, FLEET],
  [60, 24, FLEET],
  [60, 24, MANY],
  [200, 50, MANY],
  [40, 10, FLEET],
  [20, 5, FLEET],
  [80, 24, [node('漢字'.repeat(20)), node('\u001b[2J\u202egnol'), node('e\u0301'.repeat(60))]],
])('fits %i×%i', (columns, rows, views) => {
  const lines = drawn(columns, rows, views, TOLD)
  expect(lines.length).toBeLessThan(rows)
  for (const line of lines) {
    expect(widthOf(line), line).toBeLessThanOrEqual(columns)
    expect(line).not.toMatch(/[\p{Cc}\p{Cf}]/u)
  }
  expect(lines.at(-1)).toBe('Ctrl-C stops')
  expect(lines.find((line) => line.includes('OVERALL'))).toBeDefined()
})

test('the worst node stands first, and what is left out is counted', () => {
  const lines = drawn(60, 24, MANY, TOLD)
  expect(lines[1]).toContain('FREERUN')
  expect(lines.at(-2)).toBe('… and 40 more nodes')
  expect(drawn(80, 24, FLEET, TOLD)).toContain('Latest transitions')
})

test('a transition shows its change, however long the names are', () => {
  const shown = drawn(60, 24, FLEET, [LONG]).find((line) => line.includes('12:00:00'))
  expect(shown).toBe('  12:00:00 a-rather-…  lock-stat…  LOCKED → HOLDOVER  (push)')
})

test('a terminal that does not know its size is taken to be 80×24', () => {
  expect(drawn(0, 0, FLEET, TOLD)).toEqual(drawn(80, 24, FLEET, TOLD))
})

test('the terminal is given back once, and nothing is drawn after that', () => {
  let out = ''
  const stream = { isTTY: true, columns: 80, rows: 24, write: (text: string) => (out += text) }
  const screen = createScreen(stream, { head: HEAD, colour: false })
  screen.end()
  screen.end()
  screen.draw(FLEET, NOW)
  expect(out.split('\u001b[?1049l')).toEqual([expect.any(String), ''])
})

test('without a terminal there is a line for the head and for each transition, whole', () => {
  let out = ''
  const screen = createScreen({ write: (text) => (out += text) }, { head: ['head'], colour: false })
  screen.transition(transition(LONG))
  screen.draw(FLEET, NOW)
  screen.end()
  expect(out).toBe(`head\n12:00:00 ${LONG}  lock-state ens5fx/master  LOCKED → HOLDOVER  (push)\n`)
})

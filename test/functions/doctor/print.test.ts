import { expect, test } from 'vitest'
import { createView, EACH, findingsOf, type Verdicts } from '#functions/doctor/report.ts'

function terminal({ interactive = false, colour = false } = {}) {
  const said = { out: '', err: '' }
  return {
    said,
    interactive,
    colour,
    columns: 100,
    out(text: string) {
      said.out += text
    },
    err(text: string) {
      said.err += text
    },
  }
}

const found = (verdicts: Verdicts, node: string | null = 'node1') => findingsOf(node, EACH, verdicts)

const refused = found({
  dns: [['ok', '10.0.0.11']],
  health: [['failed', 'GET http://10.0.0.11 got no answer', 'Look there']],
})

test('a failure is a line with its fix; what it kept from being checked is one more', () => {
  const one = terminal()
  const view = createView(one, 1, {})
  view.show(refused)
  view.end([], [refused])
  expect(one.said.out.split('\n')).toEqual([
    'node1',
    '  ok       dns             10.0.0.11',
    '  FAILED   health          GET http://10.0.0.11 got no answer. → Look there',
    '  -        not checked     dialect addresses subscriptions callback current-state clock events state metrics: fix the failure above first',
    '0 of 1 publishers deliver events: 1 failure, 0 warnings',
    'Failed: node1',
    '',
  ])
  expect(one.said.err).toBe('')
})

test('findings come in the order of the checks, whatever order they were made in', () => {
  const findings = found({ metrics: [['ok', 'x']], dns: [['ok', 'x']] })
  expect(findings.map(({ check }) => check)).toEqual(EACH)
})

test('on a terminal a line of progress goes before each block comes, and is gone at the end', () => {
  const one = terminal({ interactive: true, colour: true })
  const view = createView(one, 2, { quiet: true })
  view.show([])
  view.show(refused)
  view.show(found({}, 'node2'))
  view.end([], [])
  expect(one.said.err.split('\r\u001b[2K')).toEqual([
    '',
    'checking publishers 0/2',
    'checking publishers 1/2',
    '',
    '',
  ])
  expect(one.said.out).toContain('\u001b[31mFAILED')
  expect(one.said.out).not.toContain('node2')
})

test('what a publisher says can neither begin a line nor move the cursor', () => {
  const one = terminal()
  const hostile = found({ health: [['failed', 'a\n  ok  b\u001b[2J\u0007', 'do']] }, 'no\nde')
  createView(one, 1, {}).show(hostile)
  const [head, line] = one.said.out.split('\n')
  expect([head, line]).toEqual(['no de', '  FAILED   health          a ok  b?. → do'])
})

test('--json is one list, with null for the node of the whole', () => {
  const one = terminal({ interactive: true })
  const view = createView(one, 1, { json: true, quiet: true })
  const whole = found({ state: [['warning', 'b', 'c']] }, null)
  view.show(whole)
  view.show(refused)
  view.end(whole, [refused])
  expect(JSON.parse(one.said.out)).toEqual([
    { node: null, check: 'state', status: 'warning', result: 'b', fix: 'c' },
    {
      node: 'node1',
      check: 'health',
      status: 'failed',
      result: 'GET http://10.0.0.11 got no answer',
      fix: 'Look there',
    },
  ])
})

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { NewEntry } from '#shared/state/document.ts'
import { lockedNode, openStore, temporaryFolder } from '../fleet.ts'
import { start, MAIN } from '../../runtime/processes.ts'

const folder = temporaryFolder()
const env = { STATE_URL: `sqlite:${folder.path}/state.db`, STALE_AFTER_SECONDS: '86400' }
const now = Date.now()
const at = (minutes: number) => new Date(now - minutes * 60_000).toISOString()
const overall = (minutes: number, from: string, to: string): NewEntry => ({
  type: 'overall',
  from,
  to,
  at: at(minutes),
  via: 'push',
  overall: to,
})

beforeAll(async () => {
  const store = await openStore(env.STATE_URL, 1000)
  await store.update('node1', () => ({
    state: lockedNode('node1', now),
    entries: [
      overall(300, 'UNKNOWN', 'LOCKED'),
      { ...overall(90, 'LOCKED', 'FREERUN'), at: at(90).replace('Z', '123456Z') },
      overall(60, 'FREERUN', 'LOCKED'),
    ],
    result: undefined,
  }))
  await store.close()
})
afterAll(() => folder.remove())

const run = async (...args: string[]) => {
  const running = start([MAIN, 'history', ...args], env)
  return { code: await running.exit, out: running.out(), err: running.err() }
}

test('the log and the time in each state', async () => {
  const { code, out } = await run('node1', '--from', '2h')
  expect(code).toBe(0)
  const lines = out.trimEnd().split('\n')
  expect(lines).toHaveLength(3)
  expect(lines[0]).toMatch(/^\S+123456Z +overall +LOCKED → FREERUN +push +node FREERUN$/)
  expect(lines[2]).toMatch(
    /FREERUN 30m 0s, LOCKED 1h 30m [0-5]s\. LOCKED for 7[45]\S* % of the 2h 0m 0s that the log covers\.$/,
  )
})

test('what the log does not cover is said', async () => {
  const { out } = await run('node1', '--from', '10h')
  expect(out).toMatch(/The log does not cover (4h 5[89]m \d+s|5h 0m 0s) of the span\.\n$/)
})

test('as CSV and as JSON', async () => {
  const { out } = await run('node1', '--csv')
  expect(out.split('\r\n')).toHaveLength(5)
  const { out: json } = await run('node1', '--json', '--from', at(100), '--to', at(80))
  expect(JSON.parse(json)).toMatchObject({
    node: 'node1',
    availability: 0.5,
    log: [{ seq: 2, to: 'FREERUN' }],
  })
})

describe('what cannot be answered', () => {
  test.each([
    [['nobody'], 1, 'nobody: unknown to the store'],
    [[], 2, 'needs <node>'],
    [[''], 2, 'needs <node>'],
    [['a', 'b'], 2, 'takes one node'],
    [['node1', '--from', 'yesterday'], 2, '--from must be a time such as'],
    [['node1', '--from', '1h', '--to', '2h'], 2, '--from must be earlier than --to'],
    [['node1', '--csv', '--json'], 2, 'exclude each other'],
  ])('%j ends with %i', async (args, code, message) => {
    const found = await run(...args)
    expect(found.code).toBe(code)
    expect(found.err).toContain(message)
  })
})

import { DatabaseSync } from 'node:sqlite'
import { expect, onTestFinished, test } from 'vitest'
import { printStatus, sourceOf } from '#functions/status/terminal/print.ts'
import { defaultShown, temporaryFolder } from '../fleet.ts'
import { NOW, status } from './world.ts'

/** Three nodes, of which the document of `b` cannot be read. */
async function damaged(sql = `UPDATE document SET state = '{"node":"b"}' WHERE node = 'b'`) {
  const folder = temporaryFolder()
  onTestFinished(() => folder.remove())
  const file = `${folder.path}/state.db`
  const found = await status(['a', 'b', 'c'], { url: `sqlite:${file}`, entries: 2 })
  const other = new DatabaseSync(file)
  other.exec(sql)
  other.close()
  return found
}

const ALL = [
  ['a', 'LOCKED'],
  ['b', 'UNKNOWN'],
  ['c', 'LOCKED'],
]

const wordsOf = (nodes: readonly { node: string; overall: string }[]) =>
  nodes.map(({ node, overall }) => [node, overall])

test.each(['', '?limit=2', '?sort=name', '?overall=UNKNOWN'])(
  'a document that cannot be read makes its node UNKNOWN in /api/nodes%s, and hides no other',
  async (query) => {
    const { get } = await damaged()
    const { code, json } = await get(`/api/nodes${query}`)
    expect(code).toBe(200)
    const shown = query === '?limit=2' ? ALL.slice(0, 2) : query.includes('UNKNOWN') ? [ALL[1]] : ALL
    expect(wordsOf(json.nodes)).toEqual(shown)
    expect(json.nodes.find(({ node }: { node: string }) => node === 'b').damaged).toContain('node b')
  },
)

test('the node itself says why it is UNKNOWN, and what removes it; its log and its hours are refused', async () => {
  const { get } = await damaged()
  const { code, json } = await get('/api/nodes/b')
  expect({ code, overall: json.overall }).toEqual({ code: 200, overall: 'UNKNOWN' })
  expect(json.damaged).toContain('ptp-watch forget b')
  expect(json).not.toHaveProperty('log')
  for (const part of ['log', 'timeline', 'availability']) {
    const answer = await get(`/api/nodes/b/${part}`)
    expect(answer.code).toBe(503)
    expect(answer.json.error.message).toContain('The stored document of node b is damaged')
  }
})

test('a log entry that cannot be read is left out of its node, and hides nothing else', async () => {
  const { get } = await damaged(`UPDATE log SET entry = '{' WHERE node = 'b' AND seq = 1`)
  const { code, json } = await get('/api/nodes/b')
  expect({ code, overall: json.overall }).toEqual({ code: 200, overall: 'LOCKED' })
  expect(json.log.map(({ seq }: { seq: number }) => seq)).toEqual([2])
  for (const part of ['log', 'timeline', 'availability'])
    expect((await get(`/api/nodes/b/${part}`)).code).toBe(200)
})

test.each(['table', 'json', 'csv', 'name'])('ptp-watch status -o %s prints all nodes', async (output) => {
  const { store } = await damaged()
  const clock = { now: () => NOW }
  const source = sourceOf({ store, clock, settings: defaultShown, historyPerNode: 50, shownStore: 'sqlite:' })
  let text = ''
  const terminal = {
    out: (more: string) => {
      text += more
    },
    err: () => {},
    interactive: false,
    columns: 200,
    colour: false,
  }
  const { signal } = new AbortController()
  expect(await printStatus(source, { output, 'exit-code': true }, { signal, terminal })).toBe(3)
  expect(text).toMatch(
    output === 'json' ? /"node": "b"[^}]*"UNKNOWN"/ : output === 'name' ? /^b$/m : /^b.*UNKNOWN/m,
  )
  expect(text).toMatch(/\ba\b[\s\S]*\bc\b/)
})

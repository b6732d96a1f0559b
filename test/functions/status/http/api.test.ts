import { gunzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import * as z from 'zod/mini'
import { compressed } from '#functions/status/http/compress.ts'
import { entriesSince } from '#shared/state/history.ts'
import * as api from '#functions/status/http/schemas.ts'
import type { NodeState } from '#shared/state/document.ts'
import { isoTime } from '#shared/time.ts'
import { clockAt, lockedNode, put } from '../../fleet.ts'
import { NOW, status } from '../world.ts'

/** Eight nodes: three sites, two FREERUN, one HOLDOVER, one stale. */
async function fleet() {
  const found = await status([])
  const nodes: [name: string, site: string, state: string, sinceMs: number][] = [
    ['a1', 'a', 'LOCKED', 9_000],
    ['a2', 'a', 'FREERUN', 5_000],
    ['a3', 'a', 'HOLDOVER', 7_000],
    ['b1', 'b', 'FREERUN', 1_000],
    ['b2', 'b', 'LOCKED', 8_000],
    ['c1', 'c', 'LOCKED', 2_000],
    ['c2', 'c', 'LOCKED', 600_000],
    ['d1', '', 'LOCKED', 3_000],
  ]
  for (const [name, site, state, sinceMs] of nodes)
    await put(found.store, nodeOf(name, site, state, sinceMs), 2)
  return found
}

function nodeOf(name: string, site: string, state: string, sinceMs: number): NodeState {
  const seenAt = name === 'c2' ? NOW - 600_000 : NOW
  const node = lockedNode(name, seenAt, site === '' ? {} : { labels: { site, rack: 'r1' } })
  const since = isoTime(NOW - sinceMs)
  return {
    ...node,
    clocks: [
      clockAt(seenAt, 'lock-state', 'ens5fx/master', { state, since }),
      clockAt(seenAt, 'os-clock-sync-state', 'CLOCK_REALTIME', { since }),
    ],
  }
}

type Nodes = { nodes: { node: string }[]; continue: string | null }
const names = ({ nodes }: Nodes) => nodes.map(({ node }) => node)

test.each([
  ['overall=FREERUN', ['a2', 'b1']],
  ['overall=freerun,HOLDOVER', ['a2', 'a3', 'b1']],
  ['stale=true', ['c2']],
  ['stale=false&overall=UNKNOWN', []],
  ['label=site:a', ['a1', 'a2', 'a3']],
  ['label=site:a&label=rack:r1&overall=LOCKED', ['a1']],
  ['label=site:a&label=site:b', []],
  ['name=1', ['a1', 'b1', 'c1', 'd1']],
  ['name=A', ['a1', 'a2', 'a3']],
  ['sort=severity', ['a2', 'b1', 'a3', 'c2', 'a1', 'b2', 'c1', 'd1']],
  ['sort=since&overall=LOCKED', ['c1', 'd1', 'b2', 'a1']],
  ['sort=name&label=site:b', ['b1', 'b2']],
])('GET /api/nodes?%s', async (query, expected) => {
  const { get } = await fleet()
  expect(names((await get(`/api/nodes?${query}`)).json)).toEqual(expected)
  // The same, a page of one node after the other.
  const paged: string[] = []
  let more = ''
  do {
    const { json }: { json: Nodes } = await get(`/api/nodes?${query}&limit=1${more}`)
    paged.push(...names(json))
    more = json.continue === null ? '' : `&continue=${json.continue}`
  } while (more !== '')
  expect(paged).toEqual(expected)
})

test.each([
  ['sort=severity', 'sort=since'],
  ['sort=severity', ''],
  ['', 'sort=name'],
  ['', 'overall=LOCKED'],
  ['label=site:a', 'label=site:b'],
  ['label=site:a', 'label=site:a&label=rack:r1'],
  ['name=1', 'name=2'],
  ['stale=false', 'stale=true'],
])('a page of %j cannot be continued as one of %j', async (query, other) => {
  const { get } = await fleet()
  const { json } = await get(`/api/nodes?limit=1&${query}`)
  const more = `limit=1&continue=${json.continue}`
  expect(await get(`/api/nodes?${more}&${other}`)).toMatchObject({
    code: 400,
    json: { error: { code: 'continue', message: expect.stringContaining('another sort or other filters') } },
  })
  expect(await get(`/api/nodes?${more}&${query}`)).toMatchObject({ code: 200 })
})

test('the fleet in numbers', async () => {
  const { get } = await fleet()
  const overall = { FREERUN: 2, HOLDOVER: 1, UNKNOWN: 1, LOCKED: 4 }
  expect((await get('/api/summary')).json).toMatchObject({
    nodes: 8,
    overall,
    stale: 1,
    blind: 0,
    suspect: 0,
  })
  expect((await get('/api/summary?label=site:a')).json).toMatchObject({
    nodes: 3,
    overall: { FREERUN: 1, HOLDOVER: 1, UNKNOWN: 0, LOCKED: 1 },
  })
})

test('rows say which clock decides', async () => {
  const { get } = await fleet()
  const { rows } = (await get('/api/fleet?name=a')).json
  expect(rows.map(({ because }: { because: string }) => because)).toEqual([
    '',
    'lock-state of ens5fx/master is FREERUN',
    'lock-state of ens5fx/master is HOLDOVER',
  ])
  expect((await get('/api/fleet?stale=true')).json.rows[0]).toMatchObject({
    flags: ['stale'],
    because: 'nothing has confirmed lock-state of ens5fx/master since 11:50:00 UTC',
  })
})

test.each([
  ['/api/nodes?limit=3', api.nodes],
  ['/api/nodes?sort=severity', api.nodes],
  ['/api/nodes/a1', api.node],
  ['/api/nodes/a1/log?from=2026-11-22T00:00:00Z', api.log],
  ['/api/nodes/a1/availability', api.availability],
  ['/api/nodes/a1/timeline', api.timeline],
  ['/api/summary', api.summary],
  ['/api/fleet', api.fleet],
  ['/api/none', api.failure],
])('%s answers what the description says', async (target, schema) => {
  const { get } = await fleet()
  const { json } = await get(target)
  // A schema drops what it does not know: nothing is answered beside it.
  expect(z.parse(schema, json)).toEqual(json)
})

test('the description names every path and every schema that it refers to', async () => {
  const { get } = await fleet()
  const { json, bytes } = await get('/api/openapi.json')
  expect(Object.keys(json.paths)).toHaveLength(8)
  for (const [, name] of bytes.toString().matchAll(/#\/components\/schemas\/(\w+)/g)) {
    expect(json.components.schemas).toHaveProperty(name ?? '')
  }
})

test('replies are compressed where the client takes it', async () => {
  const { get } = await fleet()
  const plain = await get('/api/nodes')
  for (const target of ['/api/nodes', '/api/fleet']) {
    const packed = await get(target, 'GET', { 'accept-encoding': 'br;q=1.0, gzip;q=0.5' })
    expect(packed.headers).toMatchObject({ 'content-encoding': 'gzip', vary: 'accept-encoding' })
    expect(gunzipSync(packed.bytes).toString()).toBe((await get(target)).bytes.toString())
  }
  expect(plain.headers).not.toHaveProperty('content-encoding')
  for (const refused of ['gzip;q=0', 'identity', '']) {
    expect((await get('/api/nodes', 'GET', { 'accept-encoding': refused })).json).toEqual(plain.json)
  }
})

test('what is large is compressed beside the event loop, and HEAD reads nothing for it', async () => {
  const { get } = await status(Array.from({ length: 400 }, (_, i) => `node-${i}`))
  const gzip = { 'accept-encoding': 'gzip' }
  const { bytes, headers } = await get('/api/fleet', 'GET', gzip)
  expect(headers).toMatchObject({ 'content-encoding': 'gzip' })
  expect(JSON.parse(gunzipSync(bytes).toString()).rows).toHaveLength(400)
  let isRead = false
  async function* stream() {
    isRead = true
    yield 'x'
  }
  const reply = { status: 200, headers: { 'content-type': 'application/json' }, stream: stream() }
  expect(compressed(reply, { method: 'HEAD', headers: gzip }).headers).toMatchObject({
    'content-encoding': 'gzip',
  })
  await new Promise(setImmediate)
  expect(isRead).toBe(false)
})

/** How many turns the event loop takes meanwhile. */
async function turnsDuring(work: () => Promise<void>): Promise<number> {
  let turns = 0
  let isOver = false
  const count = () => {
    turns += 1
    if (!isOver) setImmediate(count)
  }
  setImmediate(count)
  await work()
  isOver = true
  return turns
}

test('others are served while a long log is read', async () => {
  const { store } = await status(['a'], { historyPerNode: 5_000, entries: 5_000 })
  let entries = 0
  const turns = await turnsDuring(async () => {
    for await (const page of entriesSince(store, 'a', 5_000, 0)) entries += page.length
  })
  expect(entries).toBe(5_000)
  expect(turns).toBeGreaterThanOrEqual(5)
})

test('others are served while a long timeline is read, and while it is made text', async () => {
  const { store, get } = await status(['a'], { historyPerNode: 5_000 })
  await store.update('a', (state) => ({
    state,
    entries: Array.from({ length: 5_000 }, (_, i) => {
      const at = isoTime(NOW - (5_000 - i) * 1_000)
      const [from, to] = i % 2 === 0 ? ['LOCKED', 'FREERUN'] : ['FREERUN', 'LOCKED']
      return { type: 'overall', from, to, at, via: 'push', overall: to }
    }),
    result: undefined,
  }))
  const turns = await turnsDuring(async () => {
    const { json } = await get('/api/nodes/a/timeline')
    expect(json.lanes[0].spans).toHaveLength(5_001)
    expect(json.availability).toBe(0.5)
  })
  expect(turns).toBeGreaterThanOrEqual(10)
})

test('the log as CSV keeps nanoseconds and defuses formulas', async () => {
  const { get, store } = await fleet()
  await store.update('a1', (state) => ({
    state: state ?? undefined,
    entries: [
      {
        type: 'changed',
        kind: 'lock-state',
        instance: '=cmd()',
        to: 'x,"y"',
        at: '2026-11-23T11:00:00.123456789Z',
        via: 'push',
        overall: 'LOCKED',
      },
    ],
    result: undefined,
  }))
  const { bytes, headers } = await get('/api/nodes/a1/log?format=csv&from=2026-11-23T10:00:00Z')
  expect(headers?.['content-type']).toContain('text/csv')
  expect(bytes.toString()).toBe(
    'node,seq,type,kind,instance,from,to,told,at,not_before,not_after,via,overall\r\n' +
      `a1,3,changed,lock-state,'=cmd(),,"x,""y""",,2026-11-23T11:00:00.123456789Z,,,push,LOCKED\r\n`,
  )
})

test('a log as CSV is as long, and in the order, that is asked for', async () => {
  const { get } = await status(['a'], { entries: 30, historyPerNode: 1000 })
  const numbers = async (query: string) => {
    const { bytes } = await get(`/api/nodes/a/log?from=2026-11-22T12:00:00Z&format=csv${query}`)
    return bytes
      .toString()
      .trim()
      .split('\r\n')
      .slice(1)
      .map((line) => Number(line.split(',')[1]))
  }
  expect(await numbers('&limit=2')).toEqual([1, 2])
  expect(await numbers('&limit=3&order=newest')).toEqual([30, 29, 28])
  expect(await numbers('')).toHaveLength(30)
})

test('a node in HOLDOVER tells until when, in its row and in full; any other has none', async () => {
  const { get } = await fleet()
  const holdover = {
    budgetSeconds: 14_400,
    endsAt: isoTime(NOW - 7_000 + 14_400_000),
    inSpecification: true,
    clockClass: null,
  }
  const rows = api.fleet.parse((await get('/api/fleet')).json).rows
  expect(rows.find(({ node }) => node === 'a3')?.holdover).toEqual(holdover)
  expect(rows.filter((row) => row.holdover !== null).map(({ node }) => node)).toEqual(['a3'])
  expect(api.node.parse((await get('/api/nodes/a3')).json).holdover).toEqual(holdover)
  expect(api.node.parse((await get('/api/nodes/a2')).json).holdover).toBeNull()
  const { components } = (await get('/api/openapi.json')).json
  expect(components.schemas.Node.required).toContain('holdover')
  expect(components.schemas.Fleet.properties.rows.items.required).toContain('holdover')
})

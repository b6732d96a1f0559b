import { describe, expect, test } from 'vitest'
import { emptyNodeState } from '#shared/state/document.ts'
import { defaultSettings } from '#shared/state/merge/draft.ts'
import { isoTime } from '#shared/time.ts'
import { NOW, status } from './world.ts'

test.each([
  [
    '/api/nodes?limt=5',
    'there is no query parameter "limt" here; there are overall, stale, label, name, sort, limit, continue',
  ],
  ['/api/nodes?limit=5&limit=6', 'limit may be given once'],
  ['/api/nodes/b?limit=5', 'there is no query parameter "limit" here; there is none'],
])('%s is refused', async (target, message) => {
  const { get } = await status(['b'])
  expect(await get(target)).toMatchObject({ code: 400, json: { error: { code: 'query', message } } })
})

const NAMES = ['a.example.com', 'b', 'C', 'node-1', 'ü/β %']

test('a node is shown with all that the contract names, and nothing else', async () => {
  const { get } = await status(['node1.example.com'], { entries: 1 })
  const at = isoTime(NOW)
  const times = { since: at, notAfter: null, observedAt: at, receivedAt: at, confirmedAt: at }
  expect((await get('/api/nodes/node1.example.com')).json).toEqual({
    node: 'node1.example.com',
    seq: 1,
    overall: 'LOCKED',
    stale: false,
    suspect: false,
    blind: false,
    holdover: null,
    labels: {},
    publisher: null,
    resources: [
      {
        kind: 'lock-state',
        instance: 'ens5fx/master',
        state: 'LOCKED',
        metrics: { offset: '-2' },
        ...times,
        stale: false,
        contested: false,
        suspect: null,
        via: 'push',
      },
      {
        kind: 'os-clock-sync-state',
        instance: 'CLOCK_REALTIME',
        state: 'LOCKED',
        metrics: { offset: '5' },
        ...times,
        stale: false,
        contested: false,
        suspect: null,
        via: 'push',
      },
    ],
    subscriptions: [],
    counters: emptyNodeState('', '').counters,
    log: [
      {
        seq: 1,
        type: 'changed',
        kind: 'lock-state',
        instance: 'ens5fx/master',
        from: 'HOLDOVER',
        to: 'LOCKED',
        at: '2026-11-23T03:48:28.489302000Z',
        via: 'push',
        overall: 'LOCKED',
      },
    ],
  })
})

test('the list is the same without logs', async () => {
  const { get } = await status(['b', 'a'], { entries: 1 })
  const { json } = await get('/api/nodes')
  const { log: _a, ...a } = (await get('/api/nodes/a')).json
  const { log: _b, ...b } = (await get('/api/nodes/b')).json
  expect(json).toEqual({ nodes: [a, b], continue: null })
})

test('what nothing has confirmed for long enough is stale, and no longer LOCKED, as time goes by', async () => {
  const { get, time } = await status(['a'])
  time.now = NOW + defaultSettings.staleAfterMs - 1
  expect((await get('/api/nodes')).json.nodes[0]).toMatchObject({ overall: 'LOCKED', stale: false })
  time.now = NOW + defaultSettings.staleAfterMs
  expect((await get('/api/nodes')).json.nodes[0]).toMatchObject({ overall: 'UNKNOWN', stale: true })
})

test('a log shows the newest entries, oldest first', async () => {
  const { get } = await status(['a'], { historyPerNode: 5, entries: 9 })
  const { log } = (await get('/api/nodes/a')).json
  expect(log.map(({ seq }: { seq: number }) => seq)).toEqual([5, 6, 7, 8, 9])
})

test.each([1, 2, 3, 5, 500])('pages of %i show every node once, in order', async (limit) => {
  const { get } = await status(NAMES)
  const seen: string[] = []
  let token: string | null = ''
  let pages = 0
  while (token !== null) {
    const more: string = token === '' ? '' : `&continue=${token}`
    const { json } = await get(`/api/nodes?limit=${limit}${more}`)
    expect(json.nodes.length).toBeLessThanOrEqual(limit)
    seen.push(...json.nodes.map(({ node }: { node: string }) => node))
    token = json.continue
    pages += 1
  }
  expect(seen).toEqual([...NAMES].sort())
  expect(pages).toBe(Math.ceil(NAMES.length / limit))
})

test('a hundred nodes are a page unless asked otherwise', async () => {
  const { get } = await status(Array.from({ length: 101 }, (_, i) => `node-${i}`))
  const { json } = await get('/api/nodes')
  expect(json.nodes).toHaveLength(100)
  expect((await get(`/api/nodes?continue=${json.continue}`)).json).toMatchObject({
    nodes: [{ node: 'node-99' }],
    continue: null,
  })
})

test('a node is found by its name, however it is written in the path', async () => {
  const { get } = await status(NAMES)
  for (const name of NAMES) {
    expect((await get(`/api/nodes/${encodeURIComponent(name)}`)).json.node).toBe(name)
  }
})

describe('what cannot be answered', () => {
  const token = (text: string) => Buffer.from(text).toString('base64url')
  test.each([
    ['/api/nodes/none', 404, 'not-found'],
    ['/api/nodes/', 404, 'not-found'],
    ['/api/nodes/a/notes', 404, 'not-found'],
    ['/api/nodes/none/log', 404, 'not-found'],
    ['/page/index.html', 404, 'not-found'],
    ['/icon/none.svg', 404, 'not-found'],
    ['/api', 404, 'not-found'],
    ['/', 404, 'page'],
    ['/api/nodes/%zz', 400, 'path'],
    ['/api/nodes?overall=GONE', 400, 'overall'],
    ['/api/nodes?overall=', 400, 'overall'],
    ['/api/nodes?name=', 400, 'name'],
    ['/api/nodes?label=', 400, 'label'],
    ['/api/nodes?label=site:', 400, 'label'],
    ['/api/nodes?stale=maybe', 400, 'stale'],
    ['/api/nodes?label=site', 400, 'label'],
    ['/api/nodes?sort=size', 400, 'sort'],
    ['/api/nodes/a/log?format=xml', 400, 'format'],
    ['/api/nodes/a/log?order=newest', 400, 'order'],
    ['/api/summary?sort=name', 400, 'query'],
    ['/api/fleet?sort=since', 400, 'query'],
    ['/api/fleet?node=', 400, 'node'],
    ['/api/fleet?node=a&overall=LOCKED', 400, 'node'],
    ['/api/stream?node=a&label=site:a', 400, 'node'],
    ['/api/stream?sort=severity', 400, 'query'],
    ['/api/nodes/a/log?from=yesterday', 400, 'from'],
    ['/api/nodes/a/log?from=2026-11-23T12:00:00Z&to=2026-11-23T11:00:00Z', 400, 'from'],
    ['/api/nodes/a/availability?to=2026-13-01T00:00:00Z', 400, 'to'],
    ['/api/nodes?limit=0', 400, 'limit'],
    ['/api/nodes?limit=501', 400, 'limit'],
    ['/api/nodes?limit=ten', 400, 'limit'],
    ['/api/nodes?limit=1.5', 400, 'limit'],
    ['/api/nodes?limit=', 400, 'limit'],
    ['/api/nodes?continue=', 400, 'continue'],
    ['/api/nodes?continue=node-1', 400, 'continue'],
    [`/api/nodes?continue=${token('node-1')}`, 400, 'continue'],
    [`/api/nodes?continue=${token('from:a')}!`, 400, 'continue'],
    [`/api/nodes?continue=${token('from:a')}&limit=-1`, 400, 'limit'],
  ])('GET %s is %i', async (target, code, error) => {
    const { get } = await status(['a'])
    expect(await get(target)).toMatchObject({ code, json: { error: { code: error } } })
  })

  test.each([
    ['/nodes', '/'],
    ['/nodes/', '/'],
    ['/nodes/?overall=FREERUN', '/?overall=FREERUN'],
  ])('GET %s leads to the fleet at %s', async (target, location) => {
    const { get } = await status(['a'])
    for (const method of ['GET', 'HEAD']) {
      expect(await get(target, method)).toMatchObject({ code: 302, headers: { location } })
    }
    expect(await get(target, 'POST')).toMatchObject({ code: 405 })
  })

  test.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('%s is 405, with what is allowed', async (method) => {
    const { get } = await status(['a'])
    for (const target of ['/api/nodes', '/api/nodes/a', '/api/nodes/none']) {
      expect(await get(target, method)).toMatchObject({ code: 405, headers: { allow: 'GET, HEAD' } })
    }
  })
})

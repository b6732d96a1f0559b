import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { HEALTH_ROWS, hostContract, refusal } from '../../runtime/host-contract.ts'
import { onFramework, onServe, start, MAIN } from '../../runtime/processes.ts'
import { lockedNode, openStore, put, temporaryFolder } from '../fleet.ts'

const folder = temporaryFolder()
const env = { STATE_URL: `sqlite:${join(folder.path, 'state.db')}`, STALE_AFTER_SECONDS: '86400' }

beforeAll(async () => {
  const store = await openStore(env.STATE_URL)
  const now = Date.now()
  await put(store, lockedNode('node1.example.com', now), 2)
  await put(store, lockedNode('ü/β', now, { clocks: [], labels: { site: 'a' } }))
  await store.close()
})
afterAll(() => folder.remove())

const locked = { node: 'node1.example.com', overall: 'LOCKED', stale: false }
const page = (nodes: readonly object[]) => ({
  nodes: nodes.map((node) => expect.objectContaining(node)),
  continue: null,
})

hostContract(
  'status',
  {
    serve: () => onServe(MAIN, 'status', env),
    framework: () => onFramework('functions/framework.ts', 'status', env),
  },
  [
    ...HEALTH_ROWS,
    {
      name: 'all nodes, without logs',
      method: 'GET',
      path: '/api/nodes',
      reply: {
        status: 200,
        headers: { 'content-type': 'application/json' },
        body: page([locked, { node: 'ü/β', overall: 'UNKNOWN' }]),
      },
    },
    { name: 'HEAD of all nodes', method: 'HEAD', path: '/api/nodes', reply: { status: 200, body: '' } },
    {
      name: 'one node, with its log',
      method: 'GET',
      path: '/api/nodes/node1.example.com',
      reply: {
        status: 200,
        body: expect.objectContaining({
          ...locked,
          log: [expect.objectContaining({ seq: 1 }), expect.objectContaining({ seq: 2 })],
        }),
      },
    },
    {
      name: 'a node with a slash in its name',
      method: 'GET',
      path: `/api/nodes/${encodeURIComponent('ü/β')}`,
      reply: { status: 200, body: expect.objectContaining({ node: 'ü/β' }) },
    },
    { name: 'an unknown node', method: 'GET', path: '/api/nodes/none', reply: refusal(404, 'not-found') },
    { name: 'an unknown path', method: 'GET', path: '/none', reply: refusal(404, 'not-found') },
    {
      name: 'a token of nobody’s',
      method: 'GET',
      path: '/api/nodes?continue=x',
      reply: refusal(400, 'continue'),
    },
    { name: 'a limit too high', method: 'GET', path: '/api/nodes?limit=501', reply: refusal(400, 'limit') },
    {
      name: 'another method, with what is allowed',
      method: 'DELETE',
      path: '/api/nodes/node1.example.com',
      reply: { ...refusal(405, 'method-not-allowed'), headers: { allow: 'GET, HEAD' } },
    },
  ],
)

describe('the command', () => {
  const command = async (args: readonly string[], more = {}) => {
    const running = start([MAIN, 'status', ...args], { ...env, ...more })
    return { code: await running.exit, out: running.out(), err: running.err() }
  }

  test('prints a line a node, without colours where there is no terminal', async () => {
    const { code, out, err } = await command([])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out.split('\n')).toEqual([
      `Store ${env.STATE_URL}. 2 nodes: 1 UNKNOWN, 1 LOCKED. Never polled.`,
      '',
      expect.stringMatching(/^NODE +OVERALL.* LABELS$/),
      expect.stringMatching(/^ü\/β +UNKNOWN/),
      expect.stringMatching(/^node1\.example\.com +LOCKED/),
      '',
    ])
    expect(out).not.toContain('\u001b')
  })

  test('prints all nodes with their logs as JSON', async () => {
    const { code, out } = await command(['--json'])
    expect(code).toBe(0)
    expect(JSON.parse(out)).toEqual(
      page([
        { node: 'ü/β', log: [] },
        { ...locked, log: expect.arrayContaining([expect.objectContaining({ seq: 2 })]) },
      ]),
    )
  })

  test.each([
    [['-o', 'name'], 'ü/β\nnode1.example.com\n'],
    [['-o', 'name', '--label', 'site=a'], 'ü/β\n'],
  ])('%j', async (args, expected) => {
    expect(await command(args)).toEqual({ code: 0, out: expected, err: '' })
  })

  test('says when no node matches', async () => {
    const { out } = await command(['--name', 'nonde1'])
    expect(out).toBe(`Store ${env.STATE_URL}. None of its 2 nodes matches the filters.\n`)
  })

  test.each([
    [['--exit-code'], 3],
    [['--exit-code', '--name', 'node1'], 0],
  ])('%j ends with %i', async (args, code) => {
    expect((await command(['-o', 'name', ...args])).code).toBe(code)
  })

  test.each([
    [['--overall', 'LOKED'], '--overall must be one of FREERUN, HOLDOVER, UNKNOWN, LOCKED; found "LOKED"'],
    [['--label', 'a=1', '--label', 'b=2'], '--label may be given once'],
    [['-o', 'yaml'], '--output must be one of table, json, csv, name; found "yaml"'],
    [['--json', '-o', 'csv'], '--json and --output csv exclude each other'],
  ])('refuses %j', async (args, problem) => {
    const { code, out, err } = await command(args)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toContain(`ptp-watch: ${problem}`)
  })

  test('a store that is not there is an error, and is not made', async () => {
    const file = join(folder.path, 'no-such.db')
    const { code, out, err } = await command([], { STATE_URL: `sqlite:${file}` })
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toContain(`There is no SQLite store ${file}`)
    expect(existsSync(file)).toBe(false)
  })

  test('ends with 1 and says why when the store cannot be opened', async () => {
    const { code, out, err } = await command([], { STATE_URL: `sqlite:${folder.path}` })
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toMatch(/^ptp-watch: .*cannot be opened/m)
  })
})

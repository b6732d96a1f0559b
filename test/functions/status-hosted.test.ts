import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { HEALTH_ROWS, hostContract, refusal } from '../runtime/host-contract.ts'
import { onFramework, onServe, start } from '../runtime/processes.ts'
import { lockedNode, openStore, put, temporaryFolder } from './fleet.ts'

const folder = temporaryFolder()
const env = { STATE_URL: `sqlite:${join(folder.path, 'state.db')}`, STALE_AFTER_SECONDS: '86400' }

beforeAll(async () => {
  const store = await openStore(env.STATE_URL)
  const now = Date.now()
  await put(store, lockedNode('node1.example.com', now), 2)
  await put(store, lockedNode('ü/β', now, { clocks: [] }))
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
    serve: () => onServe('functions/main.ts', 'status', env),
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
    { name: 'an unknown path', method: 'GET', path: '/', reply: refusal(404, 'not-found') },
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
    const running = start(['functions/main.ts', 'status', ...args], { ...env, ...more })
    return { code: await running.exit, out: running.out(), err: running.err() }
  }

  test('prints a line a node, without colours where there is no terminal', async () => {
    const { code, out, err } = await command([])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out.split('\n')).toEqual([
      expect.stringMatching(/^NODE +OVERALL/),
      expect.stringMatching(/^node1\.example\.com +LOCKED/),
      expect.stringMatching(/^ü\/β +UNKNOWN/),
      '',
    ])
    expect(out).not.toContain('\u001b')
  })

  test('prints all nodes with their logs as JSON', async () => {
    const { code, out } = await command(['--json'])
    expect(code).toBe(0)
    expect(JSON.parse(out)).toEqual(
      page([
        { ...locked, log: expect.arrayContaining([expect.objectContaining({ seq: 2 })]) },
        { node: 'ü/β', log: [] },
      ]),
    )
  })

  test('ends with 1 and says why when the store cannot be opened', async () => {
    const { code, out, err } = await command([], { STATE_URL: `sqlite:${folder.path}` })
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toMatch(/^ptp-watch: .*cannot be opened/m)
  })
})

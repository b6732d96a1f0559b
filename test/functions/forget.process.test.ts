import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, onTestFinished, test } from 'vitest'
import { forgetNode } from '#functions/forget/index.ts'
import { silentLog } from '#shared/log.ts'
import { createStore, type Store } from '#shared/state/store/store.ts'
import { folder } from '../publishers/support/folder.ts'
import { startApi } from '../kubernetes/api.ts'
import { start, MAIN } from '../runtime/processes.ts'
import { openPatiently } from '../support/patient.ts'
import { startRedis } from '../support/redis.ts'
import { lockedNode, put } from './fleet.ts'

const NOW = Date.parse('2026-11-28T12:00:00Z')

async function openStore(url: string): Promise<Store> {
  const store = createStore(await openPatiently(url), { historyPerNode: 50, log: silentLog })
  onTestFinished(() => store.close())
  return store
}

/** A file with these nodes, each with a line in its log. */
async function storeWith(...nodes: string[]) {
  const url = `sqlite:${join(await folder(), 'state.db')}`
  const store = await openStore(url)
  for (const node of nodes) {
    await store.update(node, () => ({
      state: {
        ...lockedNode(node, NOW),
        publisher: { url: 'http://10.0.0.1:9043', dialect: 'red-hat-v2', reachable: true, checkedAt: '' },
      },
      entries: [{ type: 'stale', via: 'poll', overall: 'UNKNOWN' }],
      result: undefined,
    }))
  }
  const names = async () => (await store.list({ limit: 100 })).nodes.map(({ state }) => state.node)
  return { url, store, names }
}

async function forget(url: string, ...args: string[]) {
  const running = start([MAIN, 'forget', ...args], { STATE_URL: url, LOG_LEVEL: 'error' })
  onTestFinished(() => running.kill('SIGKILL'))
  const code = await running.exit
  return { code, out: running.out(), err: running.err() }
}

describe('ptp-watch forget', () => {
  test('removes the nodes that it is given, document and log, and no other', async () => {
    const { url, store, names } = await storeWith('a', 'b', 'c')
    await store.update('a', (state) => ({
      state: state && {
        ...state,
        forwarded: 0,
        subscriptions: [
          { kind: 'lock-state', address: '/x', id: '1', endpoint: 'http://i/event/a/token', confirmedAt: '' },
        ],
      },
      result: undefined,
    }))
    const { code, out, err } = await forget(url, 'a', 'c', 'a')
    expect({ code, out }).toEqual({
      code: 0,
      out: 'removed a: its state and its log\nremoved c: its state and its log\n',
    })
    expect(err).toMatch(/^warning: a: 1 log entries had not reached the sink, and are lost$/m)
    expect(err).toMatch(/^note: a: http:\/\/10\.0\.0\.1:9043 held 1 of our subscriptions; .*PUBLISHERS/m)
    expect(err).not.toContain('token')
    expect(await names()).toEqual(['b'])
    expect(await store.log('a', { after: 0, limit: 9 })).toEqual([])
    expect(await store.log('b', { after: 0, limit: 9 })).toHaveLength(1)
  })

  test('removes a node whose document cannot be read, and says what was wrong with it', async () => {
    const { url, names } = await storeWith('a', 'b')
    const other = new DatabaseSync(url.slice('sqlite:'.length))
    other.exec(`UPDATE document SET state = '{' WHERE node = 'a'`)
    other.close()
    const { code, out, err } = await forget(url, 'a')
    expect({ code, out }).toEqual({ code: 0, out: 'removed a: its state and its log\n' })
    expect(err).toMatch(/^warning: a: The stored document of node a is not JSON/m)
    expect(await names()).toEqual(['b'])
  })

  test('needs a node, and a store that is there', async () => {
    const { url, names } = await storeWith('a')
    const none = await forget(url)
    expect(none).toMatchObject({ code: 2, out: '' })
    expect(none.err).toContain('ptp-watch forget needs <node> [<node> ...]')
    expect(await forget(url, '--all')).toMatchObject({ code: 2, out: '' })
    const elsewhere = await forget(`${url}.other`, 'a')
    expect(elsewhere).toMatchObject({ code: 1, out: '' })
    expect(elsewhere.err).toContain('There is no SQLite store')
    const help = await forget(url, '--help')
    expect(help).toMatchObject({ code: 0, err: '' })
    expect(help.out).toContain('  ptp-watch forget <node> [<node> ...] [flags]\n')
    expect(await names()).toEqual(['a'])
  })
})

test.each([
  {
    store: 'Redis',
    async open() {
      const redis = await startRedis()
      onTestFinished(() => redis.close())
      return { STATE_URL: `redis://127.0.0.1:${redis.port}` }
    },
  },
  {
    store: 'ConfigMaps',
    async open() {
      const api = await startApi()
      return { STATE_URL: 'configmap://ptp-watch', KUBECONFIG: api.kubeconfig }
    },
  },
])('ptp-watch forget removes a node, and no other, from $store', async ({ open }) => {
  const env: { STATE_URL: string; KUBECONFIG?: string } = await open()
  const { KUBECONFIG: kubeconfig } = env
  const driver = await openPatiently(
    env.STATE_URL,
    kubeconfig === undefined ? {} : { kubernetes: { kubeconfig } },
  )
  const store = createStore(driver, { historyPerNode: 50, log: silentLog })
  onTestFinished(() => store.close())
  for (const node of ['a', 'b']) await put(store, lockedNode(node, NOW), 2)
  const running = start([MAIN, 'forget', 'a', 'c'], { ...env, LOG_LEVEL: 'error' })
  onTestFinished(() => running.kill('SIGKILL'))
  expect(await running.exit).toBe(1)
  expect(running.out()).toBe('removed a: its state and its log\n')
  expect(running.err()).toMatch(/^failed: c: unknown/)
  expect((await store.list({ limit: 9 })).nodes.map(({ state }) => state.node)).toEqual(['b'])
  expect(await store.log('a', { after: 0, limit: 9 })).toEqual([])
  expect(await store.log('b', { after: 0, limit: 9 })).toHaveLength(2)
})

/** Why a node was not removed through a store in whose way something comes. */
const forgetThrough = (store: Pick<Store, 'read' | 'remove'>, node: string) =>
  forgetNode(store, node, { out: fail, err: fail }, 'sqlite:state.db')

function fail(text: string): never {
  throw new Error(`It printed ${text}`)
}

describe('a node that is being removed', () => {
  test('stays where an event came in meanwhile', async () => {
    const { url, store, names } = await storeWith('a')
    const ingest = await openStore(url)
    const between: typeof store.remove = async (...args) => {
      await ingest.update('a', (state) => ({ state, counters: { received: 1 }, result: undefined }))
      return store.remove(...args)
    }
    expect(await forgetThrough({ ...store, remove: between }, 'a')).toMatch(
      /^not removed: it changed meanwhile/,
    )
    expect(await names()).toEqual(['a'])
    expect((await store.read('a'))?.counters.received).toBe(1)
  })

  test('is unknown where somebody else has removed it meanwhile', async () => {
    const { store } = await storeWith('a')
    const between: typeof store.remove = async (...args) => {
      await store.remove('a')
      return store.remove(...args)
    }
    expect(await forgetThrough({ ...store, remove: between }, 'a')).toMatch(/^unknown: /)
  })
})

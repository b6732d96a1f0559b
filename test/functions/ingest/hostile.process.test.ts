import { beforeAll, describe, expect, test } from 'vitest'
import { request } from 'undici'
import { createMemoryDriver } from '#shared/state/drivers/memory.ts'
import { defaultSettings } from '#shared/state/merge/draft.ts'
import { viewOf } from '#shared/state/view.ts'
import { type HostedFunction, onFramework, onServe, MAIN } from '../../runtime/processes.ts'
import { rawConnection } from '../../runtime/raw.ts'
import { openStore, temporaryFolder } from '../fleet.ts'
import { ingestOver } from './over-driver.ts'
import { bodies, framing, type HostileCase, targets } from './hostile-cases.ts'
import { momentAfter, notification, text } from './notifications.ts'

const node = 'good.example.com'

describe.each(['serve', 'framework'] as const)('hostile input, on %s', (kind) => {
  const folder = temporaryFolder()
  const env = {
    STATE_URL: `sqlite:${folder.path}/state.db`,
    PUBLISHERS: text([{ node, url: 'http://127.0.0.1:9' }]),
  }
  let host: HostedFunction
  let store: Awaited<ReturnType<typeof openStore>>

  const send = async (word: string, at: string, lockOrOs: 'lock-state' | 'os-clock-sync-state') => {
    const { statusCode } = await request(`${host.url}/event/${node}`, {
      method: 'POST',
      body: text(notification({ node, word, at, kind: lockOrOs })),
    })
    expect(statusCode).toBe(204)
  }
  /** The words of the two clocks, and what they make of the node. */
  const shown = async () => {
    const state = await store.read(node)
    if (state === undefined) throw new Error('The store has lost the node')
    const { overall, resources } = viewOf(state, Date.now(), defaultSettings)
    const wordOf = (name: string) => resources.find(({ instance }) => instance === name)?.state
    return { overall, lock: wordOf('ens5fx/master'), os: wordOf('CLOCK_REALTIME') }
  }

  beforeAll(async () => {
    store = await openStore(env.STATE_URL)
    host =
      kind === 'serve'
        ? await onServe(MAIN, 'ingest', env)
        : await onFramework('functions/framework.ts', 'ingest', env)
    await send('FREERUN', momentAfter(0), 'lock-state')
    await send('FREERUN', momentAfter(0), 'os-clock-sync-state')
    return async () => {
      await host.stop()
      await store.close()
      folder.remove()
    }
  })

  test.each<HostileCase>([...bodies, ...framing, ...targets])('$name', async (row) => {
    using connection = await rawConnection(Number(new URL(host.url).port))
    const expected = (kind === 'framework' ? row.onFramework : undefined) ?? row.statuses
    // The framework's own server gives no reply to whoever closes his side before it is there.
    const taken = expected.filter((status) => status === 204).length
    connection.socket.write(row.bytes)
    if (kind === 'framework' && taken > 0) {
      await connection.until({ test: (text) => text.split('HTTP/1.1 204 ').length > taken })
    }
    if (!row.waits) connection.socket.end()
    const replies = await connection.closed()
    const statuses = [...replies.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status))
    expect(statuses, replies.slice(0, 500)).toEqual(expected)
    expect(replies).not.toMatch(/^set-cookie/im)

    const live = await request(`${host.url}/health/liveness`)
    expect([live.statusCode, await live.body.json()]).toEqual([200, { status: 'live' }])
    expect(await shown()).toEqual({ overall: 'FREERUN', lock: 'FREERUN', os: 'FREERUN' })
    const { nodes } = await store.list({ limit: 10 })
    expect(nodes.map(({ state }) => state.node)).toEqual([node])
  })

  test('after all of it an event is still taken for what it says', async () => {
    await send('LOCKED', momentAfter(1), 'lock-state')
    expect(await shown()).toEqual({ overall: 'FREERUN', lock: 'LOCKED', os: 'FREERUN' })
  })

  test('connections that break off leave the process as it was', async () => {
    const port = Number(new URL(host.url).port)
    for (let round = 0; round < 50; round++) {
      using connection = await rawConnection(port)
      connection.send(`POST /event/${node} HTTP/1.1\r\nHost: ingest\r\nContent-Length: 100\r\n\r\n{`)
    }
    await send('HOLDOVER', momentAfter(2), 'lock-state')
    expect(await shown()).toMatchObject({ lock: 'HOLDOVER' })
  })
})

describe('a client that takes its time', () => {
  const limits = { headersTimeout: 30, requestTimeout: 60, checkingInterval: 10 }
  const whole = text(notification({ node }))
  const begun = `POST /event/${node} HTTP/1.1\r\nHost: ingest\r\n`

  test.each([
    ['sends half a head', begun],
    ['sends half a body', `${begun}Content-Length: ${whole.length}\r\n\r\n${whole.slice(0, -1)}`],
    ['sends all but the last chunk', `${begun}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n`],
  ])('and %s is refused, and leaves nothing behind', async (_, bytes) => {
    const { port, url, store } = await ingestOver(createMemoryDriver(), [node], { limits })
    using slow = await rawConnection(port)
    slow.send(bytes)
    expect(await slow.closed()).toMatch(/^HTTP\/1\.1 408 /)
    expect(await store.read(node)).toBeUndefined()
    const { statusCode } = await request(`${url}/event/${node}`, { method: 'POST', body: whole })
    expect(statusCode).toBe(204)
  })

  test('with every byte is refused all the same', async () => {
    const { port } = await ingestOver(createMemoryDriver(), [node], { limits })
    using slow = await rawConnection(port)
    slow.send(`${begun}Content-Length: 60000\r\n\r\n`)
    const dripping = setInterval(() => slow.send(' '), 5)
    try {
      expect(await slow.closed()).toMatch(/^HTTP\/1\.1 408 /)
    } finally {
      clearInterval(dripping)
    }
  })
})

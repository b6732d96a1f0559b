import { request } from 'undici'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createMemoryDriver } from '#shared/state/drivers/memory.ts'
import { emptyNodeState } from '#shared/state/document.ts'
import { onServe, MAIN } from '../../runtime/processes.ts'
import { openStore, temporaryFolder } from '../fleet.ts'
import { momentAfter, notification, text } from './notifications.ts'
import { ingestOver } from './over-driver.ts'
import { createGate } from '../../state/drivers/gate.ts'
import { writeLock } from './write-lock.ts'

const node = 'node1.example.com'
const other = 'node2.example.com'

async function post(url: string, path: string, body: unknown, headers: Record<string, string> = {}) {
  const reply = await request(`${url}${path}`, { method: 'POST', headers, body: text(body) })
  await reply.body.dump()
  return reply.statusCode
}

/** The words of the usual clock of a node, in the order of `words`, each a millisecond after the one before. */
const sayer = (url: string) => {
  let moment = 0
  return (word: string, of = node) =>
    post(url, `/event/${of}`, notification({ node: of, word, at: momentAfter(++moment) }))
}

async function history(store: Pick<Awaited<ReturnType<typeof openStore>>, 'log'>, of = node) {
  const log = await store.log(of, { after: 0, limit: 100 })
  return log.filter(({ type }) => type === 'changed').map(({ to }) => to)
}

describe('a process whose store cannot be written', () => {
  async function served() {
    const folder = temporaryFolder()
    const file = `${folder.path}/state.db`
    const host = await onServe(MAIN, 'ingest', {
      STATE_URL: `sqlite:${file}`,
      PUBLISHERS: text([node, other].map((name) => ({ node: name, url: 'http://127.0.0.1:9' }))),
    })
    const store = await openStore(`sqlite:${file}`)
    onTestFinished(async () => {
      host.running.kill('SIGKILL')
      await host.running.exit
      await store.close()
      folder.remove()
    })
    return { ...host, file, store }
  }

  const readiness = async (url: string) => {
    const reply = await request(`${url}/health/readiness`)
    return [reply.statusCode, await reply.body.json()]
  }

  test('answers 503 while the store hangs, stays ready, and writes what waited in order when it is back', async () => {
    const { url, file, store } = await served()
    const say = sayer(url)
    expect(await say('LOCKED')).toBe(204)
    expect(await readiness(url)).toEqual([200, { status: 'ready', store: 'up' }])

    using lock = writeLock(file)
    // These replies come although the lock is held: nothing but this test lets go of it.
    expect(await say('HOLDOVER')).toBe(503)
    expect(await say('FREERUN')).toBe(503)
    const binary = {
      'content-type': 'application/json',
      'ce-specversion': '1.0',
      'ce-id': '1',
      'ce-type': 'event.sync.ptp-status.ptp-state-change',
      'ce-source': '/sync/ptp-status/lock-state',
      'ce-time': momentAfter(50),
    }
    const delivered = notification({ node, word: 'UNLOCKED' }).data
    expect(await post(url, '/cloudevents', delivered, binary)).toBe(503)
    expect(await say('LOCKED', other)).toBe(503)
    await expect.poll(() => readiness(url), WAIT).toEqual([200, { status: 'ready', store: 'down' }])
    expect(await history(store)).toEqual(['LOCKED'])

    lock.release()
    await expect.poll(() => history(store), WAIT).toEqual(['LOCKED', 'HOLDOVER', 'FREERUN'])
    await expect.poll(() => history(store, other), WAIT).toEqual(['LOCKED'])
    await expect.poll(() => readiness(url), WAIT).toEqual([200, { status: 'ready', store: 'up' }])
    // What the Broker had delivered is the Broker's to repeat.
    expect((await store.read(node))?.counters.received).toBe(3)
    expect(await post(url, '/cloudevents', delivered, binary)).toBe(202)
    expect(await say('LOCKED')).toBe(204)
  })

  test('that is told to stop writes what waits as soon as it can, and ends with 0', async () => {
    const { url, file, store, running } = await served()
    const say = sayer(url)
    await say('LOCKED')
    using lock = writeLock(file)
    expect(await say('HOLDOVER')).toBe(503)
    expect(await say('FREERUN')).toBe(503)
    running.kill('SIGTERM')
    await running.until(/"message":"draining"/)
    lock.release()
    expect(await running.exit).toBe(0)
    expect(await history(store)).toEqual(['LOCKED', 'HOLDOVER', 'FREERUN'])
  })

  test('that is told to stop while the store stays away says how much it could not write, and ends with 1', async () => {
    const { url, file, store, running } = await served()
    const say = sayer(url)
    await say('LOCKED')
    using lock = writeLock(file)
    expect(await say('HOLDOVER')).toBe(503)
    running.kill('SIGTERM')
    expect(await running.exit).toBe(1)
    expect(running.err()).toContain('"waiting":1')
    lock.release()
    expect(await history(store)).toEqual(['LOCKED'])
  })
})

const WAIT = { timeout: 60_000, interval: 20 }

describe('a store that refuses', () => {
  test('keeps no events of nodes that nobody has named, and all those of nodes that are known', async () => {
    const gate = createGate(createMemoryDriver())
    const { url, store, waiting } = await ingestOver(gate.driver, [node])
    // In the store, but not in the configuration.
    await store.update(other, () => ({ state: emptyNodeState(other, 'i'), result: undefined }))
    const say = sayer(url)
    expect(await say('LOCKED', other)).toBe(204)
    const unknown = (n: number) => notification({ node: `unknown${n}.example.com` })
    gate.down()
    const flood = Array.from({ length: 20 }, (_, of) =>
      post(
        url,
        '/event',
        Array.from({ length: 20 }, (_each, n) => unknown(20 * of + n)),
      ),
    )
    const alone = Array.from({ length: 200 }, (_, n) =>
      post(url, `/event/unknown${n}.example.com`, unknown(n)),
    )
    expect(new Set(await Promise.all([...flood, ...alone]))).toEqual(new Set([503]))
    expect(waiting.count()).toBe(0)
    expect([await say('HOLDOVER'), await say('HOLDOVER', other)]).toEqual([503, 503])
    expect(waiting.count()).toBe(2)
    gate.up()
    expect(await waiting.flush()).toBe(0)
    expect([await history(store), await history(store, other)]).toEqual([
      ['HOLDOVER'],
      ['LOCKED', 'HOLDOVER'],
    ])
  })
})

import { expect, onTestFinished, test } from 'vitest'
import { readAssets } from '#functions/status/http/assets.ts'
import { createFleet } from '#functions/status/fleet.ts'
import { createStatusHandler } from '#functions/status/http/handler.ts'
import { StoreError } from '#shared/errors.ts'
import { silentLog } from '#shared/log.ts'
import { isoTime } from '#shared/time.ts'
import { defaultShown, lockedNode, openStore, put } from '../../fleet.ts'
import { NOW } from '../world.ts'

/** A node, over a store that a test takes away (`failure`) or whose document it damages (`damage`). */
async function watched() {
  const memory = await openStore('memory:')
  onTestFinished(() => memory.close())
  const publisher = { url: 'http://p', dialect: 'red-hat-v2', reachable: true, checkedAt: isoTime(NOW) }
  await put(memory, lockedNode('a', NOW, { publisher }))
  const world: { failure?: StoreError; damage?: StoreError } = {}
  const store: typeof memory = {
    ...memory,
    async read(node) {
      const error = world.failure ?? world.damage
      if (error !== undefined) throw error
      return memory.read(node)
    },
    async versions() {
      if (world.failure !== undefined) throw world.failure
      return memory.versions()
    },
  }
  const deps = { store, clock: { now: () => NOW }, settings: defaultShown, log: silentLog }
  const fleet = createFleet({ ...deps, shownStore: 'memory:' }, 'test')
  const handle = createStatusHandler({
    ...deps,
    historyPerNode: 50,
    fleet,
    assets: await readAssets('/nowhere'),
  })
  const ask = (path: string, query: string) => {
    const ends = new AbortController()
    onTestFinished(() => ends.abort())
    const request = { method: 'GET', path, query, headers: {}, body: new Uint8Array(), signal: ends.signal }
    return Promise.resolve(handle(request))
  }
  return { world, ask }
}

/** The next message of that type. */
async function next(stream: AsyncIterator<string | Uint8Array>, type: string): Promise<unknown> {
  for (;;) {
    const { value } = await stream.next()
    const [, data] = String(value).split(`event: ${type}\ndata: `)
    if (data !== undefined) return JSON.parse(data)
  }
}

async function streamOf({ ask }: Awaited<ReturnType<typeof watched>>) {
  const { stream } = await ask('/api/stream', 'node=a')
  const messages = stream?.[Symbol.asyncIterator]()
  if (messages === undefined) throw new Error('No stream')
  return messages
}

test('a node alone is told with what is known of the store and of polls', async () => {
  const messages = await streamOf(await watched())
  expect(await next(messages, 'node')).toMatchObject({
    polledAt: isoTime(NOW),
    storeDownSince: null,
    view: { overall: 'LOCKED' },
  })
})

test('who follows a node alone is told that the store is away', async () => {
  const found = await watched()
  found.world.failure = new StoreError('Redis is unreachable')
  const messages = await streamOf(found)
  expect(await next(messages, 'time')).toMatchObject({ storeDownSince: isoTime(NOW) })
})

test('a node whose document cannot be read any more is not shown as it was', async () => {
  const found = await watched()
  const messages = await streamOf(found)
  expect(await next(messages, 'node')).toMatchObject({ view: { overall: 'LOCKED' } })
  found.world.damage = new StoreError('The stored document of node a is damaged', { retryable: false })
  expect(await next(messages, 'node')).toMatchObject({
    view: null,
    row: { overall: 'UNKNOWN', because: 'The stored document of node a is damaged' },
  })
})

test('a list whose first nodes cannot be read is refused, not cut off', async () => {
  const { world, ask } = await watched()
  await ask('/api/summary', '')
  world.failure = new StoreError('Redis is unreachable')
  await expect(ask('/api/nodes', 'sort=since')).rejects.toThrow('Redis is unreachable')
})

import { expect, onTestFinished, test, vi } from 'vitest'
import { createFleet } from '#functions/status/fleet.ts'
import { StoreError } from '#shared/errors.ts'
import { silentLog } from '#shared/log.ts'
import { defaultSettings } from '#shared/state/merge/draft.ts'
import { defaultShown, lockedNode, openStore, put } from '../fleet.ts'

const NOW = Date.parse('2026-11-23T12:00:00Z')

/** The fleet over a memory store; `look` lets 2 s pass, and gives what it then shows. */
async function watched(...nodes: readonly string[]) {
  const store = await openStore('memory:')
  onTestFinished(() => store.close())
  for (const node of nodes) await put(store, lockedNode(node, NOW))
  const time = { now: NOW }
  const failures = new Map<string, StoreError>()
  const reads: string[] = []
  const clock = { now: () => time.now }
  const fleet = createFleet(
    {
      store: {
        versions: () => {
          const failure = failures.get('')
          return failure === undefined ? store.versions() : Promise.reject(failure)
        },
        async read(node) {
          reads.push(node)
          const failure = failures.get(node)
          if (failure !== undefined) throw failure
          return store.read(node)
        },
      },
      clock,
      settings: defaultShown,
      log: silentLog,
      shownStore: 'memory:',
    },
    'test',
  )
  /** One look more, as a follower causes it. */
  const look = async () => {
    reads.length = 0
    const { promise, resolve } = Promise.withResolvers<void>()
    const ends = new AbortController()
    fleet.follow(resolve, ends.signal)
    await promise
    ends.abort()
    return [...fleet.known.values()].map(({ row }) => [row.node, row.overall])
  }
  return { fleet, store, time, failures, reads, look }
}

test('a look reads what has changed, and of what time alone may change', async () => {
  const { store, time, reads, look } = await watched('a', 'b')
  expect(await look()).toEqual([
    ['a', 'LOCKED'],
    ['b', 'LOCKED'],
  ])
  await look()
  expect(reads).toEqual([])
  time.now = NOW + 60_000
  await put(store, lockedNode('b', time.now))
  await look()
  expect(reads).toEqual(['b'])
  time.now = NOW + defaultSettings.staleAfterMs
  expect(await look()).toEqual([
    ['a', 'UNKNOWN'],
    ['b', 'LOCKED'],
  ])
  expect(reads).toEqual(['a'])
})

test('when our own clock is set back nothing stays LOCKED by times that lie ahead', async () => {
  const { time, look } = await watched('a')
  expect(await look()).toEqual([['a', 'LOCKED']])
  time.now = NOW - 3_600_000
  expect(await look()).toEqual([['a', 'UNKNOWN']])
})

test('a document that cannot be read makes its node UNKNOWN, and says why', async () => {
  const { fleet, failures, look } = await watched('a', 'b')
  failures.set('a', new StoreError('The document of node a is damaged', { retryable: false }))
  expect(await look()).toEqual([
    ['a', 'UNKNOWN'],
    ['b', 'LOCKED'],
  ])
  expect(fleet.known.get('a')?.row.because).toBe('The document of node a is damaged')
  expect(fleet.picture().storeDownSince).toBeNull()
})

test('while the store is away the last picture stays, and says since when', async () => {
  const { fleet, failures, look } = await watched('a')
  await look()
  failures.set('', new StoreError('Redis is unreachable'))
  expect(await look()).toEqual([['a', 'LOCKED']])
  expect(fleet.picture().storeDownSince).toBe('2026-11-23T12:00:00.000Z')
  await expect(fleet.current()).rejects.toThrow('Redis is unreachable')
  failures.clear()
  await fleet.current()
  expect(fleet.picture().storeDownSince).toBeNull()
})

test('one loop looks at the store, also for who comes while it looks', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  let looks = 0
  const gates: (() => void)[] = []
  const { promise: asked, resolve: onAsked } = Promise.withResolvers<void>()
  const store = {
    async versions() {
      looks += 1
      onAsked()
      await new Promise<void>((resolve) => gates.push(resolve))
      return new Map<string, string>()
    },
    read: async () => undefined,
  }
  const clock = { now: () => NOW }
  const fleet = createFleet(
    { store, clock, settings: defaultShown, log: silentLog, shownStore: 'memory:' },
    'test',
  )
  const first = new AbortController()
  fleet.follow(() => {}, first.signal)
  vi.advanceTimersByTime(0)
  await asked
  first.abort()
  const second = new AbortController()
  const { promise: shown, resolve } = Promise.withResolvers<void>()
  fleet.follow(resolve, second.signal)
  vi.advanceTimersByTime(0)
  gates[0]?.()
  await shown
  expect([looks, vi.getTimerCount()]).toEqual([1, 1])
  second.abort()
  expect(vi.getTimerCount()).toBe(0)
})

test('what changed since a look is told, and a node that went; of another process or too long ago, nothing', async () => {
  const { fleet, store, look } = await watched('a', 'b')
  await look()
  const seen = fleet.look()
  await put(store, lockedNode('a', NOW, { labels: { site: 'x' } }))
  await store.remove('b')
  await look()
  const changed = fleet.changedSince(seen)
  expect(changed?.rows.map(({ row }) => row.node)).toEqual(['a'])
  expect(changed?.removed).toEqual(['b'])
  expect(fleet.changedSince(fleet.look() + 1)).toBeUndefined()
})

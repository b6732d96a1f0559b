import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { StoreError } from '#shared/errors.ts'
import { createFakeStore, outage, waitingRoom } from './fake-store.ts'

const BUFFER = { buffer: true, bytes: 1 }
const NO_BUFFER = { buffer: false, bytes: 1 }

test('what the store takes does not wait', async () => {
  const [store, { waiting, lines }] = [createFakeStore(), waitingRoom()]
  expect(await waiting.deliver('n', store.write('a'), BUFFER)).toBe(true)
  expect([store.written, waiting.count(), lines]).toEqual([['a'], 0, []])
})

describe('while the store is down', () => {
  test('events wait, and are written in order when it is back', async () => {
    const [store, { waiting, metric, messages }] = [createFakeStore(), waitingRoom()]
    store.down()
    for (const name of ['a', 'b', 'c']) {
      expect(await waiting.deliver('n', store.write(name), BUFFER)).toBe(false)
    }
    expect([waiting.count(), metric('ptp_watch_backlog_events')]).toEqual([3, 3])
    // Only the first asked the store: those behind it have to wait in any case.
    expect(store.begun()).toBe(1)
    expect(await waiting.flush()).toBe(3)
    store.up()
    expect(await waiting.flush()).toBe(0)
    expect(store.written).toEqual(['a', 'b', 'c'])
    expect(metric('ptp_watch_backlog_events')).toBe(0)
    expect(messages()).toEqual([
      'store is down: buffering events',
      'store recovered: all buffered events are written',
    ])
  })

  test('it is tried again without being asked to', async () => {
    const [store, { waiting }] = [createFakeStore(), waitingRoom({ retryEvery: 1 })]
    store.down()
    await waiting.deliver('n', store.write('a'), BUFFER)
    store.up()
    await store.until(1)
    expect(store.written).toEqual(['a'])
  })

  test('an event does not overtake one of its node that waits, though the store is back', async () => {
    const [store, { waiting }] = [createFakeStore(), waitingRoom()]
    store.down()
    await waiting.deliver('n', store.write('a'), BUFFER)
    store.up()
    expect(await waiting.deliver('n', store.write('b'), BUFFER)).toBe(false)
    expect(await waiting.deliver('m', store.write('other'), BUFFER)).toBe(true)
    await waiting.flush()
    expect(store.written).toEqual(['other', 'a', 'b'])
    expect(await waiting.deliver('n', store.write('c'), BUFFER)).toBe(true)
  })

  test('what a Broker will repeat does not wait, and does not overtake', async () => {
    const [store, { waiting }] = [createFakeStore(), waitingRoom()]
    store.down()
    expect(await waiting.deliver('n', store.write('a'), NO_BUFFER)).toBe(false)
    expect(waiting.count()).toBe(0)
    await waiting.deliver('n', store.write('b'), BUFFER)
    store.up()
    expect(await waiting.deliver('n', store.write('a'), NO_BUFFER)).toBe(false)
    await waiting.flush()
    expect(store.written).toEqual(['b'])
  })

  test('what finds no place is counted and told once, and there is place again when the store is back', async () => {
    const [store, { waiting, metric, messages }] = [
      createFakeStore(),
      waitingRoom({ bounds: { events: 2, bytes: 9 } }),
    ]
    store.down()
    for (const node of ['k', 'l', 'm', 'n', 'o']) await waiting.deliver(node, store.write(node), BUFFER)
    expect([waiting.count(), metric('ptp_watch_backlog_dropped_total')]).toEqual([2, 3])
    store.up()
    await waiting.flush()
    expect(store.written).toEqual(['k', 'l'])
    store.down()
    await waiting.deliver('p', store.write('p'), BUFFER)
    expect([waiting.count(), metric('ptp_watch_backlog_dropped_total')]).toEqual([1, 3])
    const full = 'store is down and the backlog is full: dropping events'
    expect(messages().filter((message) => message === full)).toEqual([full])
  })

  test.each([
    ['number', { boundsOfNode: { events: 3, bytes: 1_000 } }],
    ['bytes', { boundsOfNode: { events: 1_000, bytes: 300 } }],
  ])('one node has a bounded %s of places, and its oldest events have them', async (_, options) => {
    const [store, { waiting, metric }] = [createFakeStore(), waitingRoom(options)]
    store.down()
    for (let n = 0; n < 10; n++)
      await waiting.deliver('k', store.write(`k${n}`), { buffer: true, bytes: 100 })
    await waiting.deliver('l', store.write('l'), BUFFER)
    expect([waiting.count(), metric('ptp_watch_backlog_dropped_total')]).toEqual([4, 7])
    store.up()
    expect(await waiting.flush()).toBe(0)
    expect(store.written).toEqual(['k0', 'k1', 'k2', 'l'])
  })

  test.each([
    ['number', { bounds: { events: 6, bytes: 1_000 } }],
    ['bytes', { bounds: { events: 1_000, bytes: 600 } }],
  ])('all have a bounded %s of places, and whoever has most gives way', async (_, options) => {
    const [store, { waiting, metric }] = [createFakeStore(), waitingRoom(options)]
    const say = (node: string, n: number) =>
      waiting.deliver(node, store.write(`${node}${n}`), { buffer: true, bytes: 100 })
    store.down()
    for (let n = 0; n < 20; n++) await say('flood', n)
    for (const n of [1, 2]) for (const node of ['k', 'l', 'm']) await say(node, n)
    expect([waiting.count(), metric('ptp_watch_backlog_dropped_total')]).toEqual([6, 20])
    store.up()
    expect(await waiting.flush()).toBe(0)
    expect([...store.written].sort()).toEqual(['flood0', 'flood1', 'k1', 'k2', 'l1', 'm1'])
    expect(waiting.count()).toBe(0)
  })

  test('a node whose writes alone fail does not hold back the others', async () => {
    const [store, { waiting }] = [createFakeStore(), waitingRoom()]
    const contended = () => Promise.reject(outage)
    store.down()
    await waiting.deliver('bad', contended, BUFFER)
    await waiting.deliver('good', store.write('good'), BUFFER)
    store.up()
    await waiting.flush()
    await waiting.flush()
    expect([store.written, waiting.count()]).toEqual([['good'], 1])
  })
})

describe('while what waits is being written', () => {
  test('an event of the same node gets in line', async () => {
    const [store, { waiting }] = [createFakeStore(), waitingRoom()]
    store.down()
    await waiting.deliver('n', store.write('a'), BUFFER)
    store.up()
    store.hang()
    const flushed = waiting.flush()
    await store.untilBegun(2)
    expect(await waiting.deliver('n', store.write('b'), BUFFER)).toBe(false)
    store.release()
    expect(await flushed).toBe(0)
    expect(store.written).toEqual(['a', 'b'])
  })

  test('an event of another node goes to the store', async () => {
    const [store, { waiting }] = [createFakeStore(), waitingRoom()]
    store.down()
    await waiting.deliver('n', store.write('a'), BUFFER)
    store.up()
    store.hang()
    const flushed = waiting.flush()
    await store.untilBegun(2)
    const delivered = waiting.deliver('m', store.write('b'), BUFFER)
    store.release()
    expect(await delivered).toBe(true)
    await flushed
    expect([...store.written].sort()).toEqual(['a', 'b'])
  })

  test('who asks for it once more gets another try', async () => {
    const [store, { waiting }] = [createFakeStore(), waitingRoom()]
    store.down()
    await waiting.deliver('n', store.write('a'), BUFFER)
    store.hang()
    const first = waiting.flush()
    await store.untilBegun(2)
    const second = waiting.flush()
    store.release(outage)
    store.up()
    await first
    expect(await second).toBe(0)
    expect(store.written).toEqual(['a'])
  })
})

describe('when the store hangs', () => {
  const hangs = async () => {
    const store = createFakeStore()
    const room = waitingRoom({ budget: 1 })
    store.hang()
    expect(await room.waiting.deliver('n', store.write('a'), BUFFER)).toBe(false)
    return { store, ...room }
  }

  test('the sender is answered, what follows waits behind, and nothing is written twice', async () => {
    const { store, waiting } = await hangs()
    expect(store.written).toEqual([])
    expect(await waiting.deliver('n', store.write('b'), BUFFER)).toBe(false)
    expect(waiting.count()).toBe(2)
    store.release()
    await store.until(2)
    expect(await waiting.flush()).toBe(0)
    expect([store.written, store.begun()]).toEqual([['a', 'b'], 2])
  })

  test('and then fails, what it had is written first when it is back', async () => {
    const { store, waiting } = await hangs()
    await waiting.deliver('n', store.write('b'), BUFFER)
    store.release(outage)
    expect(await waiting.flush()).toBe(0)
    expect([store.written, store.begun()]).toEqual([['a', 'b'], 3])
  })

  test('what a Broker will repeat holds its place only until it is known what became of it', async () => {
    const [store, { waiting }] = [createFakeStore(), waitingRoom({ budget: 1 })]
    store.hang()
    expect(await waiting.deliver('n', store.write('broker'), NO_BUFFER)).toBe(false)
    expect(await waiting.deliver('n', store.write('b'), BUFFER)).toBe(false)
    store.release(outage)
    expect(await waiting.flush()).toBe(0)
    expect(store.written).toEqual(['b'])
  })

  test('more than can wait are let go of without harm', async () => {
    const [store, { waiting, metric }] = [
      createFakeStore(),
      waitingRoom({ budget: 1, bounds: { events: 1, bytes: 9 } }),
    ]
    store.hang()
    await Promise.all(['k', 'l', 'm'].map((node) => waiting.deliver(node, store.write(node), BUFFER)))
    expect([waiting.count(), metric('ptp_watch_backlog_dropped_total')]).toEqual([1, 2])
    store.release(outage)
    expect(await waiting.flush()).toBe(0)
    expect(store.written).toHaveLength(1)
  })
})

describe('a write for a node that nobody has named', () => {
  test('never waits here, and only a few run at once', async () => {
    const [store, { waiting, metric }] = [createFakeStore(), waitingRoom({ budget: 1, mostUnknown: 2 })]
    store.hang()
    expect(await Promise.all(['a', 'b', 'c', 'd'].map((name) => waiting.attempt(store.write(name))))).toEqual(
      [false, false, false, false],
    )
    expect([waiting.count(), metric('ptp_watch_backlog_dropped_total'), store.begun()]).toEqual([0, 0, 2])
    store.release(outage)
    await expect.poll(() => waiting.attempt(store.write('e'))).toBe(true)
    store.down()
    expect(await waiting.attempt(store.write('f'))).toBe(false)
    expect([waiting.count(), store.written]).toEqual([0, ['e']])
  })
})

describe('an error that no retry cures', () => {
  const cannot = new StoreError('The stored document cannot be used', { retryable: false })

  test('of the store refuses its event, which does not wait', async () => {
    const { waiting, messages } = waitingRoom()
    expect(await waiting.deliver('n', () => Promise.reject(cannot), BUFFER)).toBe(false)
    expect([waiting.count(), messages()]).toEqual([0, ['event could not be stored']])
  })

  test('of our own is thrown', async () => {
    const { waiting } = waitingRoom()
    const bug = new TypeError('bug')
    await expect(waiting.deliver('n', () => Promise.reject(bug), BUFFER)).rejects.toBe(bug)
    expect(waiting.count()).toBe(0)
  })

  test.each([cannot, new TypeError('bug')])(
    'takes an event that waited out of the line: %s',
    async (error) => {
      const [store, { waiting, messages }] = [createFakeStore(), waitingRoom()]
      let failure: Error = outage
      await waiting.deliver('n', () => Promise.reject(failure), BUFFER)
      await waiting.deliver('n', store.write('b'), BUFFER)
      failure = error
      expect(await waiting.flush()).toBe(0)
      expect(store.written).toEqual(['b'])
      expect(messages()).toContain('buffered event failed to merge; dropped')
    },
  )
})

test('whatever the store does, each event is written once, in the order of its node', async () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom('k', 'l', 'm') },
    fc.constantFrom('up', 'down', 'hang', 'release', 'fail', 'flush'),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const [store, { waiting }] = [createFakeStore(), waitingRoom({ budget: 0 })]
      const sent: Record<string, string[]> = { k: [], l: [], m: [] }
      const flushes: Promise<number>[] = []
      for (const [number, each] of steps.entries()) {
        if (each === 'up') store.up()
        else if (each === 'down') store.down()
        else if (each === 'hang') store.hang()
        else if (each === 'release') store.release()
        else if (each === 'fail') store.release(outage)
        else if (each === 'flush') flushes.push(waiting.flush())
        else {
          const name = `${each}${number}`
          sent[each]?.push(name)
          await waiting.deliver(each, store.write(name), BUFFER)
        }
      }
      store.up()
      store.release()
      await Promise.all(flushes)
      while ((await waiting.flush()) > 0);
      for (const [node, names] of Object.entries(sent)) {
        expect(store.written.filter((name) => name.startsWith(node))).toEqual(names)
      }
      waiting.close()
    }),
    { numRuns: 300 },
  )
})

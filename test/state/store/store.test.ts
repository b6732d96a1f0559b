import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { StoreError } from '#shared/errors.ts'
import { createLog, silentLog } from '#shared/log.ts'
import { type Counters, emptyNodeState, type NodeState } from '#shared/state/document.ts'
import { applyAll, type Change } from '#shared/state/store/change.ts'
import { createStore, type StoreOptions } from '#shared/state/store/store.ts'
import { createGate } from '../drivers/gate.ts'
import { numbers, range } from '../drivers/samples.ts'
import { endRedisSubjects } from '../drivers/redis-subject.ts'
import { LOCAL_STORES } from '../drivers/stores.ts'

afterAll(endRedisSubjects)

/** Makes the document if there is none, and writes `name` into the log. */
function note(name: string, extra: Partial<NodeState> = {}): Change<string> {
  return (current) => ({
    state: { ...(current ?? emptyNodeState('a', 'incarnation')), ...extra },
    entries: [{ type: 'changed', to: name, via: 'push', overall: 'LOCKED' }],
    counters: { received: 1 },
    result: name,
  })
}

/** Changes nothing, counts, and gives the number of the newest entry that it was shown. */
function look(counters?: Partial<Counters>): Change<number | undefined> {
  return (current) => ({ counters, result: current?.seq })
}

test('each counter is the sum of what the changes add', () => {
  const known = emptyNodeState('a', 'incarnation')
  const names = Object.keys(known.counters)
  const each = (by: number) => Object.fromEntries(names.map((name, index) => [name, by * (index + 1)]))
  const changed = applyAll(known, [look(each(1)), look(each(10))])
  expect(changed?.state.counters).toEqual(each(11))
})

describe.each(LOCAL_STORES)('the store over the $name driver', ({ make }) => {
  const setUp = async (options: Partial<StoreOptions> = {}) => {
    const subject = await make()
    onTestFinished(subject.cleanUp)
    const gate = createGate(await subject.open())
    const store = createStore(gate.driver, { historyPerNode: 50, log: silentLog, ...options })
    onTestFinished(() => store.close())
    const other = createStore(await subject.open(), { historyPerNode: 50, log: silentLog })
    onTestFinished(() => other.close())
    const notes = async () => (await other.log('a', { after: 0, limit: 10_000 })).map(({ to }) => to)
    return { store, other, gate, notes, subject }
  }

  test('numbers the entries, keeps the number in the document and adds to the counters', async () => {
    const { store, other } = await setUp()
    await store.update('a', note('one'))
    await store.update('a', (current) => ({
      state: { ...(current ?? emptyNodeState('a', 'x')), seq: 99, counters: emptyNodeState('', '').counters },
      entries: [
        { type: 'missed', via: 'poll', overall: 'FREERUN' },
        { type: 'overall', via: 'poll', overall: 'FREERUN' },
      ],
      counters: { received: 2, missed: 1 },
      result: undefined,
    }))
    expect(await store.read('a')).toMatchObject({ seq: 3, counters: { received: 3, missed: 1, late: 0 } })
    const log = await other.log('a', { after: 0, limit: 10 })
    expect(log.map(({ seq, type }) => [seq, type])).toEqual([
      [1, 'changed'],
      [2, 'missed'],
      [3, 'overall'],
    ])
  })

  test('writes entries without a new document along with the one that stands, and refuses them without', async () => {
    const { store, notes } = await setUp()
    const entry = { type: 'stale', to: 'alone', via: 'poll', overall: 'UNKNOWN' } as const
    const alone: Change<string> = () => ({ entries: [entry], result: 'done' })
    await expect(store.update('a', alone)).rejects.toThrow(/node a .*no document/)
    await store.update('a', note('one'))
    expect(await store.update('a', alone)).toBe('done')
    expect(await notes()).toEqual(['one', 'alone'])
    expect((await store.read('a'))?.seq).toBe(2)
  })

  describe('group commit', () => {
    test('writes what waited for a write in one further write, in order, and each caller gets its own', async () => {
      const { store, gate, notes } = await setUp()
      gate.hold()
      const first = store.update('a', note('0'))
      await gate.arrived(1)
      const waiting = range(1, 20).map((number) => store.update('a', note(String(number))))
      gate.release()
      expect(await Promise.all([first, ...waiting])).toEqual(range(0, 20).map(String))
      expect(gate.writes).toHaveLength(2)
      expect(gate.writes[1]?.entries).toHaveLength(20)
      expect(await notes()).toEqual(range(0, 20).map(String))
      expect((await store.read('a'))?.counters.received).toBe(21)
    })

    test('writes what came in one breath in one write', async () => {
      const { store, gate } = await setUp()
      await Promise.all(range(1, 10).map((number) => store.update('a', note(String(number)))))
      expect(gate.writes).toHaveLength(1)
    })

    test('resolves no caller before the write that holds its change is done', async () => {
      const { store, gate } = await setUp()
      const done: string[] = []
      const tell = (name: string) => void done.push(name)
      gate.hold()
      const first = store.update('a', note('first')).then(tell)
      await gate.arrived(1)
      const second = store.update('a', note('second')).then(tell)
      const sameAgain = store.update('a', look()).then(() => tell('look'))
      await new Promise(setImmediate)
      expect(done).toEqual([])
      gate.release()
      await Promise.all([first, second, sameAgain])
      expect(done).toEqual(['first', 'second', 'look'])
    })

    test('lets no node wait for another', async () => {
      const { store, gate } = await setUp()
      gate.hold('a')
      const held = store.update('a', note('held'))
      await gate.arrived(1)
      expect(await store.update('b', note('free'))).toBe('free')
      gate.release()
      expect(await held).toBe('held')
    })

    test('leaves out the change that throws, and rejects its caller alone', async () => {
      const { store, notes } = await setUp()
      const failing: Change<never> = () => {
        throw new RangeError('no such change')
      }
      const [one, two, three] = await Promise.allSettled([
        store.update('a', note('one')),
        store.update('a', failing),
        store.update('a', note('three')),
      ])
      expect(one).toEqual({ status: 'fulfilled', value: 'one' })
      expect(two).toMatchObject({ status: 'rejected', reason: new RangeError('no such change') })
      expect(three).toEqual({ status: 'fulfilled', value: 'three' })
      expect(await notes()).toEqual(['one', 'three'])
      expect((await store.read('a'))?.counters.received).toBe(2)
    })
  })

  describe('what others write', () => {
    test('makes it read again and apply the change to the newer document', async () => {
      const { store, other, gate, notes } = await setUp()
      await store.update('a', note('mine'))
      await other.update('a', note('theirs', { forwarded: 1 }))
      const shown: (number | undefined)[] = []
      const result = await store.update('a', (current) => {
        shown.push(current?.seq)
        return { ...note('mine again')(current), result: `shown ${current?.seq} ${current?.forwarded}` }
      })
      expect(shown).toEqual([1, 2])
      expect(result).toBe('shown 2 1')
      expect(await notes()).toEqual(['mine', 'theirs', 'mine again'])
      expect(gate.reads()).toBe(2)
    })

    test('is not looked for while nobody comes first: one read serves many writes', async () => {
      const { store, gate } = await setUp()
      for (const number of range(1, 10)) await store.update('a', note(String(number)))
      expect([gate.reads(), gate.writes.length]).toEqual([1, 10])
    })

    test('cannot keep a caller for ever: after so many conflicts it is told so', async () => {
      const { store, other, gate, notes } = await setUp({ conflictLimit: 7, random: () => 0 })
      gate.beforeWrite(async () => void (await other.update('a', note('theirs'))))
      const refused = store.update('a', note('mine'))
      await expect(refused).rejects.toBeInstanceOf(StoreError)
      await expect(refused).rejects.toMatchObject({
        retryable: true,
        message: expect.stringContaining('node a'),
      })
      expect(gate.writes).toHaveLength(7)
      gate.beforeWrite(async () => {})
      await store.update('a', note('mine'))
      expect(await notes()).toEqual([...range(1, 7).map(() => 'theirs'), 'mine'])
    })

    test('brings changes that wait meanwhile into the next attempt', async () => {
      const { store, other, gate, notes } = await setUp()
      await store.update('a', note('mine'))
      let second: Promise<string> | undefined
      gate.beforeWrite(async () => {
        if (second !== undefined) return
        second = store.update('a', note('second'))
        await other.update('a', note('theirs'))
      })
      await store.update('a', note('first'))
      expect(await second).toBe('second')
      expect(gate.writes).toHaveLength(3)
      expect(await notes()).toEqual(['mine', 'theirs', 'first', 'second'])
    })

    test('is looked for before "nothing to do" is believed, once', async () => {
      const { store, other, gate } = await setUp()
      await store.update('a', note('mine'))
      await other.update('a', note('theirs'))
      const shown: (number | undefined)[] = []
      const result = await store.update('a', (current) => {
        shown.push(current?.seq)
        return { result: current?.seq }
      })
      expect([shown, result, gate.reads()]).toEqual([[1, 2], 2, 2])
    })

    test('is looked for by a call that came while the document was being read', async () => {
      const { store, other, gate } = await setUp()
      await other.update('a', note('theirs'))
      let second: Promise<number | undefined> | undefined
      gate.afterRead(async () => {
        if (second !== undefined) return
        await other.update('a', note('theirs again'))
        second = store.update('a', look())
      })
      expect(await store.update('a', look())).toBe(1)
      expect(await second).toBe(2)
      expect(gate.reads()).toBe(2)
    })

    test('is looked for before a failure of the change is believed', async () => {
      const { store, other } = await setUp()
      await store.update('a', note('mine'))
      await other.update('a', note('theirs'))
      const picky: Change<string> = (current) => {
        if (current?.seq !== 2) throw new RangeError(`seq ${current?.seq}`)
        return { result: 'two' }
      }
      expect(await store.update('a', picky)).toBe('two')
    })

    test('needs no look where a write of the same batch proves the document the newest', async () => {
      const { store, gate } = await setUp()
      await store.update('a', note('one'))
      const seen = await Promise.all([store.update('a', look()), store.update('a', note('two'))])
      expect(seen).toEqual([1, 'two'])
      expect(gate.reads()).toBe(1)
    })

    test('has removed the node: the next change makes it anew', async () => {
      const { store, other, notes } = await setUp()
      await store.update('a', note('mine'))
      await other.remove('a')
      await store.update('a', note('anew'))
      expect(await notes()).toEqual(['anew'])
      expect((await store.read('a'))?.counters.received).toBe(1)
    })
  })

  describe('counters of a change that leaves the document as it is', () => {
    test('are written at once, those of a batch together', async () => {
      const { store, other, gate } = await setUp()
      await store.update('a', note('one'))
      await Promise.all(range(1, 5).map(() => store.update('a', look({ duplicate: 1 }))))
      expect(gate.writes).toHaveLength(2)
      expect((await other.read('a'))?.counters).toMatchObject({ received: 1, duplicate: 5 })
    })

    test('are no reason to write where nothing was counted', async () => {
      const { store, gate } = await setUp()
      await store.update('a', note('one'))
      await store.update('a', look({}))
      await store.update('a', look())
      expect(gate.writes).toHaveLength(1)
    })

    test('are neither lost nor counted twice when somebody else came first', async () => {
      const { store, other } = await setUp()
      await store.update('a', note('one'))
      await other.update('a', note('theirs'))
      await Promise.all([store.update('a', note('two')), store.update('a', look({ duplicate: 1 }))])
      await other.update('a', note('theirs'))
      await store.update('a', look({ duplicate: 1 }))
      expect((await other.read('a'))?.counters).toMatchObject({ received: 4, duplicate: 2 })
    })

    test('make no document for a node that has none', async () => {
      const { store, other, gate } = await setUp()
      expect(await store.update('a', look({ duplicate: 1 }))).toBeUndefined()
      expect(gate.writes).toEqual([])
      await Promise.all([store.update('a', look({ duplicate: 1 })), store.update('a', note('one'))])
      expect((await store.read('a'))?.counters).toMatchObject({ received: 1, duplicate: 0 })
      await other.remove('a')
      expect(await store.update('a', look({ duplicate: 1 }))).toBeUndefined()
      expect(await other.read('a')).toBeUndefined()
    })
  })

  describe('trimming', () => {
    const lines: string[] = []
    const log = createLog({ level: 'error', now: () => 0, write: (line) => void lines.push(line) })
    const setUpTrimming = async () => {
      lines.length = 0
      const { store, other, gate } = await setUp({ historyPerNode: 3, log })
      const kept = async () => numbers(await other.log('a', { after: 0, limit: 10_000 }))
      const dropped = () => lines.map((line) => JSON.parse(line).dropped)
      return { store, gate, kept, dropped }
    }

    test('keeps the newest entries of a node that is not forwarded', async () => {
      const { store, kept, dropped } = await setUpTrimming()
      for (const number of range(1, 5)) await store.update('a', note(String(number)))
      expect(await kept()).toEqual([3, 4, 5])
      await Promise.all(range(6, 15).map((number) => store.update('a', note(String(number)))))
      expect(await kept()).toEqual([13, 14, 15])
      expect(dropped()).toEqual([])
    })

    test('asks the driver for nothing where a write adds no entry', async () => {
      const { store, gate } = await setUpTrimming()
      for (const number of range(1, 5)) await store.update('a', note(String(number)))
      await store.update('a', (current) => ({ state: current, result: undefined }))
      expect(gate.writes.map(({ trimThrough }) => trimThrough)).toEqual([0, 0, 0, 1, 2, 0])
    })

    test('keeps what was not forwarded yet, and drops it once it was', async () => {
      const { store, kept, dropped } = await setUpTrimming()
      await store.update('a', note('1', { forwarded: 0 }))
      for (const number of range(2, 10)) await store.update('a', note(String(number)))
      expect(await kept()).toEqual(range(1, 10))
      await store.update('a', note('11', { forwarded: 6 }))
      expect(await kept()).toEqual(range(7, 11))
      await store.update('a', (current) => ({ state: current && { ...current, forwarded: 11 }, result: 0 }))
      expect(await kept()).toEqual([9, 10, 11])
      expect(dropped()).toEqual([])
    })

    test('drops the oldest unsent ones past twenty histories, and says how many', async () => {
      const { store, kept, dropped } = await setUpTrimming()
      await store.update('a', note('1', { forwarded: 0 }))
      await Promise.all(range(2, 60).map((number) => store.update('a', note(String(number)))))
      expect(await kept()).toEqual(range(1, 60))
      expect(dropped()).toEqual([])
      await store.update('a', note('61'))
      await Promise.all(range(62, 65).map((number) => store.update('a', note(String(number)))))
      expect(await kept()).toEqual(range(6, 65))
      expect(dropped()).toEqual([1, 4])
      await store.update('a', note('66', { forwarded: 65 }))
      expect(await kept()).toEqual([64, 65, 66])
      expect(dropped()).toEqual([1, 4])
    })
  })

  describe('a store that is down', () => {
    test('rejects every caller of the batch, applies nothing of it, and takes them when it is back', async () => {
      const { store, gate, notes } = await setUp()
      await store.update('a', note('before'))
      gate.down()
      const refused = await Promise.allSettled([store.update('a', note('x')), store.update('a', note('y'))])
      for (const one of refused) {
        expect(one).toMatchObject({ status: 'rejected', reason: expect.any(StoreError) })
      }
      await expect(store.read('b'))
        .resolves.toBeUndefined()
        .catch(() => {})
      gate.up()
      await Promise.all([store.update('a', note('x')), store.update('a', note('y'))])
      expect(await notes()).toEqual(['before', 'x', 'y'])
      expect((await store.read('a'))?.counters.received).toBe(3)
    })

    test('rejects those that waited behind the failing write only if theirs fails too', async () => {
      const { store, gate, notes } = await setUp()
      await store.update('a', note('before'))
      let fails = true
      gate.beforeWrite(async () => {
        if (!fails) return
        fails = false
        throw new StoreError('The store is down')
      })
      gate.hold()
      const failing = store.update('a', note('failing'))
      await gate.arrived(2)
      const waiting = store.update('a', note('waiting'))
      const failed = expect(failing).rejects.toBeInstanceOf(StoreError)
      gate.release()
      await failed
      expect(await waiting).toBe('waiting')
      expect(await notes()).toEqual(['before', 'waiting'])
    })

    test('cannot make it believe that a write which was stored after all was not', async () => {
      const { store, gate, notes } = await setUp()
      await store.update('a', note('before'))
      const { driver } = gate
      const lossy = createStore(
        {
          ...driver,
          close: async () => {},
          async write(node, write) {
            await driver.write(node, write)
            throw new StoreError('No answer came')
          },
        },
        { historyPerNode: 50, log: silentLog },
      )
      await expect(lossy.update('a', note('stored'))).rejects.toThrow('No answer came')
      expect(await lossy.update('a', look())).toBe(2)
      expect(await store.update('a', look())).toBe(2)
      expect(await notes()).toEqual(['before', 'stored'])
    })
  })

  describe('remove', () => {
    test('comes after the changes before it and before those after it', async () => {
      const { store, notes } = await setUp()
      await Promise.all([
        store.update('a', note('before')),
        store.remove('a'),
        store.update('a', note('after')),
        store.update('a', note('last')),
      ])
      expect(await notes()).toEqual(['after', 'last'])
      await Promise.all([store.update('a', look({ late: 1 })), store.remove('a')])
      expect(await store.read('a')).toBeUndefined()
      expect(await store.update('a', look())).toBeUndefined()
    })

    test('asks what is there then, and takes nothing that somebody else has written since', async () => {
      const { store, other, gate, notes } = await setUp()
      await store.update('a', note('one'))
      const seen: number[] = []
      gate.afterRead(async () => {
        gate.afterRead(async () => {})
        await other.update('a', note('two'))
      })
      const removed = await store.remove('a', ({ seq }) => {
        seen.push(seq)
        return seq < 2
      })
      expect({ removed, seen }).toEqual({ removed: false, seen: [1, 2] })
      expect(await notes()).toEqual(['one', 'two'])
      expect(await store.remove('a', () => true)).toBe(true)
      expect(await store.read('a')).toBeUndefined()
    })

    test('rejects its own caller alone where it fails', async () => {
      const { store, gate, notes } = await setUp()
      const broken = createStore(
        {
          ...gate.driver,
          close: async () => {},
          remove: async () => {
            throw new StoreError('cannot')
          },
        },
        { historyPerNode: 50, log: silentLog },
      )
      const removed = expect(broken.remove('a')).rejects.toThrow('cannot')
      await broken.update('a', note('after'))
      await removed
      expect(await notes()).toEqual(['after'])
      await store.remove('a')
    })
  })

  describe('close', () => {
    test('finishes what was begun, then refuses every call, and closes the driver once', async () => {
      const { store, gate, notes } = await setUp()
      gate.hold()
      const first = store.update('a', note('first'))
      await gate.arrived(1)
      const second = store.update('a', note('second'))
      const closing = Promise.all([store.close(), store.close()])
      const late = store.update('a', note('late'))
      await expect(late).rejects.toMatchObject({ code: 'store', retryable: false })
      expect(gate.closed()).toBe(0)
      gate.release()
      expect(await Promise.all([first, second])).toEqual(['first', 'second'])
      await closing
      expect(gate.closed()).toBe(1)
      const calls = [
        store.read('a'),
        store.list({ limit: 1 }),
        store.log('a', { after: 0, limit: 1 }),
        store.remove('a'),
        store.ping(),
      ]
      for (const call of await Promise.allSettled(calls)) {
        expect(call).toMatchObject({ status: 'rejected', reason: { code: 'store', retryable: false } })
      }
      expect(await notes()).toEqual(['first', 'second'])
    })
  })

  test('caches as many documents as it was told, and forgets the one known for longest', async () => {
    const { store, gate } = await setUp({ cachedDocuments: 2 })
    const reads = async (node: string) => {
      const before = gate.reads()
      await store.update(node, note('x'))
      return gate.reads() - before
    }
    expect([await reads('a'), await reads('b'), await reads('b'), await reads('a')]).toEqual([1, 1, 0, 0])
    expect([await reads('c'), await reads('b'), await reads('c')]).toEqual([1, 0, 0])
    expect([await reads('a'), await reads('b')]).toEqual([1, 1])
  })

  test('refuses a name that no store could keep', async () => {
    const { store } = await setUp()
    const refused = store.update('half a \ud83d smile', note('x'))
    await expect(refused).rejects.toMatchObject({ code: 'store', retryable: false })
  })
})

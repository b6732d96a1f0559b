import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { StoreError } from '#shared/errors.ts'
import { silentLog } from '#shared/log.ts'
import type { Driver } from '#shared/state/store/driver.ts'
import { emptyNodeState } from '#shared/state/document.ts'
import type { Change } from '#shared/state/store/change.ts'
import { createStore, type Store } from '#shared/state/store/store.ts'
import { endRedisSubjects } from '../drivers/redis-subject.ts'
import { LOCAL_STORES } from '../drivers/stores.ts'

afterAll(endRedisSubjects)

const NODES = ['a', 'b'] as const

/** A call of one of two stores. `note` writes, `count` only counts, `throw` fails, `remember` is idempotent. */
const call = fc.record({
  store: fc.constantFrom(0, 1),
  node: fc.constantFrom(...NODES),
  what: fc.constantFrom('note', 'note', 'count', 'throw', 'remember'),
  inSameBreath: fc.boolean(),
})
type Call = typeof call extends fc.Arbitrary<infer T> ? T : never

/** The driver, with every step of every call in an order that fast-check picks. */
function interleaved(driver: Driver, scheduler: fc.Scheduler): Driver {
  return {
    ...driver,
    async read(node, known) {
      await scheduler.schedule(Promise.resolve(), `read ${node}`)
      const read = await driver.read(node, known)
      await scheduler.schedule(Promise.resolve(), `have read ${node}`)
      return read
    },
    async write(node, write) {
      await scheduler.schedule(Promise.resolve(), `write ${node}`)
      const version = await driver.write(node, write)
      await scheduler.schedule(Promise.resolve(), `have written ${node}`)
      return version
    },
    close: async () => {},
  }
}

function changeOf({ node, what }: Call, name: string): Change<string> {
  return (current) => {
    if (what === 'throw') throw new RangeError(name)
    // Counters alone count in a document only, so that the first call of any kind makes one.
    if (what === 'count' && current !== undefined) return { counters: { late: 1 }, result: name }
    const state = current ?? emptyNodeState(node, 'incarnation')
    const made = what === 'count' ? { late: 1 } : { received: 1 }
    if (what === 'remember') {
      if (state.pending.length > 0) return { result: name }
      return { state: { ...state, pending: [{ kind: 'k', requestedAt: name }] }, result: name }
    }
    const entries = [{ type: 'changed', to: name, via: 'push', overall: 'LOCKED' }] as const
    return { state, entries: what === 'note' ? entries : [], counters: made, result: name }
  }
}

describe.each(LOCAL_STORES)('two stores over one $name store', ({ name, make }) => {
  test('apply every change exactly once, in the order of each store, however their steps interleave', async () => {
    const subject = await make()
    const driver = await subject.open()
    try {
      await fc.assert(
        fc.asyncProperty(fc.scheduler(), fc.array(call, { maxLength: 25 }), async (scheduler, calls) => {
          for (const node of NODES) await driver.remove(node)
          const stores = [0, 1].map(() =>
            createStore(interleaved(driver, scheduler), {
              historyPerNode: 1000,
              log: silentLog,
              random: () => 0,
            }),
          )
          const made: Promise<unknown>[] = []
          const start = async () => {
            for (const [index, one] of calls.entries()) {
              const store = stores[one.store]
              const update = store?.update(one.node, changeOf(one, `${index}`))
              made.push(Promise.allSettled([update]).then(([settled]) => settled))
              if (!one.inSameBreath) await scheduler.schedule(Promise.resolve(), 'next call')
            }
            return Promise.all(made)
          }
          const settled = await scheduler.waitFor(start())
          await scheduler.waitFor(Promise.all(stores.map((store) => store.close())))

          for (const [index, { what }] of calls.entries()) {
            if (what === 'throw') {
              expect(settled[index]).toEqual({ status: 'rejected', reason: new RangeError(`${index}`) })
            } else expect(settled[index]).toEqual({ status: 'fulfilled', value: `${index}` })
          }
          for (const node of NODES) {
            const mine = [...calls.entries()].filter(([, one]) => one.node === node)
            const noted = mine.filter(([, { what }]) => what === 'note')
            const log = await driver.log(node, { after: 0, limit: 1000 })
            const state = (await driver.read(node))?.state
            expect(log.map(({ seq }) => seq)).toEqual(noted.map((_, index) => index + 1))
            for (const which of [0, 1]) {
              const own = noted.filter(([, { store }]) => store === which).map(([index]) => `${index}`)
              expect(log.flatMap(({ to = '' }) => (own.includes(to) ? [to] : []))).toEqual(own)
            }
            expect(state?.seq ?? 0).toBe(noted.length)
            expect(state?.counters.received ?? 0).toBe(noted.length)
            expect(state?.counters.late ?? 0).toBe(mine.filter(([, { what }]) => what === 'count').length)
            const remembered = mine.some(([, { what }]) => what === 'remember')
            expect(state?.pending.length ?? 0).toBe(remembered ? 1 : 0)
          }
        }),
        { numRuns: name === 'memory' ? 300 : 60 },
      )
    } finally {
      await driver.close()
      await subject.cleanUp()
    }
  })
})

test('a store that fails now and then applies exactly what it acknowledged', async () => {
  const [memory] = LOCAL_STORES
  await fc.assert(
    fc.asyncProperty(
      fc.infiniteStream(fc.boolean()),
      fc.array(fc.constantFrom(...NODES), { maxLength: 30 }),
      fc.scheduler(),
      async (failures, nodes, scheduler) => {
        const subject = await memory?.make()
        if (subject === undefined) throw new Error('no memory store')
        const driver = await subject.open()
        const fail = () => {
          if (failures.next().value) throw new StoreError('The store is down')
        }
        const flaky: Driver = {
          ...interleaved(driver, scheduler),
          async read(node, known) {
            await scheduler.schedule(Promise.resolve())
            fail()
            return driver.read(node, known)
          },
          async write(node, write) {
            await scheduler.schedule(Promise.resolve())
            fail()
            return driver.write(node, write)
          },
        }
        const store: Store = createStore(flaky, { historyPerNode: 1000, log: silentLog })
        const calls = nodes.map((node, index) => ({ node, name: `${index}` }))
        const settle = async () => {
          const made: Promise<PromiseSettledResult<string> | undefined>[] = []
          for (const { node, name } of calls) {
            const one: Call = { store: 0, node, what: 'note', inSameBreath: false }
            made.push(Promise.allSettled([store.update(node, changeOf(one, name))]).then(([ended]) => ended))
            await scheduler.schedule(Promise.resolve())
          }
          return Promise.all(made)
        }
        const settled = await scheduler.waitFor(settle())
        for (const node of NODES) {
          const done = calls.filter(
            (one, index) => one.node === node && settled[index]?.status === 'fulfilled',
          )
          const log = await driver.log(node, { after: 0, limit: 1000 })
          expect(log.map(({ to }) => to)).toEqual(done.map(({ name }) => name))
          expect(log.map(({ seq }) => seq)).toEqual(done.map((_, index) => index + 1))
          expect((await driver.read(node))?.state.counters.received ?? 0).toBe(done.length)
        }
      },
    ),
    { numRuns: 200 },
  )
})

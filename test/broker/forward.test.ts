import { DatabaseSync } from 'node:sqlite'
import { describe, expect, test, vi } from 'vitest'
import { eventOf } from '#shared/broker/event.ts'
import { StoreError } from '#shared/errors.ts'
import type { Driver } from '#shared/state/store/driver.ts'
import { createMemoryDriver } from '#shared/state/drivers/memory.ts'
import { openDriver } from '#shared/state/store/open.ts'
import { range } from '../state/drivers/samples.ts'
import {
  join,
  numbersOf,
  NODE,
  openSink,
  SHARED,
  soon,
  stateOf,
  temporaryDatabase,
  touch,
  transit,
} from './world.ts'

describe.each(['memory', 'sqlite'] as const)('over a %s store', (kind) => {
  const open = async () => {
    const sink = await openSink()
    const shared = SHARED[kind]()
    return { sink, driver: await shared.open() }
  }

  test('every transition arrives once, in the order of the log, and the cursor follows', async () => {
    const { sink, driver } = await open()
    const member = await join(driver, sink.url)
    const nodes = ['a.example.com', 'b.example.com', 'c.example.com']
    await Promise.all(nodes.map((node) => transit(member.store, 20, node)))
    expect(await member.forwarder.settle(soon())).toBe(true)
    for (const node of nodes) expect(numbersOf(sink.taken(node))).toEqual(range(1, 20))
    expect(sink.arrivals).toHaveLength(60)
    await member.close()
    expect(member.metrics()).toContain('ptp_watch_forwarded_total{outcome="accepted"} 60')
    expect(member.metrics()).toContain('ptp_watch_forward_waiting_nodes 0')
  })

  test('a document made while there is a sink is sent from its first entry on', async () => {
    const { sink, driver } = await open()
    const member = await join(driver, sink.url)
    await transit(member.store)
    await sink.until(({ arrivals }) => arrivals.length === 1)
    expect(sink.taken().map(({ sequence }) => sequence)).toEqual(['0000000000000000001'])
  })

  test('what was logged before there was a sink is history, and what comes after it is sent', async () => {
    const { sink, driver } = await open()
    const member = await join(driver, sink.url)
    await transit(member.base, 5)
    expect((await stateOf(member.base)).forwarded).toBeUndefined()
    await transit(member.store, 2)
    expect(await member.forwarder.settle(soon())).toBe(true)
    expect(numbersOf(sink.taken())).toEqual([6, 7])
  })
})

const STORED = [
  { what: 'no cursor, nothing new', log: 4, forwarded: undefined, write: touch, sends: [], ends: 4 },
  { what: 'no cursor, an entry', log: 4, forwarded: undefined, write: transit, sends: [5], ends: 5 },
  { what: 'a cursor at the end, nothing new', log: 4, forwarded: 4, write: touch, sends: [], ends: 4 },
  { what: 'a cursor at the end, an entry', log: 4, forwarded: 4, write: transit, sends: [5], ends: 5 },
  { what: 'a cursor behind, nothing new', log: 4, forwarded: 2, write: touch, sends: [3, 4], ends: 4 },
  { what: 'a cursor behind, an entry', log: 4, forwarded: 2, write: transit, sends: [3, 4, 5], ends: 5 },
  { what: 'a cursor at 0, an entry', log: 2, forwarded: 0, write: transit, sends: [1, 2, 3], ends: 3 },
] as const

test.each(STORED)('with $what, $sends are sent and the cursor ends at $ends', async (row) => {
  const driver = createMemoryDriver()
  const sink = await openSink()
  const member = await join(driver, sink.url)
  await transit(member.base, row.log)
  const { forwarded } = row
  if (forwarded !== undefined) {
    await member.base.update(NODE, (current) => ({
      ...(current !== undefined && { state: { ...current, forwarded } }),
      result: undefined,
    }))
  }
  await row.write(member.store)
  expect(await member.forwarder.settle(soon())).toBe(true)
  expect(numbersOf(sink.taken())).toEqual(row.sends)
  await member.forwarder.close()
  expect((await stateOf(member.base)).forwarded).toBe(row.ends)
})

test('an entry that cannot be read is left out, and holds up none behind it', async () => {
  const url = temporaryDatabase()
  const driver = await openDriver(url)
  const sink = await openSink()
  const member = await join(driver, sink.url)
  await transit(member.base, 3)
  await member.base.update(NODE, (current) => ({
    ...(current !== undefined && { state: { ...current, forwarded: 0 } }),
    result: undefined,
  }))
  const other = new DatabaseSync(url.slice('sqlite:'.length))
  other.exec(`UPDATE log SET entry = '{' WHERE seq = 2`)
  other.close()
  await touch(member.store)
  expect(await member.forwarder.settle(soon())).toBe(true)
  expect(numbersOf(sink.taken())).toEqual([1, 3])
  expect((await stateOf(member.base)).forwarded).toBe(3)
})

test('a process without a sink leaves the cursor, and the next one with a sink sends what it logged', async () => {
  const driver = createMemoryDriver()
  const sink = await openSink()
  const first = await join(driver, sink.url)
  await transit(first.store, 2)
  await first.forwarder.settle(soon())
  await first.forwarder.close()
  await transit(first.base, 3)
  expect(await stateOf(first.base)).toMatchObject({ seq: 5, forwarded: 2 })
  const second = await join(driver, sink.url)
  // An event that changes nothing: the document is looked at, and not written.
  await second.store.update(NODE, () => ({ result: undefined }))
  expect(await second.forwarder.settle(soon())).toBe(true)
  expect(numbersOf(sink.taken())).toEqual([1, 2, 3, 4, 5])
})

test('the cursor never goes back, whoever writes last', async () => {
  const driver = createMemoryDriver()
  const sink = await openSink()
  const members = [await join(driver, sink.url), await join(driver, sink.url)]
  const seen: number[] = []
  for (let round = 0; round < 10; round += 1) {
    for (const { store, base } of members) {
      await transit(store)
      seen.push((await stateOf(base)).forwarded ?? -1)
    }
  }
  await Promise.all(members.map(({ forwarder }) => forwarder.settle(soon())))
  for (const { forwarder } of members) await forwarder.close()
  seen.push((await stateOf(members[0]?.base ?? fail())).forwarded ?? -1)
  expect(seen).toEqual(seen.toSorted((a, b) => a - b))
  expect(seen.at(-1)).toBe(20)
})

test.each([2, 4])(
  '%i forwarders over one store lose nothing and keep the order of first arrivals',
  async (count) => {
    const driver = createMemoryDriver()
    const sink = await openSink()
    let tries = 0
    // Answers differ in time: every third is refused once, and comes again.
    sink.answer(() => (++tries % 3 === 0 ? 500 : 202))
    const members = await Promise.all(range(1, count).map(() => join(driver, sink.url)))
    await Promise.all(members.map(({ store }) => transit(store, 15)))
    sink.answer(202)
    for (const { forwarder } of members) await forwarder.settle(soon())
    await sink.until((now) => now.taken().length === 15 * count)
    expect(numbersOf(sink.taken())).toEqual(range(1, 15 * count))
    const ids = new Map(sink.arrivals.map(({ event }) => [event.data.seq, event.id]))
    for (const { event } of sink.arrivals) expect(event.id).toBe(ids.get(event.data.seq))
  },
)

test('what was sent before a crash, but not marked, is sent again with the same ids', async () => {
  const driver = createMemoryDriver()
  const sink = await openSink()
  const first = await join(driver, sink.url)
  sink.answer('hang')
  await transit(first.store, 3)
  await sink.until(({ arrivals }) => arrivals.length === 1)
  first.kill()
  sink.answer(202)
  sink.release()
  const second = await join(driver, sink.url)
  await second.store.update(NODE, () => ({ result: undefined }))
  await second.forwarder.settle(soon())
  const [before, again] = sink.arrivals.filter(({ event }) => event.data.seq === 1)
  expect(again?.event).toEqual(before?.event)
  expect(new Set(numbersOf(sink.taken()))).toEqual(new Set([1, 2, 3]))
})

test('a sink that is down and comes back gets all, in order', async () => {
  const sink = await openSink()
  const member = await join(createMemoryDriver(), sink.url)
  await sink.down()
  await transit(member.store, 5)
  expect(await member.forwarder.settle(soon())).toBe(false)
  expect(member.metrics()).toContain('ptp_watch_forward_waiting_nodes 1')
  await sink.up()
  await sink.until(({ arrivals }) => arrivals.length === 5)
  expect(numbersOf(sink.taken())).toEqual(range(1, 5))
  expect(member.lines.join('')).toContain('sink failed: events wait in the log')
  expect(member.lines.join('')).toContain('sink accepts events again')
})

test('a fleet that waits for a sink gets through when it is back', async () => {
  const sink = await openSink()
  const member = await join(createMemoryDriver(), sink.url)
  sink.answer(503)
  const nodes = range(1, 100).map((number) => `node${number}.example.com`)
  await Promise.all(nodes.map((node) => transit(member.store, 2, node)))
  await sink.until(({ arrivals }) => arrivals.length > 0)
  sink.answer(202)
  await sink.until((now) => now.taken().length === 200)
  for (const node of nodes) expect(numbersOf(sink.taken(node))).toEqual([1, 2])
  // And it is trusted again: not one after the other any more.
  sink.answer('hang')
  await Promise.all(nodes.map((node) => transit(member.store, 1, node)))
  await sink.until(({ arrivals }) => arrivals.filter(({ status }) => status === undefined).length === 32)
  sink.answer(202)
  sink.release()
})

test('an event that the sink rejects permanently is skipped, logged and counted', async () => {
  const sink = await openSink()
  const member = await join(createMemoryDriver(), sink.url)
  sink.answer(({ data }) => (data.seq >= 2 ? { status: 400, body: 'I do not like it' } : 202))
  await transit(member.store, 3)
  expect(await member.forwarder.settle(soon())).toBe(true)
  expect(numbersOf(sink.arrivals.map(({ event }) => event))).toEqual([1, 2, 3])
  expect(member.metrics()).toContain('ptp_watch_forwarded_total{outcome="rejected"} 2')
  expect(
    member.lines.filter((line) => line.includes('sink rejected event permanently; skipping')).join(''),
  ).toContain('I do not like it')
  await member.forwarder.close()
  expect((await stateOf(member.base)).forwarded).toBe(3)
})

test('a sink that fails several times in a row is tried by one node alone, with pauses, until it accepts one', async () => {
  const sink = await openSink()
  const member = await join(createMemoryDriver(), sink.url)
  sink.answer(500)
  const nodes = range(1, 100).map((number) => `node${number}.example.com`)
  await Promise.all(nodes.map((node) => transit(member.store, 1, node)))
  await sink.until(({ arrivals }) => arrivals.length >= 3)
  expect(await member.forwarder.settle(soon())).toBe(false)
  const tried = sink.arrivals.length
  expect(tried).toBeLessThan(64)
  sink.answer('hang')
  await sink.until(({ arrivals }) => arrivals.length > tried)
  expect(await member.forwarder.settle(AbortSignal.timeout(100))).toBe(false)
  expect(sink.arrivals).toHaveLength(tried + 1)
  sink.answer(202)
  sink.release()
  // All but the one that was released.
  await sink.until((now) => now.taken().length === 99)
})

test('a sink that asks for a pause is left alone by all nodes', async () => {
  const sink = await openSink()
  const member = await join(createMemoryDriver(), sink.url)
  sink.answer({ status: 429, headers: { 'retry-after': '60' } })
  await transit(member.store, 1, 'a.example.com')
  await sink.until(({ arrivals }) => arrivals.length === 1)
  await member.forwarder.settle(soon())
  await transit(member.store, 1, 'b.example.com')
  expect(await member.forwarder.settle(soon())).toBe(false)
  expect(sink.arrivals).toHaveLength(1)
})

test('one node whose event is refused for now holds up no other node', async () => {
  const sink = await openSink()
  const member = await join(createMemoryDriver(), sink.url)
  sink.answer(({ node }) => (node === 'bad.example.com' ? 500 : 202))
  await transit(member.store, 2, 'bad.example.com')
  await sink.until(({ arrivals }) => arrivals.length === 1)
  for (const number of range(1, 20)) await transit(member.store, 1, `node${number}.example.com`)
  await sink.until((now) => now.taken().length === 20)
  expect(sink.taken('bad.example.com')).toEqual([])
})

test('a write is done before the sink has answered', async () => {
  const sink = await openSink()
  const member = await join(createMemoryDriver(), sink.url, { lastChanceMs: 1 })
  sink.answer('hang')
  await transit(member.store, 3)
  await sink.until(({ arrivals }) => arrivals.length === 1)
  expect((await stateOf(member.base)).seq).toBe(3)
  // And the end is not held up by it: the cursor stays where it is, and the next process sends it.
  await member.close()
  expect(sink.taken()).toEqual([])
})

test('the end waits for what is under way, and marks it', async () => {
  const sink = await openSink()
  const driver = createMemoryDriver()
  const member = await join(driver, sink.url)
  sink.answer('hang')
  await transit(member.store, 2)
  await sink.until(({ arrivals }) => arrivals.length === 1)
  const closed = member.close()
  sink.answer(202)
  sink.release()
  await closed
  expect((await driver.read(NODE))?.state).toMatchObject({ seq: 2, forwarded: 2 })
})

test('a store that was set back to an older state gets its new entries sent', async () => {
  const driver = createMemoryDriver()
  const sink = await openSink()
  const member = await join(driver, sink.url)
  await transit(member.store, 2)
  const backup = await driver.read(NODE)
  await transit(member.store, 5)
  expect(await member.forwarder.settle(soon())).toBe(true)
  await restore(driver, backup?.state)
  await transit(member.store, 4)
  expect(await member.forwarder.settle(soon())).toBe(true)
  expect(numbersOf(sink.taken())).toEqual([...range(1, 7), ...range(3, 6)])
  await member.forwarder.close()
  expect((await stateOf(member.base)).forwarded).toBe(6)
})

test('a store that was set back is noticed also when one write makes more entries than were lost', async () => {
  const driver = createMemoryDriver()
  const sink = await openSink()
  const member = await join(driver, sink.url)
  await transit(member.store, 2)
  const backup = await driver.read(NODE)
  await transit(member.store, 2)
  expect(await member.forwarder.settle(soon())).toBe(true)
  await restore(driver, backup?.state)
  await Promise.all(range(1, 5).map(() => transit(member.store)))
  expect(await member.forwarder.settle(soon())).toBe(true)
  expect(numbersOf(sink.taken())).toEqual([...range(1, 4), ...range(3, 7)])
})

test('what a process without a sink logs in a store that was set back is sent and marked', async () => {
  const driver = createMemoryDriver()
  const sink = await openSink()
  const member = await join(driver, sink.url)
  const other = await join(driver, sink.url)
  await transit(member.store, 2)
  const backup = await driver.read(NODE)
  await transit(member.store, 5)
  expect(await member.forwarder.settle(soon())).toBe(true)
  await restore(driver, backup?.state)
  await transit(other.base, 2)
  await member.store.update(NODE, () => ({ result: undefined }))
  expect(await member.forwarder.settle(soon())).toBe(true)
  // From where the old document says on, and each of them once.
  const again = range((backup?.state.forwarded ?? 0) + 1, 4)
  expect(numbersOf(sink.arrivals.map(({ event }) => event))).toEqual([...range(1, 7), ...again])
  await member.forwarder.close()
  expect((await driver.read(NODE))?.state.forwarded).toBe(4)
})

test('a store that was emptied begins anew: its entries have the old numbers and are sent', async () => {
  const driver = createMemoryDriver()
  const sink = await openSink()
  const member = await join(driver, sink.url)
  await transit(member.store, 5)
  expect(await member.forwarder.settle(soon())).toBe(true)
  await driver.remove(NODE)
  await Promise.all(range(1, 7).map(() => transit(member.store)))
  expect(await member.forwarder.settle(soon())).toBe(true)
  expect(numbersOf(sink.taken())).toEqual([...range(1, 5), ...range(1, 7)])
})

test('entries of a change that leaves the document as it is are marked and sent too', async () => {
  const sink = await openSink()
  const member = await join(createMemoryDriver(), sink.url)
  await transit(member.base, 2)
  await member.store.update(NODE, () => ({
    entries: [{ type: 'recovered', notAfter: '2026-11-23T04:00:00.000Z', via: 'push', overall: 'LOCKED' }],
    result: undefined,
  }))
  expect(await member.forwarder.settle(soon())).toBe(true)
  expect(numbersOf(sink.taken())).toEqual([3])
})

test('the position is written, also where nothing else is', async () => {
  const driver = createMemoryDriver()
  const sink = await openSink()
  const member = await join(driver, sink.url)
  await transit(member.store, 3)
  await vi.waitFor(async () => expect((await driver.read(NODE))?.state.forwarded).toBe(3), 20_000)
})

test('what another process logged while ours was being sent goes with it, and is marked', async () => {
  const driver = createMemoryDriver()
  const sink = await openSink()
  const member = await join(driver, sink.url)
  const other = await join(driver, sink.url)
  sink.answer('hang')
  await transit(member.store)
  await sink.until(({ arrivals }) => arrivals.length === 1)
  await transit(other.base, 2)
  sink.answer(202)
  sink.release()
  expect(await member.forwarder.settle(soon())).toBe(true)
  await member.forwarder.close()
  expect(numbersOf(sink.taken())).toEqual([2, 3])
  expect((await driver.read(NODE))?.state).toMatchObject({ seq: 3, forwarded: 3 })
})

test('what was just written goes to the sink though the store cannot be read', async () => {
  const sink = await openSink()
  const driver = createMemoryDriver()
  let isAway = false
  const read = <A extends unknown[], R>(call: (...args: A) => Promise<R>) => {
    return async (...args: A): Promise<R> => {
      if (isAway) throw new StoreError('The store is away')
      return call(...args)
    }
  }
  const member = await join({ ...driver, read: read(driver.read), log: read(driver.log) }, sink.url)
  await touch(member.store)
  isAway = true
  await transit(member.store)
  await sink.until((now) => now.taken().length === 1)
  isAway = false
  await transit(member.store)
  await sink.until((now) => now.taken().length === 2)
  expect(numbersOf(sink.arrivals.map(({ event }) => event))).toEqual([1, 2])
})

test('a node that is removed and written again while its event waits gives each document ids of its own', async () => {
  const sink = await openSink()
  const driver = createMemoryDriver()
  const member = await join(driver, sink.url)
  sink.answer('hang')
  // All that may be under way at once is, so that the event of the node waits.
  await Promise.all(range(1, 32).map((number) => transit(member.store, 1, `node${number}.other`)))
  await sink.until(({ arrivals }) => arrivals.length === 32)
  const expected = async () => {
    const { incarnation } = await stateOf(member.base)
    const entries = await member.base.log(NODE, { after: 0, limit: 9 })
    return entries.map((entry) => eventOf(NODE, incarnation, entry))
  }
  await transit(member.store)
  const first = await expected()
  await member.store.remove(NODE)
  await transit(member.store, 2)
  const second = await expected()
  sink.answer(202)
  sink.release()
  expect(await member.forwarder.settle(soon())).toBe(true)
  expect(sink.taken(NODE)).toEqual([...first, ...second])
  await member.forwarder.close()
  expect((await stateOf(member.base)).forwarded).toBe(2)
})

/** Puts a document back as if the store had lost what came later. */
async function restore(driver: Driver, state: Parameters<Driver['write']>[1]['state'] | undefined) {
  if (state === undefined) throw new Error('There is nothing to put back')
  const lost = await driver.log(NODE, { after: 0, limit: state.seq })
  await driver.remove(NODE)
  await driver.write(NODE, { state, entries: lost, expected: undefined, trimThrough: 0 })
}

function fail(): never {
  throw new Error('There is no such member')
}

test('a store that is away at the end is one line, however many positions could not be written', async () => {
  const sink = await openSink()
  const driver = await SHARED.memory().open()
  let isAway = false
  const check = () => {
    if (isAway) throw new StoreError('The store is away')
  }
  const away: typeof driver = {
    ...driver,
    read: async (...args) => {
      check()
      return driver.read(...args)
    },
    write: async (...args) => {
      check()
      return driver.write(...args)
    },
  }
  const member = await join(away, sink.url)
  const nodes = range(1, 32).map((number) => `node-${number}`)
  sink.answer('hang')
  await Promise.all(nodes.map((node) => transit(member.store, 1, node)))
  await sink.until(({ arrivals }) => arrivals.length === nodes.length)
  isAway = true
  sink.answer(202)
  sink.release()
  await member.forwarder.close()
  const failures = member.lines.map((line) => JSON.parse(line)).filter(({ level }) => level !== 'debug')
  expect(failures).toEqual([expect.objectContaining({ level: 'warn', reason: 'The store is away' })])
})

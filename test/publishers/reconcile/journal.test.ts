import { expect, onTestFinished, test } from 'vitest'
import { silentLog } from '#shared/log.ts'
import { createJournal, type Ending, type Journal } from '#shared/publishers/reconcile/journal.ts'
import { createMemoryDriver } from '#shared/state/drivers/memory.ts'
import { createStore } from '#shared/state/store/store.ts'

const START = Date.parse('2026-11-23T12:00:00Z')
const PUBLISHER = { url: 'http://n1', dialect: 'red-hat-v2', reachable: true }
const ALL: Ending = { ...PUBLISHER, held: new Set(['lock-state']), keeps: () => true }
const HELD = { kind: 'lock-state', address: '/a', id: 'first', endpoint: 'http://ingest/event/n1' }

async function written(journal: Journal, note: (journal: Journal) => void): Promise<void> {
  note(journal)
  await journal.flush()
}

function createNode() {
  const time = { now: START }
  const store = createStore(createMemoryDriver(), { historyPerNode: 50, log: silentLog })
  onTestFinished(() => store.close())
  const deps = {
    store,
    clock: { now: () => time.now },
    overall: () => 'HOLDOVER',
    newIncarnation: () => 'made',
    refreshMs: 60_000,
  }
  const finish = async (ending: Ending) => {
    const journal = createJournal(deps, 'n1')
    await written(journal, () => journal.note(journal.closing(ending)))
  }
  return { time, store, finish, make: () => createJournal(deps, 'n1') }
}

test('pending entries of a create that died go when the next one comes, those of others under way stay', async () => {
  const { time, store, make } = createNode()
  await make().pending('lock-state', true)
  time.now += 9_999
  await make().pending('clock-class', true)
  expect((await store.read('n1'))?.pending.map(({ kind }) => kind)).toEqual(['lock-state', 'clock-class'])
  time.now += 1
  await make().pending('sync-state', true)
  expect((await store.read('n1'))?.pending.map(({ kind }) => kind)).toEqual(['clock-class', 'sync-state'])
})

test('an answer ends the pending entry of its own create alone', async () => {
  const { time, store, make } = createNode()
  const [one, other] = [make(), make()]
  await one.pending('lock-state', true)
  time.now += 1
  await other.pending('lock-state', true)
  one.answered('lock-state')
  await one.flush()
  expect((await store.read('n1'))?.pending).toEqual([
    { kind: 'lock-state', queryTime: true, requestedAt: '2026-11-23T12:00:00.001Z' },
  ])
  await written(other, (journal) => journal.held(HELD, { restored: false }))
  expect((await store.read('n1'))?.pending).toEqual([])
})

test('a restored subscription is logged between its last confirmation and now, with the overall state', async () => {
  const { time, store, make } = createNode()
  await written(make(), (journal) => journal.held(HELD, { restored: false }))
  time.now += 90_000
  await written(make(), (journal) => journal.held({ ...HELD, id: 'second' }, { restored: true }))
  expect(await store.log('n1', { after: 0, limit: 9 })).toEqual([
    {
      seq: 1,
      type: 'restored',
      kind: 'lock-state',
      notBefore: '2026-11-23T12:00:00.000Z',
      notAfter: '2026-11-23T12:01:30.000Z',
      via: 'poll',
      overall: 'HOLDOVER',
    },
  ])
})

test('two that find the same loss log it once', async () => {
  const { store, make } = createNode()
  await written(make(), (journal) => journal.held(HELD, { restored: false }))
  await written(make(), (journal) => journal.held({ ...HELD, id: 'second' }, { restored: true }))
  await written(make(), (journal) => journal.held({ ...HELD, id: 'second' }, { restored: true }))
  expect(await store.log('n1', { after: 0, limit: 9 })).toHaveLength(1)
})

test('a confirmation alone is written only when the stored one is old', async () => {
  const { time, store, make, finish } = createNode()
  await written(make(), (journal) => journal.held(HELD, { restored: false }))
  await finish(ALL)
  const first = await store.read('n1')
  time.now += 59_999
  await finish(ALL)
  expect(await store.read('n1')).toEqual(first)
  time.now += 1
  await finish(ALL)
  expect((await store.read('n1'))?.subscriptions[0]?.confirmedAt).toBe('2026-11-23T12:01:00.000Z')
})

test('a change of the publisher is written at once, and one that cannot be asked keeps its dialect', async () => {
  const { time, store, finish } = createNode()
  await finish(ALL)
  time.now += 1
  await finish({ ...ALL, dialect: undefined, reachable: false, problem: 'away' })
  expect((await store.read('n1'))?.publisher).toEqual({
    url: 'http://n1',
    dialect: 'red-hat-v2',
    reachable: false,
    problem: 'away',
    checkedAt: '2026-11-23T12:00:00.001Z',
    reachedAt: '2026-11-23T12:00:00.000Z',
  })
  time.now += 1
  await finish({ ...ALL, reachable: false, problem: 'away for good' })
  expect((await store.read('n1'))?.publisher?.reachedAt).toBe('2026-11-23T12:00:00.000Z')
  time.now += 1
  await finish(ALL)
  expect((await store.read('n1'))?.publisher).not.toHaveProperty('reachedAt')
})

test('labels are kept, changed and taken off; while nobody knows them those of the document stay', async () => {
  const { store, finish } = createNode()
  let before = {}
  for (const labels of [undefined, { site: 'a' }, undefined, { site: 'b', region: 'north' }, undefined, {}]) {
    await finish({ ...ALL, labels })
    before = labels ?? before
    expect((await store.read('n1'))?.labels).toEqual(before)
  }
})

test('what an answer brought is written with what comes next, or at the end', async () => {
  const { store, make } = createNode()
  const journal = make()
  await journal.pending('lock-state', true)
  journal.held(HELD, { restored: false })
  expect((await store.read('n1'))?.subscriptions).toEqual([])
  await journal.pending('clock-class', true)
  const next = await store.read('n1')
  expect(next?.subscriptions.map(({ id }) => id)).toEqual(['first'])
  expect(next?.pending.map(({ kind }) => kind)).toEqual(['clock-class'])
  journal.held({ ...HELD, kind: 'clock-class', id: 'second' }, { restored: false })
  await written(journal, () => journal.note(journal.closing(ALL)))
  const last = await store.read('n1')
  expect(last).toMatchObject({ pending: [], publisher: PUBLISHER })
  expect(last?.subscriptions.map(({ id }) => id)).toEqual(['first', 'second'])
})

test('the end of a run that made nothing is handed over, and changes what is new alone', async () => {
  const { time, store, make, finish } = createNode()
  await finish(ALL)
  const known = await store.read('n1')
  if (known === undefined) throw new Error('nothing was written')
  time.now += 1
  const same = make().closing(ALL)
  expect(same(known)).toBe(known)
  const away = make().closing({ ...ALL, reachable: false, problem: 'away' })
  expect(away(known).publisher).toMatchObject({ reachable: false, problem: 'away' })
  expect(await store.read('n1')).toEqual(known)
})

test('a node that was marked as gone is not any more once it is kept again, however soon', async () => {
  const { time, store, finish } = createNode()
  await finish(ALL)
  const goneSince = '2026-11-23T12:00:01.000Z'
  await store.update('n1', (state) => ({
    state: state?.publisher && { ...state, publisher: { ...state.publisher, goneSince } },
    result: undefined,
  }))
  time.now += 1_000
  await finish(ALL)
  expect((await store.read('n1'))?.publisher).not.toHaveProperty('goneSince')
})

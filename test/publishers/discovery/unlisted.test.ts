import { describe, expect, onTestFinished, test } from 'vitest'
import { markUnlisted } from '#shared/publishers/discovery/gone.ts'
import { StoreError } from '#shared/errors.ts'
import type { NodeState } from '#shared/state/document.ts'
import { createMemoryDriver } from '#shared/state/drivers/memory.ts'
import { defaultSettings } from '#shared/state/merge/draft.ts'
import { createStore, type Store } from '#shared/state/store/store.ts'
import { isoTime } from '#shared/time.ts'
import { lockedNode, put } from '../../functions/fleet.ts'
import { logTo } from '../support/world.ts'

const START = Date.parse('2026-11-28T12:00:00Z')

const WEEK = 7 * 86_400_000

/** A store of nodes that were last polled so many seconds ago. */
async function fleetOf(agesSeconds: Record<string, number>) {
  const lines: { level: string; message: string }[] = []
  const log = logTo(lines)
  const store = createStore(createMemoryDriver(), { historyPerNode: 50, log })
  onTestFinished(() => store.close())
  for (const [node, seconds] of Object.entries(agesSeconds)) {
    await put(store, polledAt(node, START - seconds * 1_000))
  }
  const time = { now: START }
  const mark = (nodes: readonly string[], { index = 0, count = 1, on = store }: Options = {}) =>
    markUnlisted(
      { store: on, clock: { now: () => time.now }, log },
      {
        publishers: nodes.map((node) => ({ node, url: `http://${node}:9043`, dialect: 'auto' })),
        shard: { index, count },
        merge: defaultSettings,
        stateRetentionMs: WEEK,
        pollConcurrency: 4,
      },
    )
  const gone = async () => {
    const { nodes } = await store.list({ limit: 500 })
    return nodes.flatMap(({ state }) => (state.publisher?.goneSince === undefined ? [] : [state.node]))
  }
  return { time, store, mark, gone, lines }
}

type Options = { index?: number; count?: number; on?: Store }

function polledAt(node: string, at: number): NodeState {
  const checkedAt = isoTime(at)
  const publisher = { url: `http://${node}:9043`, dialect: 'red-hat-v2', reachable: true, checkedAt }
  return { ...lockedNode(node, at), publisher }
}

describe('a node that PUBLISHERS does not list any more', () => {
  test('is marked with the time and why, said once, and stays', async () => {
    const { store, mark, gone, lines, time } = await fleetOf({ stays: 300, goes: 300 })
    await mark(['stays'])
    expect(await gone()).toEqual(['goes'])
    const state = await store.read('goes')
    expect(state?.clocks).toHaveLength(2)
    expect(state?.publisher).toMatchObject({
      reachable: false,
      goneSince: isoTime(START),
      problem: 'PUBLISHERS does not list it any more',
    })
    time.now += 60_000
    await mark(['stays'])
    const warnings = lines.filter(({ level }) => level === 'warn')
    expect(warnings).toEqual([expect.objectContaining({ message: 'node is gone', node: 'goes' })])
  })

  test('was last reached when its publisher last answered, also where it was silent before', async () => {
    const { store, mark } = await fleetOf({ stays: 300, answered: 300, silent: 300 })
    const reachedAt = isoTime(START - 600_000)
    await store.update('silent', (current) => {
      if (current?.publisher === undefined) throw new Error('There is no such node')
      const publisher = { ...current.publisher, reachable: false, reachedAt }
      return { state: { ...current, publisher }, result: undefined }
    })
    await mark(['stays'])
    expect((await store.read('silent'))?.publisher).toMatchObject({ goneSince: isoTime(START), reachedAt })
    expect((await store.read('answered'))?.publisher?.reachedAt).toBe(isoTime(START - 300_000))
  })

  test('is left alone while somebody else polls it', async () => {
    const { mark, gone, time } = await fleetOf({ stays: 0, shared: 179 })
    await mark(['stays'])
    expect(await gone()).toEqual([])
    time.now += 2_000
    await mark(['stays'])
    expect(await gone()).toEqual(['shared'])
  })

  test('is marked though the document of another cannot be read', async () => {
    const { store, mark, gone } = await fleetOf({ damaged: 300, goes: 300 })
    const read: Store['read'] = async (node) => {
      if (node === 'damaged') throw new StoreError('The document is damaged', { retryable: false })
      return store.read(node)
    }
    await mark(['stays'], { on: { ...store, read } })
    expect(await gone()).toEqual(['goes'])
  })

  test('counts as polled by nobody where its last poll lies in the future: a clock of ours was set back', async () => {
    const { mark, gone } = await fleetOf({ goes: -3_600 })
    await mark(['stays'])
    expect(await gone()).toEqual(['goes'])
  })

  test('is forgotten once it has been gone for the time that state is kept, and not before', async () => {
    const { store, mark, gone, time } = await fleetOf({ goes: 300 })
    await mark(['stays'])
    time.now += WEEK - 1
    await mark(['stays'])
    expect(await gone()).toEqual(['goes'])
    time.now += 1
    await mark(['stays'])
    expect(await store.read('goes')).toBeUndefined()
  })

  test('stays if somebody polls it again just before it is removed', async () => {
    const { store, mark, gone, time } = await fleetOf({ goes: 300 })
    await mark(['stays'])
    time.now += WEEK
    const remove: Store['remove'] = async (node, isGone) => {
      await put(store, polledAt(node, START))
      return store.remove(node, isGone)
    }
    await mark(['stays'], { on: { ...store, remove } })
    expect(await store.read('goes')).toBeDefined()
    expect(await gone()).toEqual([])
  })

  test('is not marked if its publisher has moved to another URL meanwhile', async () => {
    const { store, mark, gone } = await fleetOf({ moves: 300 })
    const read: Store['read'] = async (node) => {
      const before = await store.read(node)
      const { publisher, ...moved } = polledAt(node, START - 300_000)
      if (publisher) await put(store, { ...moved, publisher: { ...publisher, url: 'http://moved:9043' } })
      return before
    }
    await mark(['stays'], { on: { ...store, read } })
    expect(await gone()).toEqual([])
  })

  test('is one of a shard, and of one alone', async () => {
    const names = Array.from({ length: 20 }, (_, i) => `node-${i}`)
    const { mark, gone } = await fleetOf(Object.fromEntries(names.map((name) => [name, 300])))
    await mark(['stays'], { index: 0, count: 2 })
    const first = await gone()
    expect(first.length).toBeGreaterThan(0)
    expect(first.length).toBeLessThan(20)
    await mark(['stays'], { index: 1, count: 2 })
    expect((await gone()).toSorted()).toEqual(names.toSorted())
  })

  test('an empty list marks nobody', async () => {
    const { mark, gone } = await fleetOf({ stays: 300 })
    await mark([])
    expect(await gone()).toEqual([])
  })

  test('a store that is away marks nobody, and it is left to the poll to say so', async () => {
    const { store, mark, lines } = await fleetOf({ goes: 300 })
    await store.close()
    await mark(['stays'], { on: store })
    expect(lines.filter(({ level }) => level === 'warn')).toEqual([])
  })
})
